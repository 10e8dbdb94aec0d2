/**
 * A lane's vitals: a breaker for each version, asked before an attempt begins and told how it ended, and
 * the memory that counts (slab) and durations (histograms) are written to. What the control thread needs
 * to read them is announced once; changes of a breaker are announced as they happen.
 *
 * Each ticket is settled exactly once, whatever became of the attempt; a second time is a bug and throws.
 */
import type { BreakerName, VitalsView } from '../domain/plan.ts'
import type { Snapshot, Version } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import type { Chance } from '../kernel/chance.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import type { BreakerChange, LaneAnnouncement } from './announcements.ts'
import {
  admits,
  type Breaker,
  type BreakerEvent,
  closedBreaker,
  nameAt,
  step,
  type Terms,
  type Verdict,
} from './breaker.ts'
import { Histograms } from './histograms.ts'
import { seriesCount } from './series.ts'
import { VitalsSlab } from './vitals-slab.ts'

/** Leave for one attempt. */
export interface Ticket {
  readonly version: Version
  readonly epoch: number
  /** 0: not a probe. */
  readonly probe: number
  settled: boolean
}

export interface VitalsParts {
  readonly snapshot: Snapshot
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

const LOOK: BreakerEvent = { kind: 'look' }
const START: BreakerEvent = { kind: 'start' }

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
    const now = clock.now()
    this.#cells = parts.snapshot.versions.map((version) => makeCell(version, parts, now))
  }

  /** The latest changes of this lane, oldest first. */
  get changes(): readonly BreakerChange[] {
    return this.#changes
  }

  /** Null: the breaker refuses. In dry-run (`enforce = false`) it never does. */
  admit(version: Version, now: number): Ticket | null {
    const cell = this.#cellOf(version)
    if (cell.breaker.kind === 'closed') return ticketOf(version, cell.breaker, 0)
    this.#apply(cell, LOOK, now)
    const { settings } = cell.terms
    if (!admits(cell.breaker, settings)) {
      this.slab.breakerRefused(version.index)
      return settings.enforce ? null : ticketOf(version, cell.breaker, 0)
    }
    this.#apply(cell, START, now)
    return ticketOf(version, cell.breaker, cell.breaker.kind === 'half-open' ? cell.breaker.issued : 0)
  }

  /** `totalMs`: what the attempt took, for the slow rate. */
  settle(ticket: Ticket, verdict: Verdict, totalMs: number, now: number): void {
    assert(!ticket.settled, 'a ticket is settled once')
    ticket.settled = true
    const { epoch, probe, version } = ticket
    this.#apply(this.#cellOf(version), { kind: 'end', epoch, probe, verdict, totalMs }, now)
  }

  /** How long a caller that was refused should wait; 0 when it would be let in. */
  retryAfterMs(version: Version, now: number): number {
    const { breaker, terms } = this.#cellOf(version)
    switch (breaker.kind) {
      case 'closed':
        return 0
      case 'open':
        return Math.max(0, breaker.until - now)
      case 'half-open':
        return admits(breaker, terms.settings) ? 0 : terms.settings.openForMs
    }
  }

  #breakerOf(version: Version, now: number): BreakerName {
    return nameAt(this.#cellOf(version).breaker, now)
  }

  #apply(cell: Cell, event: BreakerEvent, now: number): void {
    const before = cell.breaker
    const after = step(before, event, now, cell.terms)
    cell.breaker = after
    if (after.epoch !== before.epoch) this.#changed(cell, before, after)
  }

  #changed({ version, terms }: Cell, before: Breaker, after: Breaker): void {
    const { chance, announce, onBreaker } = this.#parts
    if (after.kind === 'open') terms.jitter = chance.next()
    const at = this.#clock.wall()
    this.slab.breaker(version.index, after.kind, at)
    const change: BreakerChange = {
      model: version.model,
      version: version.name,
      from: before.kind,
      to: after.kind,
      why: after.why,
      at,
      enforced: terms.settings.enforce,
    }
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
  readonly version: Version
  /** `jitter` is drawn anew after each opening. */
  readonly terms: Terms & { jitter: number }
  breaker: Breaker
}

function makeCell(version: Version, { snapshot, chance }: VitalsParts, now: number): Cell {
  const model = snapshot.models.get(version.model)
  assert(model !== undefined, `version ${version.name} has no model`)
  const { queueMs, connectMs, totalMs } = model.timeouts
  const settings = model.breaker
  const leaseMs = queueMs + connectMs + totalMs + LEASE_SPARE_MS
  return {
    version,
    terms: { settings, jitter: chance.next(), leaseMs },
    breaker: closedBreaker(settings, now),
  }
}

function ticketOf(version: Version, { epoch }: Breaker, probe: number): Ticket {
  return { version, epoch, probe, settled: false }
}
