/**
 * Deadlines without a timer per request. One interval visits everything that waits and expires what
 * is due, so a deadline costs two array writes (about 4 ns) where setTimeout costs 500.
 *
 * A deadline fires up to one tick (`tickMs`) late and never early; after the loop was held up, only once what
 * arrived meanwhile was read: nobody is blamed for a pause of ours. The interval runs only while something
 * is watched, so an idle lane sleeps and a stopped one can end.
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
/** A tick so many ms late means that the loop was held up, and what arrived meanwhile has not been read yet. */
export const LATE_MS = 20

export class Sweep {
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #watched: Watched[] = []
  #timer: NodeJS.Timeout | undefined
  #lastTickAt = 0
  /** By how much ticks came too late, in all. */
  #heldUpMs = 0
  #afterReading: NodeJS.Immediate | undefined

  constructor(clock: Clock, tickMs: number = SWEEP_TICK_MS) {
    this.#clock = clock
    this.#tickMs = tickMs
  }

  get size(): number {
    return this.#watched.length
  }

  /**
   * For how long, in all, the loop kept what waits from being looked at, up to `now`: of two readings the difference is
   * how much of the time between them was our own doing. Counts only while something is watched.
   */
  heldUpMs(now: number): number {
    return this.#timer === undefined ? this.#heldUpMs : this.#heldUpMs + this.#latenessAt(now)
  }

  watch(entry: Watched): void {
    if (entry.slot !== -1) return
    entry.slot = this.#watched.length
    this.#watched.push(entry)
    if (this.#timer !== undefined) return
    this.#lastTickAt = this.#clock.now()
    this.#timer = setInterval(() => this.#tick(), this.#tickMs)
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
    clearImmediate(this.#afterReading)
    this.#timer = undefined
    this.#afterReading = undefined
  }

  #latenessAt(now: number): number {
    const lateMs = now - this.#lastTickAt - this.#tickMs
    return lateMs > LATE_MS ? lateMs : 0
  }

  /** Timers come before sockets in a turn of the loop, what waits for the next turn after them. */
  #tick(): void {
    const now = this.#clock.now()
    const lateMs = this.#latenessAt(now)
    this.#heldUpMs += lateMs
    this.#lastTickAt = now
    if (this.#afterReading !== undefined) return
    if (lateMs === 0) return this.run()
    // A connection is made in one reading and answers in the next: two turns.
    this.#afterReading = setImmediate(() => {
      this.#afterReading = setImmediate(() => {
        this.#afterReading = undefined
        this.run()
      })
    })
  }
}
