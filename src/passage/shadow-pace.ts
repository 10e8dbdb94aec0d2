/**
 * How fast all shadows' answers of a lane are read together, so that one of a gibibyte takes its share of the
 * thread and no more. The beginning of an answer is free: most are no longer. What goes on is paid for by its
 * bytes, and by the piece, because a body in tiny chunks costs by the chunk.
 *
 * Whoever finds nothing left waits in line and is called again when there is; never kept waiting for good. An
 * answer that has cost more than ANSWER_COST_MAX is to be given up.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'

/** About 1 % of a core. */
export const COST_PER_SECOND = 16 * 1024 * 1024
export const COST_BURST = 160 * 1024
export const FREE_BYTES = 32 * 1024
export const PIECE_COST = 512
export const ANSWER_COST_MAX = 4 * 1024 * 1024
/** What one that is called again is taken to read: a read buffer of its connection. */
export const READ_COST = 16 * 1024

export class ShadowPace implements Watched {
  dueAt = Number.POSITIVE_INFINITY
  slot = -1
  readonly #clock: Clock
  readonly #sweep: Sweep
  readonly #waiting = new Set<() => void>()
  #left = COST_BURST
  #filledAt: number

  constructor(clock: Clock, sweep: Sweep) {
    this.#clock = clock
    this.#sweep = sweep
    this.#filledAt = clock.now()
  }

  /** Books what was read. False: read no more until `wait` calls. */
  spend(cost: number): boolean {
    this.#left -= cost
    if (this.#left <= 0) this.#fill(this.#clock.now())
    return this.#left > 0
  }

  /** `goOn` is called in its turn, unless forgotten before. */
  wait(goOn: () => void): void {
    this.#waiting.add(goOn)
    this.#watch()
  }

  forget(goOn: () => void): void {
    this.#waiting.delete(goOn)
    if (this.#waiting.size === 0) this.#sweep.unwatch(this)
  }

  /** The sweep: as many go on as there is something for. */
  expire(now: number): void {
    this.#fill(now)
    let granted = 0
    for (const goOn of this.#waiting) {
      if (granted >= this.#left) break
      granted += READ_COST
      this.#waiting.delete(goOn)
      goOn()
    }
    if (this.#waiting.size > 0) this.#watch()
  }

  #watch(): void {
    this.dueAt = this.#clock.now()
    this.#sweep.watch(this)
  }

  #fill(now: number): void {
    const earned = ((now - this.#filledAt) / 1000) * COST_PER_SECOND
    this.#left = Math.min(COST_BURST, this.#left + earned)
    this.#filledAt = now
  }
}
