/**
 * How long answers usually let wait: a quantile of what was observed lately, from counts in logarithmic buckets (each 9 %
 * wider than the one before). Old observations fade: whenever there are enough, all counts are halved. Adding one costs
 * a logarithm; the quantile is computed only when enough new ones came.
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
/** 0.1 ms to 15 min. */
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
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  #new = 0
  #ms = Number.POSITIVE_INFINITY

  /** `quantile`: above 0, below 1. */
  constructor(quantile: number) {
    this.#quantile = quantile
    this.#needed = Math.max(OBSERVED_MIN, Math.ceil(BEYOND_MIN / (1 - quantile)))
  }

  observe(ms: number): void {
    this.#counts[bucketOf(ms)]! += 1
    this.#total += 1
    this.#new += 1
    if (this.#total >= this.#needed * KEPT_TIMES) this.#fade()
  }

  /** In ms, at the upper end of its bucket; Infinity while too little was observed. */
  get ms(): number {
    if (this.#total >= this.#needed && this.#new >= this.#needed * NEW_SHARE) {
      this.#new = 0
      this.#ms = upperEndOf(this.#bucketAt())
    }
    return this.#ms
  }

  #fade(): void {
    this.#total = 0
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      this.#counts[bucket]! /= 2
      this.#total += this.#counts[bucket]!
    }
  }

  #bucketAt(): number {
    const quantile = this.#quantile
    const error = STANDARD_ERRORS * Math.sqrt((quantile * (1 - quantile)) / this.#total)
    const low = this.#bucketOfRank((quantile - error) * this.#total)
    const high = this.#bucketOfRank(Math.min(1, quantile + error) * this.#total)
    return this.#beforeGap(low, high) ?? this.#bucketOfRank(quantile * this.#total)
  }

  #bucketOfRank(rank: number): number {
    let below = 0
    let last = 0
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const count = this.#counts[bucket]!
      if (count === 0) continue
      below += count
      last = bucket
      if (below >= rank) break
    }
    return last
  }

  /** The last bucket with anybody in it before the widest gap between two others. */
  #beforeGap(low: number, high: number): number | undefined {
    let before: number | undefined
    let widest = GAP_BUCKETS
    let last = low
    for (let bucket = low + 1; bucket <= high; bucket += 1) {
      if (this.#counts[bucket]! < NOBODY && bucket < high) continue
      if (bucket - last > widest) {
        widest = bucket - last
        before = last
      }
      last = bucket
    }
    return before
  }
}

function bucketOf(ms: number): number {
  if (!(ms > SHORTEST_MS)) return 0
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / SHORTEST_MS) * BUCKETS_PER_OCTAVE))
}

function upperEndOf(bucket: number): number {
  return SHORTEST_MS * 2 ** ((bucket + 1) / BUCKETS_PER_OCTAVE)
}
