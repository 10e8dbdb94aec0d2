/**
 * Before and after a change, version by version: numbers with the range in which they lie, and a verdict only where the
 * log has enough to tell. Each verdict is at 95 %: of twenty, one errs by chance alone.
 */
import {
  type Counted,
  type Interval,
  type Moments,
  meanDifference,
  meanInterval,
  meanOf,
  shareDifference,
  wilson,
} from '../../analysis/interval.ts'
import type { OutcomeFact, Range } from './facts.ts'
import { isoOf } from './field.ts'
import type { Latencies } from './latencies.ts'
import type { Comparison, Difference, Estimate, Pair } from './report.ts'
import { type PeriodTally, taken, VersionTally } from './tally.ts'

/** Fewer than this on either side tell nothing about a share or a mean. */
export const TELLING_MIN = 30
const P99 = 0.99

export interface Side {
  readonly span: Range
  readonly tally: PeriodTally
  readonly outcomes: readonly OutcomeFact[]
}

export function compared(before: Side, after: Side): Comparison {
  const versions = [...new Set([...before.tally.versions.keys(), ...after.tally.versions.keys()])].sort()
  return {
    before: spanOf(before),
    after: spanOf(after),
    versions: versions.map((version) => {
      const [one, two] = [partOf(before, version), partOf(after, version)]
      return { version, share: shareOfAll([before, one], [after, two]), ...differenceOf(one, two) }
    }),
    beside: besideOf(after),
  }
}

function spanOf({ span, tally }: Side): Comparison['before'] {
  return { from: isoOf(span.from), to: isoOf(span.to), requests: tally.requests }
}

/** One version on one side. */
interface Part {
  readonly tally: VersionTally
  /** By name and unit, joined by a zero. */
  readonly outcomes: ReadonlyMap<string, Moments>
}

const NOTHING = new VersionTally()

function partOf({ tally, outcomes }: Side, version: string): Part {
  return { tally: tally.versions.get(version) ?? NOTHING, outcomes: momentsOf(version, outcomes) }
}

function shareOfAll([before, one]: [Side, Part], [after, two]: [Side, Part]): Pair {
  return sharePair(
    { hits: one.tally.answers, trials: before.tally.requests },
    { hits: two.tally.answers, trials: after.tally.requests },
  )
}

function differenceOf(one: Part, two: Part): Difference {
  return {
    troubleRate: sharePair(
      { hits: one.tally.troubled, trials: one.tally.meant },
      { hits: two.tally.troubled, trials: two.tally.meant },
    ),
    p99Ms: latencyPair(one.tally.latencies, two.tally.latencies),
    outcomes: outcomePairs(one.outcomes, two.outcomes),
  }
}

function besideOf(side: Side): Comparison['beside'] {
  const byAnswers = [...side.tally.versions].sort(([, a], [, b]) => b.answers - a.answers)
  const [most, ...others] = byAnswers.map(([version]) => version)
  if (most === undefined) return []
  const standard = partOf(side, most)
  return others
    .sort()
    .map((version) => ({ version, against: most, ...differenceOf(standard, partOf(side, version)) }))
}

function sharePair(before: Counted, after: Counted): Pair {
  const pair = { before: shareEstimate(before), after: shareEstimate(after) }
  if (pair.before === null || pair.after === null) return { ...pair, verdict: 'one-sided' }
  if (Math.min(before.trials, after.trials) < TELLING_MIN) return { ...pair, verdict: 'too-few-to-tell' }
  return { ...pair, verdict: verdictOf(shareDifference(before, after)) }
}

/** Null of nothing. */
export function shareEstimate({ hits, trials }: Counted): Estimate | null {
  if (trials === 0) return null
  const { from, to } = wilson(hits, trials)
  return { value: hits / trials, low: from, high: to, n: trials }
}

function latencyPair(before: Latencies, after: Latencies): Pair {
  const [one, two] = [before.estimate(P99), after.estimate(P99)]
  const pair = { before: one, after: two }
  if (one === null || two === null) return { ...pair, verdict: 'one-sided' }
  if (one.high === null || two.high === null) return { ...pair, verdict: 'too-few-to-tell' }
  if (two.low! > one.high) return { ...pair, verdict: 'higher' }
  return { ...pair, verdict: two.high < one.low! ? 'lower' : 'no-clear-difference' }
}

function outcomePairs(one: Part['outcomes'], two: Part['outcomes']): Difference['outcomes'] {
  return [...new Set([...one.keys(), ...two.keys()])].sort().map((key) => {
    const [name = '', unit = ''] = key.split('\u0000')
    const [earlier, later] = [one.get(key) ?? NONE, two.get(key) ?? NONE]
    const pair = { name, unit, before: meanEstimate(earlier), after: meanEstimate(later) }
    if (pair.before === null || pair.after === null) return { ...pair, verdict: 'one-sided' }
    if (Math.min(earlier.n, later.n) < TELLING_MIN) return { ...pair, verdict: 'too-few-to-tell' }
    return { ...pair, verdict: verdictOf(meanDifference(earlier, later)) }
  })
}

const NONE: Moments = { n: 0, sum: 0, sumOfSquares: 0 }

function momentsOf(version: string, outcomes: readonly OutcomeFact[]): Map<string, Moments> {
  const moments = new Map<string, Moments>()
  for (const one of outcomes) {
    if (one.version !== version) continue
    const key = `${one.name}\u0000${one.unit}`
    moments.set(
      key,
      together(
        taken(moments, key, () => NONE),
        one,
      ),
    )
  }
  return moments
}

export function together(one: Moments, other: Moments): Moments {
  return {
    n: one.n + other.n,
    sum: one.sum + other.sum,
    sumOfSquares: one.sumOfSquares + other.sumOfSquares,
  }
}

/** Null of nothing. */
export function meanEstimate(moments: Moments): Estimate | null {
  if (moments.n === 0) return null
  const { from, to } = meanInterval(moments)
  const isBounded = Number.isFinite(from)
  return { value: meanOf(moments), low: isBounded ? from : null, high: isBounded ? to : null, n: moments.n }
}

function verdictOf({ from, to }: Interval): Pair['verdict'] {
  if (from > 0) return 'higher'
  return to < 0 ? 'lower' : 'no-clear-difference'
}
