/**
 * How far each lane of each run has come into segments. Lanes are sequenced in order, so what lies in a journal at or
 * before that place is in a segment already.
 */
import type { Origin } from '../records/payload.ts'

export class LaneReach {
  readonly #highest = new Map<string, [start: number, lane: number, sequence: number]>()

  see({ start, lane, sequence }: Origin): void {
    const key = `${start}-${lane}`
    const known = this.#highest.get(key)
    if (known === undefined) this.#highest.set(key, [start, lane, sequence])
    else if (sequence > known[2]) known[2] = sequence
  }

  has({ start, lane, sequence }: Origin): boolean {
    return sequence <= (this.#highest.get(`${start}-${lane}`)?.[2] ?? 0)
  }

  /** [start, lane, sequence] of each. */
  all(): (readonly [number, number, number])[] {
    return [...this.#highest.values()]
  }
}
