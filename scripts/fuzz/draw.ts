/** Chance as a case of a campaign uses it: begun by a number, so that the number is all that is needed to see it again. */
import { SeededChance } from '../train/seeded-chance.ts'

export class Draw {
  readonly #chance: SeededChance

  constructor(seed: number) {
    // Neighbours would begin alike: the generator’s first numbers follow its seed closely.
    this.#chance = new SeededChance(Math.imul(seed + 1, 0x9e3779b1))
    this.#chance.next()
  }

  /** In [0, 1). */
  next(): number {
    return this.#chance.next()
  }

  /** A whole number from 0 to `max`, both included. */
  upTo(max: number): number {
    return Math.floor(this.#chance.next() * (max + 1))
  }

  happens(share: number): boolean {
    return this.#chance.next() < share
  }

  one<T>(list: readonly T[]): T {
    return list[this.upTo(list.length - 1)]!
  }
}
