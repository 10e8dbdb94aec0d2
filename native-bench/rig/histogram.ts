/**
 * Durations as the generator counts them (`c/histogram.c`, same layout): buckets can be added up over windows, so that
 * percentiles of a whole measurement come from all of its requests and never from other percentiles.
 */

const STEPS = 128

export interface Told {
  readonly count: number
  /** Index, count, index, count … */
  readonly buckets: readonly number[]
  /** µs. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export class Histogram {
  readonly #buckets = new Map<number, number>()
  #count = 0

  static of(parts: Iterable<Told>): Histogram {
    const histogram = new Histogram()
    for (const part of parts) histogram.add(part)
    return histogram
  }

  get count(): number {
    return this.#count
  }

  add({ buckets }: Pick<Told, 'buckets'>): void {
    for (let place = 0; place + 1 < buckets.length; place += 2) {
      const index = buckets[place]!
      const count = buckets[place + 1]!
      this.#buckets.set(index, (this.#buckets.get(index) ?? 0) + count)
      this.#count += count
    }
  }

  /** µs; nearest rank, the upper end of its bucket. NaN of nothing. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#count))
    let seen = 0
    for (const [index, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      seen += count
      if (seen >= rank) return upperEnd(index) / 1000
    }
    return Number.NaN
  }
}

function upperEnd(index: number): number {
  if (index < 2 * STEPS) return index
  const shift = Math.floor(index / STEPS) - 1
  return (index - shift * STEPS + 1) * 2 ** shift - 1
}
