/**
 * How short of time and memory a lane is. What it goes without, from each level on:
 * 1 shadow copies, 2 waiting lines and models of low priority, 3 new requests.
 */
export type PressureLevel = 0 | 1 | 2 | 3

/** Of a lane, now. */
export interface PressureView {
  readonly level: PressureLevel
}

export const NO_PRESSURE: PressureView = { level: 0 }
