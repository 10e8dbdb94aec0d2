/**
 * The control thread's side of the vitals: takes what lanes announce and answers what people and
 * machines ask about them. Asking costs the lanes nothing. Bounded: by lanes, series and CHANGES_KEPT.
 */
import type { Snapshot } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import type { BreakerChange, LaneAnnouncement } from './announcements.ts'
import { EndedLanes } from './ended-lanes.ts'
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
import { layoutOf } from './vitals-slab.ts'

export interface ObservatoryParts {
  readonly snapshot: () => Snapshot
  /** What lanes share (breaker-memory.ts). */
  readonly breakers: SharedArrayBuffer
  readonly clock: Clock
  /** Of this program. */
  readonly version: string
  /** Of the gateway; absent: nothing is told of them. */
  readonly limits?: Limits
  /** Of parts that are not lanes: the log, the pool. Asked for at scrape. */
  readonly more?: () => readonly Metric[]
}

export class Observatory {
  readonly #snapshot: () => Snapshot
  readonly #metrics: readonly Metric[]
  readonly #more: () => readonly Metric[]
  readonly #breakers: SharedArrayBuffer
  readonly #limits: Limits | undefined
  readonly #changes: BreakerChange[] = []
  /** By seat. */
  readonly #lanes = new Map<number, Heard>()
  readonly #ended = new EndedLanes()

  constructor({ snapshot, breakers, clock, version, limits, more = () => [] }: ObservatoryParts) {
    this.#snapshot = snapshot
    this.#limits = limits
    this.#breakers = breakers
    const own = limits === undefined ? [] : limitMetrics(snapshot, limits)
    this.#metrics = [...processMetrics(version, clock), ...METRICS, ...own]
    this.#more = more
  }

  /** `seat`: of the lane's thread. A new slab under a known number replaces all that the earlier thread said. */
  take(seat: number, announcement: LaneAnnouncement): void {
    const heard = this.#lanes.get(seat) ?? newlyHeard(seat)
    this.#lanes.set(seat, heard)
    switch (announcement.kind) {
      case 'slab':
        heard.slab = announcement.buffer
        heard.histograms.clear()
        return
      case 'histogram':
        heard.histograms.set(announcement.series, announcement.buffer)
        return
      case 'breaker':
        this.#changes.push(announcement.change)
        // Lanes announce each its own changes: they may come in another order than they happened.
        this.#changes.sort((one, other) => one.at - other.at || one.epoch - other.epoch)
        if (this.#changes.length > CHANGES_KEPT) this.#changes.shift()
    }
  }

  /** The thread in this seat has ended. What it counted stays counted. */
  retire(seat: number): void {
    const heard = this.#lanes.get(seat)
    if (heard === undefined) return
    this.#lanes.delete(seat)
    this.#ended.add(heard, layoutOf(this.#snapshot()))
  }

  /** Those of threads that run, and all others together as the last. */
  get lanes(): readonly LaneReading[] {
    return [...this.#lanes.values(), this.#ended]
  }

  reading(): Reading {
    return new Reading(this.#snapshot(), this.lanes, { breakers: this.#breakers, changes: this.#changes })
  }

  /** `accept`: the request header, or empty. */
  metrics(accept: string): Promise<MetricsText> {
    return renderMetrics([...this.#metrics, ...this.#more()], this.reading(), accept)
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
}

function newlyHeard(seat: number): Heard {
  return { isRunning: true, seat, slab: null, histograms: new Map() }
}
