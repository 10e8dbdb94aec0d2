/**
 * Deadlines without a timer per request. One interval visits everything that waits and expires what
 * is due, so a deadline costs two array writes (about 4 ns) where setTimeout costs 500.
 *
 * A deadline fires up to one tick (`tickMs`) late and never early. The interval runs only while
 * something is watched, so an idle lane sleeps and a stopped one can end.
 */
import type { Clock } from './clock.ts'

/** What waits: `dueAt` may be moved at any time; `slot` belongs to the sweep. */
export interface Watched {
  /** Monotonic ms; Infinity when nothing is due. */
  dueAt: number
  /** Index inside the sweep; -1 when not watched. Written by the sweep only. */
  slot: number
  /** Called once when due; the entry is no longer watched by then and may be watched again. */
  expire(now: number): void
}

export const SWEEP_TICK_MS = 10

export class Sweep {
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #watched: Watched[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock, tickMs: number = SWEEP_TICK_MS) {
    this.#clock = clock
    this.#tickMs = tickMs
  }

  get size(): number {
    return this.#watched.length
  }

  watch(entry: Watched): void {
    if (entry.slot !== -1) return
    entry.slot = this.#watched.length
    this.#watched.push(entry)
    this.#timer ??= setInterval(() => this.run(), this.#tickMs)
  }

  unwatch(entry: Watched): void {
    const slot = entry.slot
    if (slot === -1) return
    const last = this.#watched.pop()!
    if (last !== entry) {
      this.#watched[slot] = last
      last.slot = slot
    }
    entry.slot = -1
    if (this.#watched.length === 0) this.stop()
  }

  /** Expires everything due. The interval calls it; tests with a manual clock call it themselves. */
  run(): void {
    const now = this.#clock.now()
    for (let index = this.#watched.length - 1; index >= 0; index -= 1) {
      const entry = this.#watched[index]
      if (entry === undefined || entry.dueAt > now) continue
      this.unwatch(entry)
      entry.expire(now)
    }
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
