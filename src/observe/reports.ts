/**
 * What the admin API tells of a reading, as plain JSON values: percentiles, encoded histograms, breakers.
 * Durations in ms with three decimals; N stands beside every number.
 */
import type { BreakerName } from '../domain/plan.ts'
import type { BreakerChange } from './announcements.ts'
import type { Hdr } from './hdr.ts'
import type { Reading } from './reading.ts'
import { nameOfSeries, type SeriesName } from './series.ts'
import { STATUS_CLASSES } from './slab-layout.ts'
import { reasonNames } from './vitals-slab.ts'

export interface DurationStats extends SeriesName {
  readonly count: number
  readonly mean_ms: number
  readonly p50_ms: number
  readonly p90_ms: number
  readonly p99_ms: number
  readonly p99_9_ms: number
  readonly max_ms: number
}

/** One entry for each series in which something was counted. */
export function durationStats(reading: Reading): readonly DurationStats[] {
  return reading.series.map((series) => {
    const hdr = reading.histogram(series)
    return {
      ...nameOfSeries(series, reading.snapshot),
      count: hdr.count,
      mean_ms: hdr.count === 0 ? 0 : ms(hdr.sumUs / hdr.count),
      p50_ms: percentile(hdr, 50),
      p90_ms: percentile(hdr, 90),
      p99_ms: percentile(hdr, 99),
      p99_9_ms: percentile(hdr, 99.9),
      max_ms: ms(hdr.maxUs),
    }
  })
}

export interface EncodedHistogram extends SeriesName {
  readonly count: number
  /** HdrHistogram V2, deflated, base64; values in µs. Mergeable by addition with any other of its kind. */
  readonly hdr_v2: string
}

export function encodedHistograms(reading: Reading): readonly EncodedHistogram[] {
  return reading.series.map((series) => {
    const hdr = reading.histogram(series)
    return { ...nameOfSeries(series, reading.snapshot), count: hdr.count, hdr_v2: hdr.encode() }
  })
}

export interface BreakerReport {
  readonly model: string
  readonly version: string
  readonly state: BreakerName
  /** ISO 8601 of the last change; null: never left closed. */
  readonly since: string | null
  /** The last change as a sentence; empty: there was none. */
  readonly why: string
  readonly enforced: boolean
  readonly opens: number
  readonly refusals: number
  /** Latest first. */
  readonly changes: readonly DatedChange[]
}

export interface DatedChange extends Omit<BreakerChange, 'at' | 'model' | 'version' | 'epoch'> {
  readonly at: string
}

/** One for each version, whatever lane its requests came to. */
export function breakerReports(reading: Reading): readonly BreakerReport[] {
  const { layout, snapshot } = reading
  return snapshot.versions.map(({ index, model, name }) => {
    const { state, at } = reading.breaker(index)
    const own = reading.changes.filter((change) => change.model === model && change.version === name)
    return {
      model,
      version: name,
      state,
      since: dated(at),
      why: own.at(-1)?.why ?? '',
      enforced: snapshot.models.get(model)!.breaker.enforce,
      opens: reading.sum(layout.breakerAt(index, 'opens')),
      refusals: reading.sum(layout.breakerAt(index, 'refusals')),
      changes: own.reverse().map(({ from, to, why, at: changedAt, enforced }) => ({
        from,
        to,
        why,
        at: new Date(changedAt).toISOString(),
        enforced,
      })),
    }
  })
}

function dated(unixMs: number): string | null {
  return unixMs === 0 ? null : new Date(unixMs).toISOString()
}

function percentile(hdr: Hdr, percent: number): number {
  return ms(hdr.percentileUs(percent))
}

function ms(us: number): number {
  return Math.round(us) / 1000
}

export interface ModelTraffic {
  readonly model: string
  readonly running: number
  readonly queued: number
  /** Requests finished since the start, refusals included. */
  readonly requests: number
  /** Of them, answered by each version; what is missing to `requests` no version answered. */
  readonly served: ReadonlyMap<string, number>
}

export function modelTraffic(reading: Reading): readonly ModelTraffic[] {
  const { layout, models } = reading
  return models.map((model) => {
    const served = new Map(
      [...model.versions.values()].map(({ name, index }) => [name, rowSum(reading, index)]),
    )
    const unserved = rowSum(reading, layout.rowWithoutVersion(model.index))
    return {
      model: model.name,
      running: reading.sum(layout.loadAt(model.index, 'running')),
      queued: reading.sum(layout.loadAt(model.index, 'queued')),
      requests: [...served.values()].reduce((sum, count) => sum + count, unserved),
      served,
    }
  })
}

function rowSum(reading: Reading, row: number): number {
  let total = 0
  for (const reason of reasonNames(reading.snapshot).keys()) {
    for (const statusClass of STATUS_CLASSES.keys()) {
      total += reading.sum(reading.layout.requestAt(row, reason, statusClass))
    }
  }
  return total
}
