/**
 * How sure a number is, at 95 %. Shares have Wilson's score interval (E. B. Wilson, JASA 22, 1927), which keeps its
 * promise for shares near 0 and 1 and for few observations, where the usual ± does not; differences of shares
 * Newcombe's, made of two of these (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10). Means have the
 * normal one, which needs some tens of observations and a tail that is not too heavy.
 */

/** Two-sided 95 %. */
export const Z = 1.959963984540054

export interface Interval {
  readonly from: number
  readonly to: number
}

export function wilson(hits: number, trials: number): Interval {
  if (trials === 0) return { from: 0, to: 1 }
  const portion = hits / trials
  const z2 = Z * Z
  const centre = (portion + z2 / (2 * trials)) / (1 + z2 / trials)
  const half =
    (Z / (1 + z2 / trials)) * Math.sqrt((portion * (1 - portion)) / trials + z2 / (4 * trials * trials))
  return { from: Math.max(0, centre - half), to: Math.min(1, centre + half) }
}

export interface Counted {
  readonly hits: number
  readonly trials: number
}

/** Of the share after minus the share before. */
export function shareDifference(before: Counted, after: Counted): Interval {
  if (before.trials === 0 || after.trials === 0) return { from: -1, to: 1 }
  const [first, second] = [before.hits / before.trials, after.hits / after.trials]
  const [one, two] = [wilson(before.hits, before.trials), wilson(after.hits, after.trials)]
  return {
    from: second - first - Math.hypot(second - two.from, one.to - first),
    to: second - first + Math.hypot(two.to - second, first - one.from),
  }
}

/** What is left of a list of numbers when only their mean is asked for. */
export interface Moments {
  readonly n: number
  readonly sum: number
  readonly sumOfSquares: number
}

export function meanOf({ n, sum }: Moments): number {
  return n === 0 ? Number.NaN : sum / n
}

/** Of the mean; everything when fewer than two were observed. */
export function meanInterval(moments: Moments): Interval {
  const half = Z * Math.sqrt(varianceOfMean(moments))
  const mean = meanOf(moments)
  if (!Number.isFinite(half)) return { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }
  return { from: mean - half, to: mean + half }
}

/** Of the mean after minus the mean before, without supposing that both vary alike (Welch). */
export function meanDifference(before: Moments, after: Moments): Interval {
  const half = Z * Math.sqrt(varianceOfMean(before) + varianceOfMean(after))
  const difference = meanOf(after) - meanOf(before)
  if (!Number.isFinite(half)) return { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }
  return { from: difference - half, to: difference + half }
}

function varianceOfMean({ n, sum, sumOfSquares }: Moments): number {
  if (n < 2) return Number.POSITIVE_INFINITY
  return Math.max(0, sumOfSquares - (sum * sum) / n) / (n - 1) / n
}

/** Ranks, from 1 and not whole, between which the quantile `q` of `n` observations lies. */
export function quantileRanks(q: number, n: number): Interval {
  const half = Z * Math.sqrt(n * q * (1 - q))
  return { from: n * q - half, to: n * q + half + 1 }
}
