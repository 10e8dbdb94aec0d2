/** How often lanes may be replaced before the process is not worth keeping: deterministic, one for all lanes. */
export const RESTARTS_MAX = 5
export const RESTARTS_WITHIN_MS = 60_000

export class RestartLimit {
  #latest: readonly number[] = []

  /** False: there were RESTARTS_MAX within RESTARTS_WITHIN_MS before; this one is not counted. */
  allows(now: number): boolean {
    this.#latest = this.#latest.filter((at) => now - at < RESTARTS_WITHIN_MS)
    if (this.#latest.length >= RESTARTS_MAX) return false
    this.#latest = [...this.#latest, now]
    return true
  }
}
