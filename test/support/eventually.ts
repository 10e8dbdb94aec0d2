/** Waiting for something to become true: asked again and again until a deadline, never a fixed sleep. */
import { setTimeout as pause } from 'node:timers/promises'

export interface Patience {
  readonly withinMs?: number
  /** What is waited for, for the error. */
  readonly until?: string
}

const PAUSE_MS_MIN = 5
const PAUSE_MS_MAX = 50

/** Resolves to the first value that is neither undefined nor false; rejects when none came in time. */
export async function eventually<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { withinMs = 20_000, until = 'what was expected' }: Patience = {},
): Promise<T> {
  const giveUpAt = performance.now() + withinMs
  for (;;) {
    const lookedAt = performance.now()
    const found = await look()
    if (found !== undefined && found !== false) return found
    const now = performance.now()
    if (now >= giveUpAt) throw new Error(`not within ${withinMs} ms: ${until}`)
    // A look that is work (a page of metrics, a whole log) leaves the machine to what it waits for.
    await pause(Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, 2 * (now - lookedAt))))
  }
}
