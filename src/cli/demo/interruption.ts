/**
 * Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process at once. Handlers are
 * there only from the call until `end`.
 *
 * Started by npm, one Ctrl-C arrives twice: from the terminal, and passed on by npm. What follows the first
 * so closely is the same key press.
 */
import type { Clock } from '../../kernel/clock.ts'
import { endAtOnce } from '../end-at-once.ts'

export interface Interruption {
  /** Resolves to the signal in words; never otherwise. */
  readonly happened: Promise<Error>
  end(): void
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

const SAME_PRESS_MS = 500

export function interruption(clock: Clock): Interruption {
  let happen: (error: Error) => void = () => {}
  let firstAt = Number.POSITIVE_INFINITY
  const heard = (name: NodeJS.Signals): void => {
    if (clock.now() > firstAt + SAME_PRESS_MS) endAtOnce(name)
    firstAt = Math.min(firstAt, clock.now())
    happen(new Error(`interrupted by ${name}`))
  }
  for (const name of SIGNALS) process.on(name, heard)
  return {
    happened: new Promise((resolve) => {
      happen = resolve
    }),
    end() {
      for (const name of SIGNALS) process.removeListener(name, heard)
    },
  }
}
