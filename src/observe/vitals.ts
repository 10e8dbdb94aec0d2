/**
 * A lane's vitals: its end of each version's breaker, asked before an attempt begins and told how it ended, and
 * the memory that counts (slab) and durations (histograms) are written to. What the control thread needs
 * to read them is announced once; changes of a breaker are announced as they happen, by the lane that made them.
 *
 * Each ticket is settled exactly once, whatever became of the attempt; a second time is a bug and throws.
 */
import type { BreakerName, VitalsView } from '../domain/plan.ts'
import type { Snapshot, Version } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import { AtomicWords } from '../kernel/atomic-words.ts'
import type { Chance } from '../kernel/chance.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import type { BreakerChange, LaneAnnouncement } from './announcements.ts'
import { BreakerMemory } from './breaker-memory.ts'
import type { Verdict } from './breaker-rules.ts'
import { Histograms } from './histograms.ts'
import { JointBreaker, type Leave, type StateChange } from './joint-breaker.ts'
import { seriesCount } from './series.ts'
import { VitalsSlab } from './vitals-slab.ts'

/** Leave for one attempt. */
export interface Ticket extends Leave {
  readonly version: Version
  settled: boolean
}

export interface VitalsParts {
  readonly snapshot: Snapshot
  /** Made by `BreakerMemory` for this snapshot; of its own when absent. */
  readonly breakers?: SharedArrayBuffer
  /** Which place in it is this thread's and nobody else's. */
  readonly seat?: number
  readonly chance: Chance
  /** Dates the changes; the breakers themselves are told the time. The system's when absent. */
  readonly clock?: Clock
  /** To the control thread. Called for the slab before the constructor returns. */
  readonly announce?: (announcement: LaneAnnouncement) => void
  readonly onBreaker?: (change: BreakerChange) => void
  readonly histogramsMax?: number
}

export const CHANGES_KEPT = 64
/** A probe's lease outlasts every timer of its attempt by this. */
const LEASE_SPARE_MS = 1000

export class Vitals {
  readonly view: VitalsView = { breakerOf: (version, now) => this.#breakerOf(version, now) }
  readonly slab: VitalsSlab
  readonly histograms: Histograms
  readonly #parts: VitalsParts
  readonly #clock: Clock
  readonly #cells: readonly Cell[]
  readonly #changes: BreakerChange[] = []

  constructor(parts: VitalsParts) {
    const { snapshot, clock = systemClock, announce, histogramsMax } = parts
    this.#parts = parts
    this.#clock = clock
    this.slab = new VitalsSlab(snapshot)
    this.histograms = new Histograms({
      series: seriesCount(this.slab.layout.shape),
      limit: histogramsMax,
      onHistogram: announce,
      onRefused: () => this.slab.histogramRefused(),
    })
    announce?.({ kind: 'slab', buffer: this.slab.buffer })
    this.#cells = makeCells(parts, clock, (version, change) => this.#changed(version, change))
  }

  /** The latest changes of this lane, oldest first. */
  get changes(): readonly BreakerChange[] {
    return this.#changes
  }

  /** Null: the breaker refuses. In dry-run (`enforce = false`) it never does. */
  admit(version: Version, now: number): Ticket | null {
    const { breaker, enforce } = this.#cellOf(version)
    const epoch = breaker.closedEpoch
    if (epoch !== -1) return { version, epoch, probe: 0, claim: 0, settled: false }
    const leave = breaker.admit(now)
    if (leave !== null) return ticketOf(version, leave)
    this.slab.breakerRefused(version.index)
    return enforce ? null : { version, epoch: breaker.epoch, probe: 0, claim: 0, settled: false }
  }

  /** `totalMs`: what the attempt took, for the slow rate. */
  settle(ticket: Ticket, verdict: Verdict, totalMs: number, now: number): void {
    assert(!ticket.settled, 'a ticket is settled once')
    ticket.settled = true
    this.#cellOf(ticket.version).breaker.settle(ticket, verdict, totalMs, now)
  }

  /** How long a caller that was refused should wait; 0 when it would be let in. */
  retryAfterMs(version: Version, now: number): number {
    return this.#cellOf(version).breaker.retryAfterMs(now)
  }

  #breakerOf(version: Version, now: number): BreakerName {
    return this.#cellOf(version).breaker.nameAt(now)
  }

  #changed({ index, model, name }: Version, { from, to, why, epoch }: StateChange): void {
    const { announce, onBreaker, snapshot } = this.#parts
    const at = this.#clock.wall()
    const enforced = snapshot.models.get(model)!.breaker.enforce
    if (to === 'open') this.slab.breakerOpened(index)
    const change: BreakerChange = { model, version: name, from, to, why, at, enforced, epoch }
    this.#changes.push(change)
    if (this.#changes.length > CHANGES_KEPT) this.#changes.shift()
    announce?.({ kind: 'breaker', change })
    onBreaker?.(change)
  }

  #cellOf(version: Version): Cell {
    const cell = this.#cells[version.index]
    assert(cell !== undefined, `version ${version.name} is not of this configuration`)
    return cell
  }
}

interface Cell {
  readonly breaker: JointBreaker
  readonly enforce: boolean
}

function makeCells(
  { snapshot, chance, breakers, seat = 0 }: VitalsParts,
  clock: Clock,
  onChange: (version: Version, change: StateChange) => void,
): readonly Cell[] {
  const memory = new BreakerMemory(snapshot)
  const words = new AtomicWords(breakers ?? memory.create())
  const jitter = () => chance.next()
  const wall = () => clock.wall()
  return snapshot.versions.map((version) => {
    const model = snapshot.models.get(version.model)
    assert(model !== undefined, `version ${version.name} has no model`)
    const { queueMs, connectMs, totalMs } = model.timeouts
    const breaker = new JointBreaker({
      words,
      place: memory.placeOf(version.index),
      seat,
      settings: model.breaker,
      leaseMs: queueMs + connectMs + totalMs + LEASE_SPARE_MS,
      jitter,
      wall,
      onChange: (change) => onChange(version, change),
    })
    return { breaker, enforce: model.breaker.enforce }
  })
}

function ticketOf(version: Version, { epoch, probe, claim }: Leave): Ticket {
  return { version, epoch, probe, claim, settled: false }
}
