/**
 * Requests, failures and slow answers of the last `windowMs`, in ten buckets that move with time. The
 * oldest bucket leaves as a whole, so what is counted reaches back between nine and ten tenths of it.
 *
 * Counting allocates nothing. Time is an argument and must not go back.
 */
export const WINDOW_BUCKETS = 10

const REQUESTS = 0
const FAILURES = 1
const SLOW = 2
const KINDS = 3

export class RollingWindow {
  readonly #bucketMs: number
  readonly #counts = new Uint32Array(WINDOW_BUCKETS * KINDS)
  /** Number of the newest bucket, counted from monotonic 0. */
  #newest = Number.NEGATIVE_INFINITY
  requests = 0
  failures = 0
  slow = 0

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / WINDOW_BUCKETS
  }

  count(now: number, failed: boolean, slow: boolean): void {
    this.advance(now)
    const at = (this.#newest % WINDOW_BUCKETS) * KINDS
    this.#counts[at + REQUESTS]! += 1
    this.requests += 1
    if (failed) {
      this.#counts[at + FAILURES]! += 1
      this.failures += 1
    }
    if (slow) {
      this.#counts[at + SLOW]! += 1
      this.slow += 1
    }
  }

  /** Forgets what is older than the window. */
  advance(now: number): void {
    const newest = Math.floor(now / this.#bucketMs)
    if (newest <= this.#newest) return
    const first = Math.max(this.#newest + 1, newest - WINDOW_BUCKETS + 1, 0)
    for (let bucket = first; bucket <= newest; bucket += 1) this.#forget(bucket % WINDOW_BUCKETS)
    this.#newest = newest
  }

  #forget(slot: number): void {
    const at = slot * KINDS
    this.requests -= this.#counts[at + REQUESTS]!
    this.failures -= this.#counts[at + FAILURES]!
    this.slow -= this.#counts[at + SLOW]!
    this.#counts.fill(0, at, at + KINDS)
  }
}
