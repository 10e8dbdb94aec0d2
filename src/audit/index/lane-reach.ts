/**
 * How far each lane of each run has come into segments. Lanes are sequenced in order, so what lies in a journal at or
 * before that place is in a segment already.
 */
import type { Origin } from '../records/payload.ts'

type Reached = [start: number, lane: number, sequence: number]

export class LaneReach {
  /** By start, then lane: a text for a key would cost more than all else here. */
  readonly #runs = new Map<number, Map<number, Reached>>()

  see({ start, lane, sequence }: Origin): void {
    let lanes = this.#runs.get(start)
    if (lanes === undefined) {
      lanes = new Map()
      this.#runs.set(start, lanes)
    }
    const known = lanes.get(lane)
    if (known === undefined) lanes.set(lane, [start, lane, sequence])
    else if (sequence > known[2]) known[2] = sequence
  }

  has({ start, lane, sequence }: Origin): boolean {
    return sequence <= (this.#runs.get(start)?.get(lane)?.[2] ?? 0)
  }

  /** [start, lane, sequence] of each. */
  all(): (readonly [number, number, number])[] {
    return [...this.#runs.values()].flatMap((lanes) => [...lanes.values()])
  }
}
