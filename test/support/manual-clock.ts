/**
 * A clock moved by hand. Starts at 1,000 monotonic ms (never 0, so that "unset" and "now" differ) and
 * at a fixed wall time; both move together and only by `advance`.
 */
import type { Clock } from '../../src/kernel/clock.ts'

export const MANUAL_WALL_START = Date.UTC(2026, 10, 2, 12, 0, 0)

export class ManualClock implements Clock {
  #nowMs: number
  #wallMs: number

  constructor(nowMs = 1_000, wallMs = MANUAL_WALL_START) {
    this.#nowMs = nowMs
    this.#wallMs = wallMs
  }

  now(): number {
    return this.#nowMs
  }

  wall(): number {
    return this.#wallMs
  }

  /** Never backwards: a negative step throws. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`a clock does not go back: ${ms}`)
    this.#nowMs += ms
    this.#wallMs += ms
  }
}
