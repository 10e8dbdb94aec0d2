/**
 * From windows to what is said of them: a median with its interval for everything that is taken per block, percentiles
 * over all requests of all blocks together.
 */
import { Histogram, type Told } from './histogram.ts'
import type { Ran } from './load.ts'
import type { Block, Measured } from './paired.ts'
import { type Estimate, estimate, rounded } from './statistics.ts'
import { type PairedWork, type Point, REQUESTS, type Unit } from './work.ts'

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly samples: number
}

export interface PartSummary {
  /** µs of all threads for a request (or an event). */
  readonly cpu: Estimate
  /** µs of its busiest thread. */
  readonly busiestThread: Estimate
  readonly perSecond: number
  /** Asked at a rate, it fell behind. */
  readonly isBehind: boolean
  /** Of a core: near 1 at saturation, or it was not this that was saturated. */
  readonly busy: number
  /** Copies that reached the shadow for each request, where the work has one. */
  readonly copies?: number
  /** µs. */
  readonly latency: Percentiles
  readonly lagP99: number
  readonly firstEvent?: Percentiles
  readonly eventDelay?: Percentiles
  readonly eventStretch?: Percentiles
}

export interface PairSummary {
  readonly held: string
  readonly against: string
  readonly cpu: Estimate
  readonly busiestThread: Estimate
  readonly perSecond: Estimate
  /** Absent where there is no latency to divide by. */
  readonly p50?: Estimate
  readonly p99?: Estimate
}

export interface FreshSummary {
  readonly kind: 'fresh'
  readonly work: string
  readonly point: string
  readonly unit: string
  readonly blocks: number
  readonly values: Readonly<Record<string, Estimate>>
  readonly pairs: readonly { readonly held: string; readonly against: string; readonly value: Estimate }[]
}

export type Summary = PointSummary | FreshSummary

export interface PointSummary {
  readonly kind: 'paired'
  readonly work: string
  readonly point: string
  readonly unit: string
  readonly blocks: number
  readonly setAside: number
  /** Too few blocks were quiet: all of them count, and nothing is proved by them. */
  readonly isDisturbed: boolean
  readonly parts: Readonly<Record<string, PartSummary>>
  readonly pairs: readonly PairSummary[]
}

const QUIET_SHARE = 0.6

export function summarize(work: PairedWork, { point, blocks: all }: Measured): PointSummary {
  const quiet = all.filter(({ isDisturbed }) => !isDisturbed)
  const isDisturbed = quiet.length < QUIET_SHARE * all.length || quiet.length < 3
  const blocks = isDisturbed ? all : quiet
  const unit = work.unit ?? REQUESTS
  const names = [...all[0]!.windows.keys()]
  const known = work.parts.map(({ name }) => name).filter((name) => names.includes(name))
  const pairs = work.pairs.filter(({ held, against }) => known.includes(held) && known.includes(against))
  return {
    kind: 'paired',
    work: work.name,
    point: point.name,
    unit: unit.name,
    blocks: blocks.length,
    setAside: all.length - quiet.length,
    isDisturbed,
    parts: Object.fromEntries(
      known.map((name) => [name, partOf(windowsOf(blocks, name), unit, rateOf(point))]),
    ),
    pairs: pairs.map(({ held, against }) => ({
      held,
      against,
      ...ratios(windowsOf(blocks, held), windowsOf(blocks, against), unit),
    })),
  }
}

function windowsOf(blocks: readonly Block[], name: string): Ran[] {
  return blocks.map(({ windows }) => windows.get(name)!)
}

const cpuOf = (ran: Ran, unit: Unit): number => ran.cpuNs / 1000 / unit.countOf(ran)
const busiestOf = (ran: Ran, unit: Unit): number => ran.busiestThreadNs / 1000 / unit.countOf(ran)

function rateOf({ words }: Point): number {
  return Number(/(?:^| )rate=(\d+)/.exec(words)?.[1] ?? 0)
}

const BEHIND_SHARE = 0.95

function partOf(windows: readonly Ran[], unit: Unit, rate: number): PartSummary {
  const { firstEvent, eventDelay, eventStretch } = windows[0]!
  const merged = (key: 'firstEvent' | 'eventDelay' | 'eventStretch') =>
    percentiles(windows.map((ran) => ran[key]!))
  return {
    cpu: estimate(windows.map((ran) => cpuOf(ran, unit))),
    busiestThread: estimate(windows.map((ran) => busiestOf(ran, unit))),
    perSecond: estimate(windows.map((ran) => unit.countOf(ran) / ran.seconds)).median,
    isBehind: estimate(windows.map(({ perSecond }) => perSecond)).median < rate * BEHIND_SHARE,
    busy: estimate(windows.map((ran) => ran.cpuNs / 1e9 / ran.seconds)).median,
    ...copiesOf(windows),
    latency: percentiles(windows.map(({ latency }) => latency)),
    lagP99: percentiles(windows.map(({ lag }) => lag)).p99,
    ...(firstEvent === undefined ? {} : { firstEvent: merged('firstEvent') }),
    ...(eventDelay === undefined ? {} : { eventDelay: merged('eventDelay') }),
    ...(eventStretch === undefined ? {} : { eventStretch: merged('eventStretch') }),
  }
}

/** The third place of the endpoint is the shadow's. */
function copiesOf(windows: readonly Ran[]): Pick<PartSummary, 'copies'> {
  const sum = (place: number): number =>
    windows.reduce((all, { endpoints }) => all + (endpoints[place]?.requests ?? 0), 0)
  return sum(2) === 0 ? {} : { copies: rounded(sum(2) / (sum(0) + sum(1))) }
}

function percentiles(parts: readonly Told[]): Percentiles {
  const histogram = Histogram.of(parts)
  const at = (share: number): number => (histogram.count === 0 ? 0 : rounded(histogram.quantile(share)))
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), samples: histogram.count }
}

function ratios(
  held: readonly Ran[],
  against: readonly Ran[],
  unit: Unit,
): Omit<PairSummary, 'held' | 'against'> {
  const ratio = (value: (ran: Ran) => number): Estimate =>
    estimate(held.map((ran, index) => value(ran) / value(against[index]!)))
  return {
    cpu: ratio((ran) => cpuOf(ran, unit)),
    busiestThread: ratio((ran) => busiestOf(ran, unit)),
    perSecond: ratio((ran) => unit.countOf(ran) / ran.seconds),
    ...(against[0]!.latency.count === 0
      ? {}
      : { p50: ratio(({ latency }) => latency.p50), p99: ratio(({ latency }) => latency.p99) }),
  }
}
