/**
 * What a measurement says about what was promised, and about the stored baseline. Only what the interval supports is
 * claimed: an interval on both sides of a limit decides nothing.
 */
import type { PairSummary, PointSummary, Summary } from './summary.ts'

export interface Target {
  readonly what: string
  readonly work: string
  readonly point: string
  readonly held: string
  readonly against: string
  readonly measure: 'cpu' | 'perSecond'
  readonly atMost?: number
  readonly atLeast?: number
}

export const TARGETS: readonly Target[] = [
  cpuTarget('pass-through costs HAProxy with its log', 'pass-through', '0.1 KB, saturation', [
    'gateway',
    'haproxy',
    1.05,
  ]),
  cpuTarget('pipelined over unix: costs less', 'pass-through', '0.1 KB, saturation', [
    'gateway, unix: and pipelined',
    'haproxy',
    0.85,
  ]),
  cpuTarget('split, shadow and log cost half of nginx', 'shadow', 'saturation', ['gateway', 'nginx', 0.55]),
  cpuTarget('10,000 models cost what one does', 'many-models', 'saturation', [
    '10,000 models',
    'one model',
    1.05,
  ]),
  {
    what: 'batched local scoring keeps up with the runtime',
    work: 'local-scoring',
    point: '64 rows, 8 at a time',
    held: 'gateway',
    against: 'runtime',
    measure: 'perSecond',
    atLeast: 0.9,
  },
]

function cpuTarget(
  what: string,
  work: string,
  point: string,
  [held, against, atMost]: readonly [string, string, number],
): Target {
  return { what, work, point, held, against, measure: 'cpu', atMost }
}

export interface Judged {
  readonly what: string
  readonly limit: string
  readonly measured: string
  readonly verdict: 'met' | 'missed' | 'undecided' | 'not measured'
}

export function judgeTargets(all: readonly Summary[]): Judged[] {
  const points = pairedOf(all)
  return [...TARGETS.map((target) => judge(target, points)), judgeLatency(points)]
}

function pairedOf(all: readonly Summary[]): PointSummary[] {
  return all.filter((one): one is PointSummary => one.kind === 'paired')
}

function judge(target: Target, points: readonly PointSummary[]): Judged {
  const { what, atMost, atLeast } = target
  const limit = atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`
  const place = points.find(({ work, point }) => work === target.work && point === target.point)
  const pair = place?.pairs.find(({ held, against }) => held === target.held && against === target.against)
  if (place === undefined || pair === undefined) return { what, limit, measured: '', verdict: 'not measured' }
  const { median, low, high } = pair[target.measure]
  const isMet = atMost === undefined ? low >= atLeast! : high <= atMost
  const isMissed = atMost === undefined ? high < atLeast! : low > atMost
  const told = isMet ? 'met' : isMissed ? 'missed' : 'undecided'
  // On a disturbed machine a miss may be the disturbance, and so may a hit.
  const verdict = place.isDisturbed ? 'undecided' : told
  const disturbed = place.isDisturbed ? ', machine disturbed' : ''
  return { what, limit, measured: `${median} (${low}–${high}${disturbed})`, verdict }
}

const LATENCY_POINT = '0.1 KB, 5k/s'
const ADDED_US_MAX = 300

/** What the way through adds to the p99, beside asking the endpoint directly in the same blocks. */
function judgeLatency(points: readonly PointSummary[]): Judged {
  const what = 'added p99 at 5k/s'
  const limit = `≤ ${ADDED_US_MAX} µs or HAProxy's`
  const place = points.find(({ work, point }) => work === 'pass-through' && point === LATENCY_POINT)
  const p99 = (name: string): number => place?.parts[name]?.latency.p99 ?? Number.NaN
  const mine = p99('gateway') - p99('direct')
  const theirs = p99('haproxy') - p99('direct')
  if (place === undefined || Number.isNaN(mine)) return { what, limit, measured: '', verdict: 'not measured' }
  const isMet = mine <= ADDED_US_MAX || mine <= theirs
  const verdict = place.isDisturbed ? 'undecided' : isMet ? 'met' : 'missed'
  return { what, limit, measured: `${mine.toFixed(0)} µs; HAProxy ${theirs.toFixed(0)} µs`, verdict }
}

export interface Change {
  readonly work: string
  readonly point: string
  readonly pair: string
  readonly was: string
  readonly is: string
  readonly verdict: 'better' | 'worse' | 'the same, as far as can be told' | 'machine disturbed'
}

/** Intervals that do not meet differ; how far they have to be apart beside that. */
const MARGIN = 1.03

/** Ratios are compared, never times: a ratio to a peer holds on a machine that is slower today. */
export function compareWith(baseline: readonly Summary[], points: readonly Summary[]): Change[] {
  const stored = pairedOf(baseline)
  return pairedOf(points).flatMap((now) => {
    const before = stored.find(({ work, point }) => work === now.work && point === now.point)
    return now.pairs.flatMap((pair) => {
      const old = before?.pairs.find(({ held, against }) => held === pair.held && against === pair.against)
      return old === undefined ? [] : [change(now, pair, old, before!.isDisturbed)]
    })
  })
}

/** Where either of the two was disturbed nothing is said. */
function change(now: PointSummary, pair: PairSummary, old: PairSummary, wasDisturbed: boolean): Change {
  const text = ({ cpu: { median, low, high } }: PairSummary): string => `${median} (${low}–${high})`
  const isWorse = pair.cpu.low > old.cpu.high * MARGIN
  const isBetter = pair.cpu.high * MARGIN < old.cpu.low
  const told = isWorse ? 'worse' : isBetter ? 'better' : 'the same, as far as can be told'
  return {
    work: now.work,
    point: now.point,
    pair: `${pair.held} ÷ ${pair.against}`,
    was: text(old),
    is: text(pair),
    verdict: now.isDisturbed || wasDisturbed ? 'machine disturbed' : told,
  }
}
