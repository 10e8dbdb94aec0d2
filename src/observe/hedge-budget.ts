/**
 * How many second copies a version's requests have earned: each brings a share of one, each copy costs one. There is no
 * reserve, so at any moment the copies sent are at most that share of the requests that came; and no more than SAVED_MAX are
 * saved up, so that neither after a quiet hour do more follow at once.
 *
 * Twenty are enough: where exactly the budgeted share of requests is late, by chance, they refuse one copy of forty.
 * Deterministic and without time; one for each version of a lane.
 */
export const SAVED_MAX = 20
/** Twenty times a twentieth is a little less than one. */
const ROUNDING = 1e-6

export class HedgeBudget {
  readonly #share: number
  #saved = 0

  /** `share`: copies for each request, 0 to 1. */
  constructor(share: number) {
    this.#share = share
  }

  /** A request came. */
  deposit(): void {
    this.#saved = Math.min(SAVED_MAX, this.#saved + this.#share)
  }

  /** True: a copy may be sent, and is counted. */
  withdraw(): boolean {
    if (this.#saved < 1 - ROUNDING) return false
    this.#saved = Math.max(0, this.#saved - 1)
    return true
  }
}
