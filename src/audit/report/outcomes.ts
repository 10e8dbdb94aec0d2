/** What became of the decisions: money and labels that came later, by the version that had answered. */
import type { Moments } from '../../analysis/interval.ts'
import { meanEstimate, together } from './comparisons.ts'
import type { Facts } from './facts.ts'
import type { OutcomeSummary } from './report.ts'
import { type Tally, taken } from './tally.ts'

/** As ISO 4217 writes currencies. */
const CURRENCY = /^[A-Z]{3}$/

interface Sum {
  moments: Moments
  readonly totalOverTime: number[]
}

/** Money first, then by name. */
export function outcomesOf({ outcomes, slots }: Facts, tally: Tally): OutcomeSummary[] {
  const kinds = new Map<string, Map<string, Sum>>()
  for (const one of outcomes) {
    const versions = taken(kinds, `${one.name}\u0000${one.unit}`, () => new Map<string, Sum>())
    const sum = taken(versions, one.version, () => ({
      moments: { n: 0, sum: 0, sumOfSquares: 0 },
      totalOverTime: new Array<number>(slots.starts.length).fill(0),
    }))
    sum.moments = together(sum.moments, one)
    sum.totalOverTime[one.slot]! += one.sum
  }
  const summaries = [...kinds].map(([key, versions]) => {
    const [name = '', unit = ''] = key.split('\u0000')
    return { name, unit, isMoney: CURRENCY.test(unit), versions: versionsOf(versions, tally) }
  })
  return summaries.sort(
    (a, b) =>
      Number(b.isMoney) - Number(a.isMoney) || (a.name < b.name ? -1 : 1) || (a.unit < b.unit ? -1 : 1),
  )
}

function versionsOf(versions: ReadonlyMap<string, Sum>, tally: Tally): OutcomeSummary['versions'] {
  return [...versions]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([version, { moments, totalOverTime }]) => ({
      version,
      total: moments.sum,
      mean: meanEstimate(moments),
      decisions: tally.versions.get(version)?.answers ?? 0,
      withOutcome: moments.n,
      totalOverTime,
    }))
}
