/** Waiting for something to become true: asked again and again until a deadline, never a fixed sleep. */
import { setTimeout as pause } from 'node:timers/promises'

export interface Patience {
  readonly withinMs?: number
  /** What is waited for, for the error. */
  readonly until?: string
}

/** Resolves to the first value that is neither undefined nor false; rejects when none came in time. */
export async function eventually<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { withinMs = 20_000, until = 'what was expected' }: Patience = {},
): Promise<T> {
  const giveUpAt = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() >= giveUpAt) throw new Error(`not within ${withinMs} ms: ${until}`)
    await pause(5)
  }
}
