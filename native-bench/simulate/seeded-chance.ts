/** Chance that is the same in every run: mulberry32, 32 bits of state, good enough to draw service times with. */
import type { Chance } from '../../src/kernel/chance.ts'

export class SeededChance implements Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** Ms until the next of events that come at random, `meanMs` apart. */
  exponential(meanMs: number): number {
    return -meanMs * Math.log(1 - this.next())
  }
}
