/**
 * Durations as the questions bring them: counted in bins that are 2.2 % wide, so one pass over the log serves every
 * percentile of every stretch of it. A percentile is the middle of its bin, at most 1.1 % off; its bounds are the edges of theirs.
 */
import { type Interval, quantileRanks } from '../../analysis/interval.ts'
import type { Estimate, Percentiles } from './report.ts'

/** Per doubling. */
export const BINS = 32
/** Shorter ones count as this. */
export const LEAST_MS = 0.001

export class Latencies {
  readonly #counts = new Map<number, number>()
  #n = 0
  /** Bins in order; null after another was added. */
  #sorted: readonly (readonly [bin: number, count: number])[] | null = null

  get n(): number {
    return this.#n
  }

  add(bin: number, count: number): void {
    this.#counts.set(bin, (this.#counts.get(bin) ?? 0) + count)
    this.#n += count
    this.#sorted = null
  }

  /** Null of none. */
  quantile(q: number): number | null {
    return this.#n === 0 ? null : middleOf(this.#binAt(Math.max(1, Math.ceil(q * this.#n))))
  }

  percentiles(): Percentiles | null {
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => this.quantile(q))
    return p50 == null || p95 == null || p99 == null ? null : { p50, p95, p99 }
  }

  /** By ranks, whatever the distribution; `high` is null when there are too few to bound it. */
  estimate(q: number): Estimate | null {
    const value = this.quantile(q)
    if (value === null) return null
    const ranks: Interval = quantileRanks(q, this.#n)
    const low = edgeOf(this.#binAt(Math.max(1, Math.floor(ranks.from))))
    const high = ranks.to > this.#n ? null : edgeOf(this.#binAt(Math.ceil(ranks.to)) + 1)
    return { value, low, high, n: this.#n }
  }

  #binAt(rank: number): number {
    this.#sorted ??= [...this.#counts].sort(([a], [b]) => a - b)
    let seen = 0
    for (const [bin, count] of this.#sorted) {
      seen += count
      if (seen >= rank) return bin
    }
    return this.#sorted.at(-1)![0]
  }
}

function middleOf(bin: number): number {
  return edgeOf(bin + 0.5)
}

/** Where a bin begins. */
function edgeOf(bin: number): number {
  return 2 ** (bin / BINS)
}
