/**
 * The few numbers a comparison needs: nearest-rank quantiles of what was seen, the median of per-block results
 * and a bootstrap interval for it. Percentiles are taken over merged samples and never averaged.
 */

/** Nearest rank: a value that was really seen. NaN of nothing. */
export function quantile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return Number.NaN
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!
}

export function sortedCopy(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}

export function median(values: readonly number[]): number {
  const sorted = sortedCopy(values)
  const half = sorted.length / 2
  return Number.isInteger(half) ? (sorted[half - 1]! + sorted[half]!) / 2 : sorted[Math.floor(half)]!
}

export interface Estimate {
  readonly median: number
  /** 95 % bootstrap interval of the median over blocks. */
  readonly low: number
  readonly high: number
  readonly blocks: number
}

const RESAMPLES = 2_000

/** Blocks, not single samples, are drawn again: what disturbs a block disturbs all of it. */
export function estimate(perBlock: readonly number[]): Estimate {
  const medians: number[] = []
  for (let round = 0; round < RESAMPLES; round += 1) {
    medians.push(median(perBlock.map(() => perBlock[Math.floor(Math.random() * perBlock.length)]!)))
  }
  medians.sort((a, b) => a - b)
  return {
    median: rounded(median(perBlock)),
    low: rounded(quantile(medians, 0.025)),
    high: rounded(quantile(medians, 0.975)),
    blocks: perBlock.length,
  }
}

export interface Spread {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly samples: number
}

export function spread(values: readonly number[]): Spread {
  const sorted = sortedCopy(values)
  const at = (share: number) => rounded(quantile(sorted, share))
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1), samples: values.length }
}

export function shuffled<T>(items: readonly T[]): T[] {
  const left = [...items]
  for (let index = left.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1))
    const one = left[index]!
    left[index] = left[other]!
    left[other] = one
  }
  return left
}

export function rounded(value: number): number {
  return Number(value.toPrecision(5))
}
