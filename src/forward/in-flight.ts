/**
 * One request on its way to one endpoint: its phases, its deadlines, its one end.
 *
 * `done` is called exactly once, never inside the call that started it, and never after `cancel`. Any
 * timeout or cancel closes the connection, so a late answer has nowhere to arrive. One due time stands
 * for all timers: the next of the phase's own limit, the total, and the caller's deadline.
 */
import type { Fault, FaultCode } from '../domain/fault.ts'
import type { Answer } from '../domain/outcome.ts'
import type { Endpoint } from '../domain/routes.ts'
import type { AttemptLimits, Done, OutboundRequest } from '../domain/wire.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'
import { attemptFault, type FaultContext } from './attempt-fault.ts'
import type { Connection, Loss } from './connection.ts'
import type { Pool, Taker } from './pool.ts'

export interface Mission {
  readonly endpoint: Endpoint
  readonly request: OutboundRequest
  /** As the codec wrote it. */
  readonly head: string
  readonly limits: AttemptLimits
  readonly context: FaultContext
  readonly done: Done
}

type Stage = 'waiting' | 'connecting' | 'sending' | 'awaiting' | 'reading' | 'ended'

const NOT_REACHED = -1

export class InFlight implements Taker, Watched {
  /** Watched. */
  dueAt = Number.POSITIVE_INFINITY
  slot = -1
  readonly #mission: Mission
  readonly #clock: Clock
  readonly #sweep: Sweep
  readonly #startedAt: number
  /** Total or the caller's deadline, whichever is first, and which of them it is. */
  readonly #capAt: number
  readonly #capCode: FaultCode
  #dueCode: FaultCode = 'total-timeout'
  #pool: Pool | undefined
  #connection: Connection | undefined
  #stage: Stage = 'waiting'
  #connectStartedAt = 0
  /** When the kernel had the whole request; Infinity before. */
  #sentAt = Number.POSITIVE_INFINITY
  #isReused = false
  #hasRetried = false
  #queueMs = NOT_REACHED
  #connectMs = NOT_REACHED
  #firstByteMs = NOT_REACHED

  constructor(mission: Mission, clock: Clock, sweep: Sweep) {
    const { timeouts, deadlineAt } = mission.limits
    this.#mission = mission
    this.#clock = clock
    this.#sweep = sweep
    this.#startedAt = clock.now()
    const totalAt = this.#startedAt + timeouts.totalMs
    this.#capAt = Math.min(totalAt, deadlineAt)
    this.#capCode = deadlineAt < totalAt ? 'deadline-exceeded' : 'total-timeout'
  }

  start(pool: Pool): void {
    const now = this.#startedAt
    if (this.#mission.limits.deadlineAt <= now) {
      this.failSoon('deadline-exceeded', 'it had passed before anything was sent')
      return
    }
    this.#pool = pool
    this.#arm('queue-timeout', now + this.#mission.limits.timeouts.queueMs)
    this.#sweep.watch(this)
    if (pool.acquire(this, now) === 'full') this.failSoon('overloaded', 'the waiting line is full')
  }

  /** Fails it in the next microtask, before anything was started. */
  failSoon(code: FaultCode, detail: string): void {
    queueMicrotask(() => this.#fail(code, detail, this.#clock.now()))
  }

  cancel(): void {
    this.#leave()
  }

  granted(connection: Connection, now: number): void {
    this.#connection = connection
    if (this.#queueMs === NOT_REACHED) this.#queueMs = now - this.#startedAt
    this.#isReused = !connection.isConnecting
    if (this.#isReused) {
      this.#connectMs = 0
      this.#send(now)
      return
    }
    this.#stage = 'connecting'
    this.#connectStartedAt = now
    this.#connectMs = NOT_REACHED
    this.#arm('connect-timeout', now + this.#mission.limits.timeouts.connectMs)
  }

  refused(): void {
    this.#fail('draining', 'it waited for a connection', this.#clock.now())
  }

  connected(now: number): void {
    this.#connectMs = now - this.#connectStartedAt
    this.#send(now)
  }

  sent(now: number): void {
    this.#sentAt = now
    // An answer that came before the request was taken is already timed by its own pauses.
    if (this.#stage === 'sending') this.#await()
  }

  interim(): void {
    this.#firstByteMs = NOT_REACHED
  }

  progressed(now: number, isAwaiting: boolean): void {
    // Interim answers neither count as a first byte nor prolong the wait for it.
    if (isAwaiting) {
      if (this.#stage === 'reading') this.#await()
      return
    }
    if (this.#firstByteMs === NOT_REACHED) this.#firstByteMs = now - this.#startedAt
    this.#stage = 'reading'
    this.#arm('idle-timeout', now + this.#mission.limits.timeouts.idleMs)
  }

  answered(answer: Answer, now: number): void {
    if (this.#firstByteMs === NOT_REACHED) this.#firstByteMs = now - this.#startedAt
    this.#connection = undefined
    this.#conclude(answer, null, now)
  }

  failed(loss: Loss, now: number): void {
    this.#connection = undefined
    if (this.#mayRepeat(loss)) {
      this.#hasRetried = true
      this.#pool!.open(this, now)
      return
    }
    this.#fail(loss.code, loss.detail, now)
  }

  /** The sweep: the next of its deadlines has passed. */
  expire(now: number): void {
    this.#fail(this.#dueCode, `during ${this.#stage}, after ${Math.round(now - this.#startedAt)} ms`, now)
  }

  #send(now: number): void {
    const { request, head } = this.#mission
    this.#stage = 'sending'
    this.#sentAt = Number.POSITIVE_INFINITY
    this.#arm(this.#capCode, this.#capAt)
    this.#connection!.send(head, request.method, request.body, now)
  }

  /** The wait for the first byte runs from the last of the request; until then only the total does. */
  #await(): void {
    this.#stage = this.#sentAt === Number.POSITIVE_INFINITY ? 'sending' : 'awaiting'
    this.#arm('first-byte-timeout', this.#sentAt + this.#mission.limits.timeouts.firstByteMs)
  }

  /**
   * Once, on a connection of its own, and only when a kept-alive one turned out to be dead: not one byte
   * of an answer came, and sending the request twice does no harm. Everything else is not ours to repeat.
   */
  #mayRepeat({ code, isUnanswered }: Loss): boolean {
    return (
      code === 'closed-before-answer' &&
      isUnanswered &&
      this.#isReused &&
      !this.#hasRetried &&
      this.#mission.request.repeatable
    )
  }

  #arm(code: FaultCode, at: number): void {
    if (at < this.#capAt) {
      this.dueAt = at
      this.#dueCode = code
    } else {
      this.dueAt = this.#capAt
      this.#dueCode = this.#capCode
    }
  }

  #fail(code: FaultCode, detail: string, now: number): void {
    if (this.#stage === 'ended') return
    const { context, endpoint } = this.#mission
    this.#conclude(null, attemptFault(code, context, endpoint.url, detail), now)
  }

  #conclude(answer: Answer | null, fault: Fault | null, now: number): void {
    if (this.#stage === 'ended') return
    this.#leave()
    this.#mission.done({
      endpoint: this.#mission.endpoint.url,
      phases: {
        queueMs: this.#queueMs,
        connectMs: this.#connectMs,
        firstByteMs: this.#firstByteMs,
        totalMs: now - this.#startedAt,
      },
      reused: this.#isReused,
      answer,
      fault,
    })
  }

  /** Every way out: no deadline, no place in a line, no connection that could still bring an answer. */
  #leave(): void {
    this.#stage = 'ended'
    this.#sweep.unwatch(this)
    this.#pool?.stopWaiting(this)
    this.#connection?.abandon()
    this.#connection = undefined
  }
}
