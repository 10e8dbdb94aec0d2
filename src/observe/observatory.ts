/**
 * The control thread's side of the vitals: takes what lanes announce and answers what people and
 * machines ask about them. Asking costs the lanes nothing. Bounded: by lanes, series and CHANGES_KEPT.
 */
import type { Snapshot } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import type { BreakerChange, LaneAnnouncement } from './announcements.ts'
import { type LimitReport, type Limits, limitMetrics, limitReports } from './limits-memory.ts'
import { METRICS, type Metric } from './metric-table.ts'
import { type MetricsText, renderMetrics } from './metrics.ts'
import { processMetrics } from './process-metrics.ts'
import { type LaneReading, Reading } from './reading.ts'
import {
  type BreakerReport,
  breakerReports,
  type DurationStats,
  durationStats,
  type EncodedHistogram,
  encodedHistograms,
  type ModelTraffic,
  modelTraffic,
} from './reports.ts'
import { CHANGES_KEPT } from './vitals.ts'

export interface ObservatoryParts {
  readonly snapshot: () => Snapshot
  readonly clock: Clock
  /** Of this program. */
  readonly version: string
  /** Of parts that are not lanes: the log, the pool. Their samples are read at scrape. */
  readonly more?: readonly Metric[]
  /** Of the gateway; absent: nothing is told of them. */
  readonly limits?: Limits
}

export class Observatory {
  readonly #snapshot: () => Snapshot
  readonly #metrics: readonly Metric[]
  readonly #lanes = new Map<number, Heard>()
  readonly #limits: Limits | undefined

  constructor({ snapshot, clock, version, more = [], limits }: ObservatoryParts) {
    this.#limits = limits
    this.#snapshot = snapshot
    const own = limits === undefined ? [] : limitMetrics(snapshot, limits)
    this.#metrics = [...processMetrics(version, clock), ...METRICS, ...own, ...more]
  }

  /** `lane`: its number. A new slab under a known number replaces all that the earlier lane said. */
  take(lane: number, announcement: LaneAnnouncement): void {
    const heard = this.#lanes.get(lane) ?? newlyHeard(lane)
    this.#lanes.set(lane, heard)
    switch (announcement.kind) {
      case 'slab':
        heard.slab = announcement.buffer
        heard.histograms.clear()
        return
      case 'histogram':
        heard.histograms.set(announcement.series, announcement.buffer)
        return
      case 'breaker':
        heard.changes.push(announcement.change)
        if (heard.changes.length > CHANGES_KEPT) heard.changes.shift()
    }
  }

  get lanes(): readonly LaneReading[] {
    return [...this.#lanes.values()]
  }

  reading(): Reading {
    return new Reading(this.#snapshot(), this.lanes)
  }

  /** `accept`: the request header, or empty. */
  metrics(accept: string): Promise<MetricsText> {
    return renderMetrics(this.#metrics, this.reading(), accept)
  }

  stats(): readonly DurationStats[] {
    return durationStats(this.reading())
  }

  limits(): readonly LimitReport[] {
    return this.#limits === undefined ? [] : limitReports(this.#snapshot(), this.#limits)
  }

  histograms(): readonly EncodedHistogram[] {
    return encodedHistograms(this.reading())
  }

  breakers(): readonly BreakerReport[] {
    return breakerReports(this.reading())
  }

  traffic(): readonly ModelTraffic[] {
    return modelTraffic(this.reading())
  }
}

interface Heard extends LaneReading {
  slab: SharedArrayBuffer | null
  readonly histograms: Map<number, SharedArrayBuffer>
  readonly changes: BreakerChange[]
}

function newlyHeard(lane: number): Heard {
  return { lane, slab: null, histograms: new Map(), changes: [] }
}
