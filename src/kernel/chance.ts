/**
 * Chance as an argument: the next number in [0, 1). The system's source is not cryptographic; it
 * decides samples and jitter, never anything secret. Tests pass a loaded one.
 */
export interface Chance {
  next(): number
}

export const systemChance: Chance = { next: () => Math.random() }
