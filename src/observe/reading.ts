/**
 * The vitals of all lanes at one moment, added up when asked. Made for one answer (a scrape, a report)
 * and dropped with it. Reads shared memory only: no lane notices.
 */
import type { BreakerName } from '../domain/plan.ts'
import type { Model, Snapshot } from '../domain/routes.ts'
import { AtomicWords } from '../kernel/atomic-words.ts'
import { laneOf } from '../kernel/lane-seats.ts'
import type { BreakerChange } from './announcements.ts'
import { BreakerMemory } from './breaker-memory.ts'
import { kindOf, nameOfKind, readAccount } from './breaker-state.ts'
import { Hdr } from './hdr.ts'
import { SLAB_FORMAT, type SlabLayout } from './slab-layout.ts'
import { layoutOf } from './vitals-slab.ts'

/** What a lane announced so far. Plain data and shared memory. */
export interface LaneReading {
  /** False: what ended lanes had counted. */
  readonly isRunning: boolean
  /** Of its thread; -1: of none. */
  readonly seat: number
  readonly slab: SharedArrayBuffer | null
  /** By series. */
  readonly histograms: ReadonlyMap<number, SharedArrayBuffer>
}

/** What lanes share, and what they announced of it. */
export interface SharedReading {
  readonly breakers: SharedArrayBuffer
  /** Oldest first, the latest CHANGES_KEPT. */
  readonly changes: readonly BreakerChange[]
}

export class Reading {
  readonly snapshot: Snapshot
  /** In the order of their index. */
  readonly models: readonly Model[]
  readonly layout: SlabLayout
  readonly #lanes: readonly LaneReading[]
  readonly #breakers: { readonly words: AtomicWords; readonly memory: BreakerMemory }
  /** Of all breakers, oldest first. */
  readonly changes: readonly BreakerChange[]
  readonly #slabs: readonly Float64Array[]
  readonly #running: readonly { readonly seat: number; readonly words: Float64Array }[]
  /** That run. */
  readonly laneCount: number
  readonly #histograms = new Map<number, Hdr>()

  constructor(snapshot: Snapshot, lanes: readonly LaneReading[], shared: SharedReading) {
    this.snapshot = snapshot
    this.models = [...snapshot.models.values()].sort((a, b) => a.index - b.index)
    const layout = layoutOf(snapshot)
    this.layout = layout
    this.#lanes = lanes
    this.#breakers = { words: new AtomicWords(shared.breakers), memory: new BreakerMemory(snapshot) }
    this.changes = shared.changes
    const fitting = lanes.filter(({ slab }) => slab !== null && fits(slab, layout))
    this.#slabs = fitting.map(({ slab }) => new Float64Array(slab!))
    this.#running = fitting.flatMap(({ isRunning, seat, slab }) =>
      isRunning ? [{ seat, words: new Float64Array(slab!) }] : [],
    )
    this.laneCount = this.#running.length
  }

  /** `at`: Unix ms of the last change, 0: there was none. */
  breaker(versionIndex: number): { readonly state: BreakerName; readonly at: number } {
    const { words, memory } = this.#breakers
    const { state, at } = readAccount(words, memory.placeOf(versionIndex))
    return { state: nameOfKind(kindOf(state)), at }
  }

  /** A word of the layout, added up over the lanes. */
  sum(at: number): number {
    let total = 0
    for (const words of this.#slabs) total += words[at]!
    return total
  }

  /** A word of each lane that runs; of one that is being replaced, the larger of its two threads'. */
  perLane(at: number): ReadonlyMap<number, number> {
    const values = new Map<number, number>()
    for (const { seat, words } of this.#running) {
      const lane = laneOf(seat, this.snapshot.server.lanes)
      values.set(lane, Math.max(values.get(lane) ?? 0, words[at]!))
    }
    return values
  }

  /** A word of the layout, of the lane where it is largest; at least 0. */
  most(at: number): number {
    return Math.max(0, ...this.#slabs.map((words) => words[at]!))
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
