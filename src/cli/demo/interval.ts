/**
 * How sure a share is: Wilson's score interval (E. B. Wilson, JASA 22, 1927), which keeps its promise for
 * shares near 0 and 1 and for few observations, where the usual ± does not.
 */

/** Two-sided 95 %. */
const Z = 1.959963984540054

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
