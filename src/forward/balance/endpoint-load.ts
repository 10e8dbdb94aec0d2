/**
 * What an endpoint costs now: how many requests are under way there, times how long they took lately. A peak-sensitive
 * average (Finagle's "peak EWMA"): one slow answer counts at once, fast ones win trust back over DECAY_MS.
 *
 * Where nothing is known yet, one request is a probe, and a second one makes the endpoint expensive until the
 * first has come back: a new or dead endpoint does not draw a crowd. A failure counts like an answer that took as long
 * as a caller would have waited, or the endpoint that fails fastest would be the most attractive.
 */

/** After so long, in ms, what was observed weighs 1/e. */
export const DECAY_MS = 10_000
/** Cost, in ms, of an endpoint that has requests under way and has answered none yet. */
export const UNKNOWN_MS = 60_000

export class EndpointLoad {
  #outstanding = 0
  /** Average in ms; 0 while nothing was observed. */
  #averageMs = 0
  #observedAt = 0

  get outstanding(): number {
    return this.#outstanding
  }

  /** In ms: what one more request may expect to wait. */
  cost(now: number): number {
    const average = this.#averageMs * Math.exp(-this.#elapsed(now) / DECAY_MS)
    if (this.#averageMs === 0) return this.#outstanding === 0 ? 0 : UNKNOWN_MS + this.#outstanding
    return average * (this.#outstanding + 1)
  }

  started(): void {
    this.#outstanding += 1
  }

  /** It answered, or was found not to, after `ms`. */
  ended(now: number, ms: number): void {
    this.#outstanding -= 1
    this.#observe(now, ms)
  }

  /**
   * Nobody waited for the answer any more: that says only that it takes at least `ms`. Where that is longer than what is
   * left of the average, the average is not outdated and counts in full again: an endpoint whose slow answers are never
   * waited for (hedging) would else be forgiven what it still does.
   */
  abandoned(now: number, ms: number): void {
    this.#outstanding -= 1
    if (ms <= this.#averageMs * Math.exp(-this.#elapsed(now) / DECAY_MS)) return
    this.#averageMs = Math.max(ms, this.#averageMs)
    this.#observedAt = now
  }

  #observe(now: number, ms: number): void {
    const weight = Math.exp(-this.#elapsed(now) / DECAY_MS)
    this.#averageMs = ms > this.#averageMs ? ms : this.#averageMs * weight + ms * (1 - weight)
    this.#observedAt = now
  }

  #elapsed(now: number): number {
    return Math.max(0, now - this.#observedAt)
  }
}
