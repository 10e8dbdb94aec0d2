/**
 * Chance that falls as told: gives the values in order, then begins again. `draws` counts how often it
 * was asked, so a test can also prove that something did not leave anything to chance.
 */
import type { Chance } from '../../src/kernel/chance.ts'

export class LoadedChance implements Chance {
  readonly #values: readonly number[]
  draws = 0

  /** Each in [0, 1); at least one. */
  constructor(...values: readonly number[]) {
    if (values.length === 0) throw new RangeError('a loaded chance needs at least one value')
    for (const value of values) {
      if (!(value >= 0 && value < 1)) throw new RangeError(`chance is in [0, 1): ${value}`)
    }
    this.#values = values
  }

  next(): number {
    const value = this.#values[this.draws % this.#values.length]!
    this.draws += 1
    return value
  }
}
