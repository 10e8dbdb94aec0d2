/**
 * Chance that repeats: the same seed draws the same numbers on every machine, so that training twice
 * writes the same bytes. The generator is mulberry32 (32 bits of state, integer arithmetic only); it is
 * good enough to sample rows and never used for anything secret.
 */
import type { Chance } from '../../src/kernel/chance.ts'

export class SeededChance implements Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Fisher–Yates, in place. */
export function shuffle(values: Uint32Array, chance: Chance): void {
  for (let last = values.length - 1; last > 0; last -= 1) {
    const other = Math.floor(chance.next() * (last + 1))
    const held = values[last]!
    values[last] = values[other]!
    values[other] = held
  }
}

/** 0, 1, 2, … as row numbers. */
export function rowNumbers(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, row) => row)
}
