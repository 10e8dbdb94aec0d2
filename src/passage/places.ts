/**
 * How many of something may be under way at once in this lane, by number of the model or version: shadow
 * copies of a version (`shadows[].max_concurrent`), fallbacks of a model that is overloaded. Each lane
 * enforces its share of the total, at least one, so that the sum over lanes keeps to it.
 */
import { laneShare } from '../kernel/lane-share.ts'

export class Places {
  readonly #lanes: number
  readonly #taken = new Map<number, number>()

  constructor(lanes: number) {
    this.#lanes = lanes
  }

  /** True: go, and call `leave` at the end. False: all places are taken. `total`: over all lanes. */
  enter(index: number, total: number): boolean {
    const taken = this.#taken.get(index) ?? 0
    if (taken >= laneShare(total, this.#lanes)) return false
    this.#taken.set(index, taken + 1)
    return true
  }

  leave(index: number): void {
    this.#taken.set(index, (this.#taken.get(index) ?? 1) - 1)
  }
}
