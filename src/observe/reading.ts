/**
 * The vitals of all lanes at one moment, added up when asked. Made for one answer (a scrape, a report)
 * and dropped with it. Reads shared memory only: no lane notices.
 */
import type { Model, Snapshot } from '../domain/routes.ts'
import type { BreakerChange } from './announcements.ts'
import { Hdr } from './hdr.ts'
import { SLAB_FORMAT, type SlabLayout } from './slab-layout.ts'
import { layoutOf } from './vitals-slab.ts'

/** What a lane announced so far. Plain data and shared memory. */
export interface LaneReading {
  readonly lane: number
  readonly slab: SharedArrayBuffer | null
  /** By series. */
  readonly histograms: ReadonlyMap<number, SharedArrayBuffer>
  /** Oldest first, the latest CHANGES_KEPT. */
  readonly changes: readonly BreakerChange[]
}

export class Reading {
  readonly snapshot: Snapshot
  /** In the order of their index. */
  readonly models: readonly Model[]
  readonly layout: SlabLayout
  readonly #lanes: readonly LaneReading[]
  readonly #slabs: readonly { readonly lane: number; readonly words: Float64Array }[]
  readonly #histograms = new Map<number, Hdr>()

  constructor(snapshot: Snapshot, lanes: readonly LaneReading[]) {
    this.snapshot = snapshot
    this.models = [...snapshot.models.values()].sort((a, b) => a.index - b.index)
    const layout = layoutOf(snapshot)
    this.layout = layout
    this.#lanes = lanes
    this.#slabs = lanes.flatMap(({ lane, slab }) =>
      slab === null || !fits(slab, layout) ? [] : [{ lane, words: new Float64Array(slab) }],
    )
  }

  get laneCount(): number {
    return this.#slabs.length
  }

  get changes(): readonly (BreakerChange & { readonly lane: number })[] {
    const all = this.#lanes.flatMap(({ lane, changes }) => changes.map((change) => ({ ...change, lane })))
    return all.sort((a, b) => a.at - b.at)
  }

  /** A word of the layout, added up over the lanes. */
  sum(at: number): number {
    let total = 0
    for (const { words } of this.#slabs) total += words[at]!
    return total
  }

  /** The same word of each lane. */
  perLane(at: number): readonly { readonly lane: number; readonly value: number }[] {
    return this.#slabs.map(({ lane, words }) => ({ lane, value: words[at]! }))
  }

  /** Series in which something was counted, ascending. */
  get series(): readonly number[] {
    const all = new Set(this.#lanes.flatMap(({ histograms }) => [...histograms.keys()]))
    return [...all].sort((a, b) => a - b)
  }

  /** All lanes merged; empty when none has it. */
  histogram(series: number): Hdr {
    const known = this.#histograms.get(series)
    if (known !== undefined) return known
    const buffers = this.#lanes.flatMap(({ histograms }) => histograms.get(series) ?? [])
    if (buffers.length === 0) return EMPTY
    const merged = new Hdr(buffers)
    this.#histograms.set(series, merged)
    return merged
  }
}

/** Of every series that was never recorded; most are. */
const EMPTY = new Hdr([])

/** A lane of another configuration is left out rather than read wrongly. */
function fits(slab: SharedArrayBuffer, layout: SlabLayout): boolean {
  const words = new Float64Array(slab)
  return (
    words.length === layout.length &&
    words[layout.laneAt('format')] === SLAB_FORMAT &&
    words[layout.laneAt('versions')] === layout.shape.versions &&
    words[layout.laneAt('models')] === layout.shape.models &&
    words[layout.laneAt('reasons')] === layout.shape.reasons
  )
}
