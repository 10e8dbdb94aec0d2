/**
 * Which records of dead runs the segments already have, asked for each record their journals still hold. The
 * segments are read from the last one backwards and this says when enough was read: of each lane only what its
 * oldest remaining journal may hold matters, however long the run was.
 *
 * What was seen is kept as ranges: a lane's records stand in the segments of its own run in order, so there is
 * one range for each segment read and one for each hole.
 */
import type { Origin } from './records/payload.ts'

/** The journals one lane of one run left behind. */
export interface LeftBehind {
  readonly start: number
  readonly lane: number
  /** Lane sequence the oldest of them begins with. */
  readonly first: number
}

interface Range {
  readonly from: number
  to: number
}

interface LaneKnown {
  readonly first: number
  ranges: Range[]
  isSorted: boolean
  /** All up to here are in segments, whether read or not. */
  through: number
  /** Nothing in segments further back can matter. */
  isSettled: boolean
}

export class KnownRecords {
  /** By run, then lane: asked for every record of every segment read. */
  readonly #runs = new Map<number, Map<number, LaneKnown>>()

  constructor(left: readonly LeftBehind[]) {
    for (const { start, lane, first } of left) {
      const lanes = this.#runs.get(start) ?? new Map<number, LaneKnown>()
      lanes.set(lane, { first, ranges: [], isSorted: true, through: 0, isSettled: false })
      this.#runs.set(start, lanes)
    }
  }

  /** No segment further back needs to be read; asked after whole segments. */
  get isComplete(): boolean {
    for (const lanes of this.#runs.values())
      for (const { isSettled } of lanes.values()) if (!isSettled) return false
    return true
  }

  /**
   * `writtenBy`: the run whose segment it stands in. Only in its own run's segments does a lane's order say
   * anything about those before: a later run appends what it found missing.
   */
  see({ start, lane, sequence }: Origin, writtenBy: number | undefined): void {
    const known = this.#runs.get(start)?.get(lane)
    if (known === undefined) return
    if (sequence <= known.first && writtenBy === start) known.isSettled = true
    if (sequence < known.first) return
    const last = known.ranges.at(-1)
    if (last !== undefined && sequence === last.to + 1) last.to = sequence
    else known.ranges.push({ from: sequence, to: sequence })
    known.isSorted = false
  }

  /** All up to `through` are in segments further back. */
  mark(start: number, lane: number, through: number): void {
    const known = this.#runs.get(start)?.get(lane)
    if (known === undefined) return
    known.through = Math.max(known.through, through)
    known.isSettled = true
  }

  has(start: number, lane: number, sequence: number): boolean {
    const known = this.#runs.get(start)?.get(lane)
    if (known === undefined) return false
    if (sequence <= known.through) return true
    if (!known.isSorted) {
      known.ranges = merged(known.ranges)
      known.isSorted = true
    }
    return isWithin(known.ranges, sequence)
  }
}

/** In order, without overlaps. */
function merged(ranges: readonly Range[]): Range[] {
  const result: Range[] = []
  for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1)
    if (last !== undefined && from <= last.to + 1) last.to = Math.max(last.to, to)
    else result.push({ from, to })
  }
  return result
}

function isWithin(ranges: readonly Range[], sequence: number): boolean {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle]!.to < sequence) low = middle + 1
    else high = middle
  }
  const range = ranges[low]
  return range !== undefined && range.from <= sequence
}
