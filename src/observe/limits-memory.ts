/**
 * What lanes share of the limits: made once by the control thread, handed to each lane at its start, read by the
 * control thread when somebody asks.
 */
import type { Model, Snapshot } from '../domain/routes.ts'
import { seatsOf } from '../kernel/lane-seats.ts'
import { AdaptiveLimits, firstLimit, makeAdaptive } from './adaptive-limits.ts'
import { GlobalPlaces, makePlaces } from './global-places.ts'
import type { Metric } from './metric-table.ts'

/** Crosses to other threads. */
export interface LimitsMemory {
  readonly places: SharedArrayBuffer
  /** Null: no model adapts. */
  readonly adaptive: SharedArrayBuffer | null
}

export interface Limits {
  readonly places: GlobalPlaces
  readonly adaptive: AdaptiveLimits | null
}

export function makeLimits({ models, server: { lanes } }: Snapshot): LimitsMemory {
  const all = [...models.values()]
  const seats = seatsOf(lanes)
  return {
    places: makePlaces(all.map(firstLimit), seats),
    adaptive: makeAdaptive({ models: all, lanes: seats }),
  }
}

/** `seat`: of the thread that asks; the control thread, which only reads, says 0. */
export function openLimits(memory: LimitsMemory, { models, server }: Snapshot, seat: number): Limits {
  const lanes = seatsOf(server.lanes)
  const places = new GlobalPlaces(memory.places, { models: models.size, lanes }, seat)
  if (memory.adaptive === null) return { places, adaptive: null }
  const shape = { models: [...models.values()], lanes }
  return { places, adaptive: new AdaptiveLimits(memory.adaptive, shape, places, seat) }
}

export interface LimitReport {
  readonly model: string
  /** Places there are now, over all lanes. */
  readonly limit: number
  /** `limits.concurrent`: the most there can be. */
  readonly concurrent: number
  readonly adaptive: boolean
  /** What an attempt takes with little under way, as an adaptive limit sees it; null: it is not known, or not asked. */
  readonly baseline_ms: number | null
  readonly running: number
  readonly queued: number
}

export function limitReports(snapshot: Snapshot, { places, adaptive }: Limits): readonly LimitReport[] {
  return [...snapshot.models.values()].map((model) => ({
    model: model.name,
    limit: places.limit(model.index),
    concurrent: model.limits.concurrent,
    adaptive: model.limits.adaptive,
    baseline_ms: baselineOf(model, adaptive),
    running: places.running(model.index),
    queued: places.queued(model.index),
  }))
}

function baselineOf(model: Model, adaptive: AdaptiveLimits | null): number | null {
  if (!model.limits.adaptive || adaptive === null) return null
  const ms = adaptive.baselineMs(model)
  return ms === 0 ? null : Math.round(ms * 1000) / 1000
}

export function limitMetrics(snapshot: () => Snapshot, { places }: Limits): readonly Metric[] {
  return [
    {
      name: 'modelgate_concurrency_limit',
      type: 'gauge',
      labels: ['model'],
      help: 'Requests that may be under way at once, over all lanes: limits.concurrent, or what limits.adaptive found.',
      samples: () =>
        [...snapshot().models.values()].map(({ name, index }) => ({
          labels: [name],
          value: places.limit(index),
        })),
    },
  ]
}
