/**
 * How short of time and memory a lane is, in four levels: a machine without clock or I/O that is given a reading about
 * ten times a second (pressure-gauge.ts). What is shed at each level is told in ARCHITECTURE.md, "Overload".
 *
 * A level is entered when READINGS_UP readings in a row call for it: one long pause (a collection of garbage, a busy
 * machine) is no overload, a standing one is. It is left when for CALM_MS no reading came near it, so that what
 * was shed does not come back at once and make the pressure anew.
 */
import type { PressureLevel } from '../domain/pressure.ts'

/**
 * One turn of the lane's loop took so long: whatever comes waits for about that. Beyond what a machine with five
 * runnable threads for each core does to a lane that has nothing to do (50 to 170 ms, three in a row).
 */
export const TURN_MS: readonly number[] = [0, 100, 300, 1_000]
/** Of what the lane's heap may be. */
export const HEAP_SHARE: readonly number[] = [0, 0.8, 0.88, 0.94]
/** A level is left only below this much of what enters it. */
const DOWN = { turnMs: 0.5, heapShare: 0.95 }
export const READINGS_UP = 3
export const CALM_MS = 1_000

export interface PressureReading {
  /** How long one whole turn of the event loop took. */
  readonly turnMs: number
  /** Heap in use over its limit, 0 to 1. */
  readonly heapShare: number
}

/** Tagged by its level. */
export interface Pressure {
  readonly level: PressureLevel
  /** The latest, oldest first; at most READINGS_UP. */
  readonly readings: readonly PressureReading[]
  /** Monotonic ms since when no reading spoke for this level. */
  readonly calmSince: number
  /** Of the last change, with its numbers. */
  readonly why: string
}

export const AT_REST: Pressure = { level: 0, readings: [], calmSince: 0, why: '' }

export function step(state: Pressure, reading: PressureReading, now: number): Pressure {
  const readings = [...state.readings, reading].slice(-READINGS_UP)
  const standing = standingOf(readings)
  const risen = readings.length < READINGS_UP ? 0 : levelOf(standing, 1, 1)
  if (risen > state.level) return { level: risen, readings, calmSince: now, why: wordsOf(standing) }
  const held = levelOf(reading, DOWN.turnMs, DOWN.heapShare)
  if (held >= state.level) return { level: state.level, readings, calmSince: now, why: state.why }
  if (now - state.calmSince < CALM_MS) return { ...state, readings }
  const lower = (state.level - 1) as PressureLevel
  return { level: lower, readings, calmSince: now, why: wordsOf(reading) }
}

/** What all of them have in common: the least of each. */
function standingOf(readings: readonly PressureReading[]): PressureReading {
  return {
    turnMs: Math.min(...readings.map(({ turnMs }) => turnMs)),
    heapShare: Math.min(...readings.map(({ heapShare }) => heapShare)),
  }
}

function levelOf({ turnMs, heapShare }: PressureReading, ofTurn: number, ofHeap: number): PressureLevel {
  let level = 0
  while (
    level < 3 &&
    (turnMs >= TURN_MS[level + 1]! * ofTurn || heapShare >= HEAP_SHARE[level + 1]! * ofHeap)
  ) {
    level += 1
  }
  return level as PressureLevel
}

function wordsOf({ turnMs, heapShare }: PressureReading): string {
  return `a turn of the loop takes ${Math.round(turnMs)} ms, ${Math.round(heapShare * 100)} % of the heap is in use`
}
