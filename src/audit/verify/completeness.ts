/**
 * Whether records are missing, as far as the log itself can tell: every lane of every run counts its own records, so
 * one that never reached the log leaves a hole there. Holes that a gap or recovery record accounts for are declared
 * losses; others are not. Everything that an auditor should ask about is told, declared or not.
 */
import type { Frame } from '../frame.ts'
import { CONTROL_LANE, isEnvelope, laneOf, laneSequenceOf, startOf, WRITER_LANE } from '../records/payload.ts'
import { RECORD_TYPES } from '../records/record-type.ts'
import { type Fields, fieldsOf } from './note-fields.ts'

export interface Completeness {
  /** Nothing is missing that the log does not account for. */
  readonly isComplete: boolean
  /** Holes that nothing accounts for, and how many records are missing there. */
  readonly undeclared: number
  readonly holes: readonly Hole[]
  /** Records told as lost, by gap records and by recoveries; bytes kept under torn/. */
  readonly gaps: number
  readonly lost: number
  readonly missing: number
  readonly tornBytes: number
  /** Requests that were under way when a process died: what became of them nobody knows. */
  readonly unknownCrash: number
  /** Records met that a lane had written before: counted twice by whoever counts. */
  readonly repeated: number
  readonly runs: number
  /** Runs that did not end in order, but for the last one. */
  readonly crashes: number
  /** The last run has not ended in order: it goes on, or it died. */
  readonly isOpen: boolean
  /** Records before this sequence were deleted because their time was over; 0: none. */
  readonly prunedThrough: number
  /** Earlier logs of this directory that were set aside after damage. */
  readonly epochs: readonly number[]
}

export interface Hole {
  readonly start: number
  readonly lane: number
  readonly from: number
  readonly to: number
}

/** Beyond it holes are counted, but no more explained. */
const HOLES_MAX = 4096
export const HOLES_TOLD = 10
/** Runs whose lanes are remembered; records of a run come before the second one after it. */
const RUNS_KEPT = 16

/** The sequence of a lane's record met last. */
interface Lane {
  last: number
}

export class CompletenessCheck {
  readonly #isFromStart: boolean
  readonly #signed: number
  readonly #runsOfLanes = new Map<number, Map<number, Lane>>()
  /** The run of the record seen last, whose lanes are most likely those of the next. */
  #start = -1
  #lanes: Map<number, Lane> = new Map()
  #holes: Hole[] = []
  #uncounted = 0
  #gaps = 0
  #lost = 0
  #missing = 0
  #tornBytes = 0
  #unknownCrash = 0
  #repeated = 0
  #runs = 0
  #crashes = 0
  #isOpen = false
  #prunedThrough = 0
  /** Root that the prune record tells of the tree before `prunedThrough`; base64, empty: none. */
  #prunedRoot = ''

  /**
   * `isFromStart`: the first record of the log will be seen, so every lane begins at 1. `signed`: records that the
   * checkpoint covers; a prune record behind them is anybody's.
   */
  constructor(isFromStart: boolean, signed: number) {
    this.#isFromStart = isFromStart
    this.#signed = signed
  }

  get pruned(): { readonly through: number; readonly root: string } {
    return { through: this.#prunedThrough, root: this.#prunedRoot }
  }

  see(frame: Frame): void {
    const { type, source, payloadFrom, to, sequence } = frame
    if (!isEnvelope(source, payloadFrom, to)) return
    const start = startOf(source, payloadFrom)
    const lane = laneOf(source, payloadFrom)
    this.#count(start, lane, laneSequenceOf(source, payloadFrom))
    if (type === RECORD_TYPES.gap) this.#gap(start, fieldsOf(frame.payload))
    else if (type === RECORD_TYPES.recovery) this.#recovery(start, fieldsOf(frame.payload))
    else if (type === RECORD_TYPES.prune && sequence < this.#signed) this.#prune(fieldsOf(frame.payload))
    else if (type === RECORD_TYPES.start && lane === CONTROL_LANE) this.#begin()
    else if (type === RECORD_TYPES.stop && lane === CONTROL_LANE) this.#isOpen = false
  }

  end(epochs: readonly number[]): Completeness {
    const undeclared = this.#uncounted + this.#holes.reduce((sum, hole) => sum + lengthOf(hole), 0)
    return {
      isComplete: undeclared === 0,
      undeclared,
      holes: this.#holes.slice(0, HOLES_TOLD),
      gaps: this.#gaps,
      lost: this.#lost,
      missing: this.#missing,
      tornBytes: this.#tornBytes,
      unknownCrash: this.#unknownCrash,
      repeated: this.#repeated,
      runs: this.#runs,
      crashes: this.#crashes,
      isOpen: this.#isOpen,
      prunedThrough: this.#prunedThrough,
      epochs,
    }
  }

  #count(start: number, lane: number, sequence: number): void {
    if (start !== this.#start) this.#run(start)
    let known = this.#lanes.get(lane)
    if (known === undefined) {
      known = { last: this.#isFromStart ? 0 : sequence - 1 }
      this.#lanes.set(lane, known)
    }
    const { last } = known
    if (sequence <= last) {
      this.#repeated += 1
      return
    }
    if (sequence > last + 1) this.#hole({ start, lane, from: last + 1, to: sequence - 1 })
    known.last = sequence
  }

  #run(start: number): void {
    let lanes = this.#runsOfLanes.get(start)
    if (lanes === undefined) {
      lanes = new Map()
      this.#runsOfLanes.set(start, lanes)
      if (this.#runsOfLanes.size > RUNS_KEPT) this.#runsOfLanes.delete(this.#runsOfLanes.keys().next().value!)
    }
    this.#start = start
    this.#lanes = lanes
  }

  #hole(hole: Hole): void {
    if (this.#holes.length < HOLES_MAX) this.#holes.push(hole)
    else this.#uncounted += lengthOf(hole)
  }

  #gap(start: number, { lane, from, to, records }: Fields): void {
    this.#gaps += 1
    this.#lost += numberOf(records)
    this.#holes = this.#holes.filter(
      (hole) =>
        hole.start !== start || hole.lane !== lane || hole.from < numberOf(from) || hole.to > numberOf(to),
    )
  }

  /** It counts what it did not find of earlier runs, without telling which. */
  #recovery(start: number, { missing, torn, unknownCrash }: Fields): void {
    this.#missing += numberOf(missing)
    this.#unknownCrash += numberOf(unknownCrash)
    for (const part of Array.isArray(torn) ? torn : []) this.#tornBytes += numberOf((part as Fields).bytes)
    let left = numberOf(missing)
    this.#holes = this.#holes.filter((hole) => {
      if (hole.start >= start || lengthOf(hole) > left) return true
      left -= lengthOf(hole)
      return false
    })
  }

  #prune({ through, root }: Fields): void {
    if (numberOf(through) < this.#prunedThrough) return
    this.#prunedThrough = numberOf(through)
    this.#prunedRoot = typeof root === 'string' ? root : ''
  }

  #begin(): void {
    if (this.#isOpen) this.#crashes += 1
    this.#runs += 1
    this.#isOpen = true
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

function lengthOf({ from, to }: Hole): number {
  return to - from + 1
}

/** The writer thread’s own records count, too; it never loses one that it numbered. */
export const isOwnLane = (lane: number): boolean => lane === WRITER_LANE || lane === CONTROL_LANE
