/**
 * How many retries a model's requests have earned (Finagle's retry budget): each request brings a share of one, each
 * retry costs one, and what was brought is forgotten after BUDGET_MS. RESERVE_PER_SECOND are free, so that a model
 * with few requests can retry, too. When everything fails, retries add this share and no more.
 *
 * Counted in slices, not one by one: a slice is forgotten as a whole. Deterministic; one for each model of a lane.
 */
export const BUDGET_MS = 10_000
export const RESERVE_PER_SECOND = 10
const SLICES = 10
/** Five times a fifth is a little less than one. */
const ROUNDING = 1e-6
const SLICE_MS = BUDGET_MS / SLICES

export class RetryBudget {
  readonly #share: number
  readonly #reserve: number
  readonly #earned = new Float64Array(SLICES)
  readonly #spent = new Float64Array(SLICES)
  #slice = 0

  /** `share`: retries for each request, 0 to 1. `lanes`: the reserve is divided among so many. */
  constructor(share: number, lanes: number) {
    this.#share = share
    this.#reserve = share === 0 ? 0 : (RESERVE_PER_SECOND * BUDGET_MS) / 1000 / lanes
  }

  /** A request came. */
  deposit(now: number): void {
    this.#moveTo(now)
    this.#earned[this.#slice % SLICES]! += this.#share
  }

  /** True: a retry may be sent, and is counted. */
  withdraw(now: number): boolean {
    this.#moveTo(now)
    const left = this.#reserve + sum(this.#earned) - sum(this.#spent)
    if (left < 1 - ROUNDING) return false
    this.#spent[this.#slice % SLICES]! += 1
    return true
  }

  #moveTo(now: number): void {
    const slice = Math.floor(now / SLICE_MS)
    for (let next = Math.max(this.#slice + 1, slice - SLICES + 1); next <= slice; next += 1) {
      this.#earned[next % SLICES] = 0
      this.#spent[next % SLICES] = 0
    }
    if (slice > this.#slice) this.#slice = slice
  }
}

function sum(slices: Float64Array): number {
  let total = 0
  for (const value of slices) total += value
  return total
}
