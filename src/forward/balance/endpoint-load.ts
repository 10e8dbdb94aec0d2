/**
 * What an endpoint costs now: how many requests are under way there, times how long they took lately. A peak-sensitive
 * average (Finagle's "peak EWMA"): one slow answer counts at once, fast ones win trust back over DECAY_MS.
 *
 * Where nothing is known yet, one request is a probe, and a second one makes the endpoint expensive until the
 * first has come back: a new or dead endpoint does not draw a crowd. A failure counts like an answer that took as long
 * as a caller would have waited, or the endpoint that fails fastest would be the most attractive.
 *
 * What is under way and the average lie in memory that others may read (endpoint-board.ts); only its lane writes there.
 */

/** After so long, in ms, what was observed weighs 1/e. */
export const DECAY_MS = 10_000
/** Cost, in ms, of an endpoint that has requests under way and has answered none yet. */
export const UNKNOWN_MS = 60_000

const OUTSTANDING = 0
/** In ms; 0 while nothing was observed. */
const AVERAGE = 1

export class EndpointLoad {
  readonly #words: Float64Array
  #observedAt = 0

  constructor(words: Float64Array = new Float64Array(2)) {
    this.#words = words
  }

  get outstanding(): number {
    return this.#words[OUTSTANDING]!
  }

  /** It was away: what it took before says nothing of it now. */
  forget(): void {
    this.#words[AVERAGE] = 0
  }

  /** In ms: what one more request may expect to wait. */
  cost(now: number): number {
    const { outstanding } = this
    const averageMs = this.#words[AVERAGE]!
    if (averageMs === 0) return outstanding === 0 ? 0 : UNKNOWN_MS + outstanding
    return averageMs * Math.exp(-this.#elapsed(now) / DECAY_MS) * (outstanding + 1)
  }

  started(): void {
    this.#words[OUTSTANDING]! += 1
  }

  /** It answered, or was found not to, after `ms`. */
  ended(now: number, ms: number): void {
    this.#words[OUTSTANDING]! -= 1
    this.#observe(now, ms)
  }

  /**
   * Nobody waited for the answer any more: that says only that it takes at least `ms`. Where that is longer than what is
   * left of the average, the average is not outdated and counts in full again: an endpoint whose slow answers are never
   * waited for (hedging) would else be forgiven what it still does.
   */
  abandoned(now: number, ms: number): void {
    this.#words[OUTSTANDING]! -= 1
    const averageMs = this.#words[AVERAGE]!
    if (ms <= averageMs * Math.exp(-this.#elapsed(now) / DECAY_MS)) return
    this.#words[AVERAGE] = Math.max(ms, averageMs)
    this.#observedAt = now
  }

  #observe(now: number, ms: number): void {
    const weight = Math.exp(-this.#elapsed(now) / DECAY_MS)
    const averageMs = this.#words[AVERAGE]!
    this.#words[AVERAGE] = ms > averageMs ? ms : averageMs * weight + ms * (1 - weight)
    this.#observedAt = now
  }

  #elapsed(now: number): number {
    return Math.max(0, now - this.#observedAt)
  }
}
