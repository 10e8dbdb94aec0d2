/**
 * Reads how short of time and memory this lane is, about ten times a second, and tells when its level changes. A turn
 * of the loop is measured from one pass of it to the next while it may not sleep, so what is seen is work, not waiting.
 *
 * A reading costs a few µs (Node 20: 1 to 2 of them for the figures of the heap); the request path reads one number.
 */
import { getHeapStatistics } from 'node:v8'
import type { PressureLevel, PressureView } from '../domain/pressure.ts'
import type { Clock } from '../kernel/clock.ts'
import { AT_REST, type Pressure, step } from './pressure.ts'

export interface PressureChange {
  readonly from: PressureLevel
  readonly to: PressureLevel
  readonly why: string
}

export class PressureGauge implements PressureView {
  level: PressureLevel = 0
  readonly #clock: Clock
  readonly #onChange: (change: PressureChange) => void
  #state: Pressure = AT_REST
  #turn: NodeJS.Immediate | undefined

  constructor(clock: Clock, onChange: (change: PressureChange) => void) {
    this.#clock = clock
    this.#onChange = onChange
  }

  /** Begins a reading; it is taken two turns of the loop later. Does nothing while one is under way. */
  read(): void {
    if (this.#turn !== undefined) return
    this.#turn = setImmediate(() => {
      const turnedAt = this.#clock.now()
      this.#turn = setImmediate(() => {
        this.#turn = undefined
        this.#take(this.#clock.now() - turnedAt)
      })
    })
  }

  stop(): void {
    clearImmediate(this.#turn)
    this.#turn = undefined
  }

  #take(turnMs: number): void {
    const { used_heap_size, heap_size_limit } = getHeapStatistics()
    const before = this.#state
    this.#state = step(before, { turnMs, heapShare: used_heap_size / heap_size_limit }, this.#clock.now())
    const { level, why } = this.#state
    this.level = level
    if (level !== before.level) this.#onChange({ from: before.level, to: level, why })
  }
}
