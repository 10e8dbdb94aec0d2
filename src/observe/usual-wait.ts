/**
 * How long answers usually let wait: a quantile of what was observed lately, from counts in logarithmic buckets (each 9 %
 * wider than the one before). Old observations fade: whenever there are enough, all counts are halved. Adding one costs
 * a logarithm; the quantile is computed only when enough new ones came.
 *
 * Of a wait that was cut short it is known only that it was longer. Counting it as what it was would make hedging its own
 * evidence: nothing would seem to take longer than the time after which copies are sent. So the share that waits longer
 * than a time is Kaplan and Meier's estimate (1958): those cut short leave the count where they were cut.
 *
 * Where a version answers either fast or slowly and nothing between, the quantile of a share that lies near the edge is
 * thrown by chance from one side of the gap to the other. There the lower side counts: the longest wait before the widest
 * gap, within three standard errors of the quantile.
 *
 * Deterministic, and without time: at few requests a minute there is nothing better to know than what was.
 */

/** So many observations beyond the quantile are needed before it is told. */
export const BEYOND_MIN = 5
/** And in all. */
export const OBSERVED_MIN = 50
/** As many times what is needed are kept at most. */
const KEPT_TIMES = 10
const BUCKETS_PER_OCTAVE = 8
const SHORTEST_MS = 0.1
/** 0.1 ms to 28 min. */
const BUCKETS = 24 * BUCKETS_PER_OCTAVE
/** A gap is where waits would have to double. */
const GAP_BUCKETS = BUCKETS_PER_OCTAVE
/** Less than this in a bucket is nobody: one, observed long ago. */
const NOBODY = 0.5
const STANDARD_ERRORS = 3
/** Of the observations that are needed, so many must be new before it is computed again. */
const NEW_SHARE = 0.25

export class UsualWait {
  readonly #quantile: number
  readonly #needed: number
  readonly #ended = new Float64Array(BUCKETS)
  readonly #cut = new Float64Array(BUCKETS)
  /** Estimated share of waits that end in or before a bucket. */
  readonly #shares = new Float64Array(BUCKETS)
  #total = 0
  #new = 0
  #ms = Number.POSITIVE_INFINITY

  /** `quantile`: above 0, below 1. */
  constructor(quantile: number) {
    this.#quantile = quantile
    this.#needed = Math.max(OBSERVED_MIN, Math.ceil(BEYOND_MIN / (1 - quantile)))
  }

  /** `isCut`: nobody waited for its end, which would have come later. */
  observe(ms: number, isCut: boolean): void {
    const counts = isCut ? this.#cut : this.#ended
    counts[bucketOf(ms)]! += 1
    this.#total += 1
    this.#new += 1
    if (this.#total >= this.#needed * KEPT_TIMES) this.#fade()
  }

  /** In ms, at the upper end of its bucket; Infinity while too little was observed. */
  get ms(): number {
    if (this.#total >= this.#needed && this.#new >= this.#needed * NEW_SHARE) {
      this.#new = 0
      this.#ms = this.#compute()
    }
    return this.#ms
  }

  #fade(): void {
    this.#total = 0
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      this.#ended[bucket]! /= 2
      this.#cut[bucket]! /= 2
      this.#total += this.#ended[bucket]! + this.#cut[bucket]!
    }
  }

  #compute(): number {
    this.#estimate()
    const quantile = this.#quantile
    const error = STANDARD_ERRORS * Math.sqrt((quantile * (1 - quantile)) / this.#total)
    const low = this.#bucketWhere(quantile - error)
    const bucket = this.#beforeGap(low, this.#bucketWhere(Math.min(1, quantile + error)))
    return upperEndOf(bucket ?? this.#bucketWhere(quantile))
  }

  #estimate(): void {
    let waiting = this.#total
    let share = 1
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const ended = this.#ended[bucket]!
      if (ended > 0) share *= Math.max(0, 1 - ended / waiting)
      waiting -= ended + this.#cut[bucket]!
      this.#shares[bucket] = 1 - share
    }
  }

  /** The first with this share of waits in it or before; the end, where all that is known is that waits are longer. */
  #bucketWhere(share: number): number {
    let bucket = 0
    while (bucket < BUCKETS - 1 && this.#shares[bucket]! < share - ROUNDING) bucket += 1
    return bucket
  }

  /** The last bucket in which any wait ended before the widest gap between two others. */
  #beforeGap(low: number, high: number): number | undefined {
    let before: number | undefined
    let widest = GAP_BUCKETS
    let last = low
    for (let bucket = low + 1; bucket <= high; bucket += 1) {
      if (this.#ended[bucket]! < NOBODY && bucket < high) continue
      if (bucket - last > widest) {
        widest = bucket - last
        before = last
      }
      last = bucket
    }
    return before
  }
}

const ROUNDING = 1e-9

function bucketOf(ms: number): number {
  if (!(ms > SHORTEST_MS)) return 0
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / SHORTEST_MS) * BUCKETS_PER_OCTAVE))
}

function upperEndOf(bucket: number): number {
  return SHORTEST_MS * 2 ** ((bucket + 1) / BUCKETS_PER_OCTAVE)
}
