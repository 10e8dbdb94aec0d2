/**
 * A request's place within its model's limits: taken, or waited for in the line, and given back on every way out.
 * Who got none may still be served by a fallback, in a spare place, of which there are as many again.
 */
import type { Fault } from '../domain/fault.ts'
import type { Intent } from '../domain/intent.ts'
import type { PressureView } from '../domain/pressure.ts'
import type { Model } from '../domain/routes.ts'
import type { Watched } from '../kernel/sweep.ts'
import type { Waiter } from '../observe/waiting-line.ts'
import type { Lane } from './lane-parts.ts'
import { DEADLINE_PASSED, deadlineInQueue, noPlace, queueTimeout } from './refusals.ts'

export interface PlaceSeeker {
  /** The place is there: within the call to `enter`, or later inside another request's way out. */
  admitted(): void
  /** There is none, or none in time. */
  turnedAway(reason: Fault): void
  /** A bug in either of them. */
  broke(bug: unknown): void
}

type PlaceLane = Pick<Lane, 'clock' | 'sweep' | 'limiter' | 'sparePlaces'> & {
  readonly pressure: PressureView
}

export class HeldPlace implements Waiter, Watched {
  readonly #intent: Intent
  readonly #lane: PlaceLane
  readonly #seeker: PlaceSeeker
  #holds: 'nothing' | 'place' | 'spare' = 'nothing'
  #queuedAt = 0
  #waitedMs = 0
  #heldSince = 0

  dueAt = Number.POSITIVE_INFINITY
  slot = -1

  constructor(intent: Intent, lane: PlaceLane, seeker: PlaceSeeker) {
    this.#intent = intent
    this.#lane = lane
    this.#seeker = seeker
  }

  enter(): void {
    const { model, deadlineAt } = this.#intent
    const now = this.#lane.clock.now()
    if (deadlineAt <= now) return this.#seeker.turnedAway(DEADLINE_PASSED)
    const entered = this.#lane.limiter.enter(model, this, now, deadlineAt)
    if (entered === 'go') {
      this.#holds = 'place'
      this.#heldSince = now
      return this.#seeker.admitted()
    }
    if (entered !== 'queued') {
      return this.#seeker.turnedAway(noPlace(entered, model, this.#lane.limiter.load(model, now)))
    }
    this.#queuedAt = now
    this.dueAt = Math.min(now + model.timeouts.queueMs, deadlineAt)
    this.#lane.sweep.watch(this)
  }

  /** The limiter gives the place that was waited for. */
  proceed(): void {
    this.#lane.sweep.unwatch(this)
    this.#heldSince = this.#lane.clock.now()
    this.#waitedMs = this.#heldSince - this.#queuedAt
    this.#holds = 'place'
    // Another request's way out must not be disturbed by a bug here.
    this.#told(() => this.#seeker.admitted())
  }

  /** The sweep: waited too long. */
  expire(now: number): void {
    const { model, deadlineAt } = this.#intent
    this.#lane.limiter.cancel(this)
    const waitedMs = now - this.#queuedAt
    const reason = deadlineAt <= now ? deadlineInQueue(waitedMs) : queueTimeout(model, waitedMs)
    this.#told(() => this.#seeker.turnedAway(reason))
  }

  /** Room for a fallback: the place that is held, or a spare one. */
  hasRoom(): boolean {
    if (this.#holds !== 'nothing') return true
    if (this.#lane.pressure.level === 3) return false
    const { index, limits } = this.#intent.model
    if (!this.#lane.sparePlaces.enter(index, limits.concurrent)) return false
    this.#holds = 'spare'
    return true
  }

  /** How long it was waited for, told once: it belongs to the first attempt. */
  takeWaitedMs(): number {
    const waitedMs = this.#waitedMs
    this.#waitedMs = 0
    return waitedMs
  }

  /** Gives back whatever is held, or stops waiting. */
  leave(): void {
    const { model } = this.#intent
    const held = this.#holds
    this.#holds = 'nothing'
    if (this.slot !== -1) {
      this.#lane.sweep.unwatch(this)
      this.#lane.limiter.cancel(this)
    }
    if (held === 'place') this.#giveBack(model)
    if (held === 'spare') this.#lane.sparePlaces.leave(model.index)
  }

  #giveBack(model: Model): void {
    const now = this.#lane.clock.now()
    this.#lane.limiter.leave(model, now - this.#heldSince, now)
  }

  #told(word: () => void): void {
    try {
      word()
    } catch (bug) {
      this.#seeker.broke(bug)
    }
  }
}
