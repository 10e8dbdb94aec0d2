/**
 * One request on its way to one endpoint: its phases, its deadlines, its one end.
 *
 * `done` is called exactly once, never inside the call that started it, and never after `cancel`. Any
 * timeout or cancel closes the connection, so a late answer has nowhere to arrive. One due time stands
 * for all timers: the next of the phase's own limit, the total, and the caller's deadline. First byte and total
 * run from the attempt's start, which for a second copy (hedge.ts) lies before its own. While whoever
 * receives the answer asks to wait, the endpoint's clock stands still: a slow caller is no fault of a model.
 */
import { type Fault, type FaultCode, traitsOf } from '../domain/fault.ts'
import type { AnswerHead, AttemptResult, Sieve } from '../domain/outcome.ts'
import type { RemoteVersion } from '../domain/routes.ts'
import type { AttemptLimits, InProgress, OutboundRequest, Receiver } from '../domain/wire.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'
import { attemptFault } from './attempt-fault.ts'
import type { KnownPeer, Peers } from './balance/peers.ts'
import { type Observed, tell, type Verdict, verdictOf } from './balance/verdict.ts'
import type { Loss } from './carried.ts'
import type { Connection } from './connection.ts'
import type { Pool, Taker } from './pool.ts'

export interface Mission {
  readonly version: RemoteVersion
  readonly peers: Peers
  /** The one that was chosen for it. */
  readonly peer: KnownPeer
  readonly request: OutboundRequest
  /** As the codec wrote it. */
  readonly head: string
  readonly limits: AttemptLimits
  readonly receiver: Receiver
  /** For how many ms the attempt had been under way: 0, unless it is the second copy of a request. */
  readonly sinceMs: number
  /** Not to be carried together with others: to give it up must end nothing but itself. */
  readonly isAlone: boolean
}

type Stage = 'waiting' | 'connecting' | 'sending' | 'awaiting' | 'reading' | 'ended'

const NOT_REACHED = -1
const ANNOUNCED = 'its announced length is over the limit'
const FULL = 'server.limits.memory is full'
const CAME = 'the body is over the limit'
const NOT_PAUSED = Number.NEGATIVE_INFINITY

export class InFlight implements Taker, Watched, InProgress {
  /** Watched. */
  dueAt = Number.POSITIVE_INFINITY
  slot = -1
  readonly #mission: Mission
  readonly #clock: Clock
  readonly #sweep: Sweep
  readonly #startedAt: number
  /** When the attempt has taken its whole time; moved on by what was spent waiting for the receiver. */
  #totalAt: number
  #pausedAt = NOT_PAUSED
  #bodyBytes = 0
  #status = 0
  #dueCode: FaultCode = 'total-timeout'
  readonly #sieve: Sieve | null
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
    this.#mission = mission
    this.#clock = clock
    this.#sweep = sweep
    this.#sieve = mission.peers.sieve
    this.#startedAt = clock.now()
    this.#totalAt = this.#startedAt - mission.sinceMs + mission.limits.timeouts.totalMs
  }

  /** As results name it. */
  get endpoint(): string {
    return this.#mission.peer.endpoint.url
  }

  /** There has been no connection for it so far. */
  get isWaiting(): boolean {
    return this.#stage === 'waiting'
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

  readonly cancel = (): void => {
    if (this.#stage === 'ended') return
    // Of an endpoint nothing is known by a caller that left, unless it had shown that it fails.
    this.#told(this.#status >= 500 ? 'failure' : 'neutral', this.#clock.now())
    this.#leave()
  }

  /** Sent for the second time it goes alone: nobody else's end may be its own again. */
  get isRepeatable(): boolean {
    return this.#mission.request.repeatable && !this.#hasRetried && !this.#mission.isAlone
  }

  resume(): void {
    if (this.#pausedAt === NOT_PAUSED || this.#stage === 'ended') return
    const now = this.#clock.now()
    this.#totalAt += now - this.#pausedAt
    this.#pausedAt = NOT_PAUSED
    this.#arm('idle-timeout', now + this.#mission.limits.timeouts.idleMs)
    this.#connection?.resume()
  }

  granted(connection: Connection, now: number): void {
    this.#connection = connection
    if (this.#queueMs === NOT_REACHED) this.#queueMs = now - this.#startedAt
    this.#isReused = !connection.isConnecting
    if (this.#isReused) {
      this.#connectMs = 0
      this.#send()
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
    this.#send()
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
    if (this.#firstByteMs === NOT_REACHED) {
      // Nor does what comes before the content: the wait for it goes on as it is.
      if (this.#mission.receiver.awaitsContent && this.#pausedAt === NOT_PAUSED) return
      this.#firstByteMs = now - this.#startedAt
    }
    this.#stage = 'reading'
    if (this.#pausedAt !== NOT_PAUSED) this.#arm('deadline-exceeded', this.#mission.limits.deadlineAt)
    else this.#arm('idle-timeout', now + this.#mission.limits.timeouts.idleMs)
  }

  head(head: AnswerHead): void {
    const { receiver } = this.#mission
    this.#status = head.status
    receiver.head(head)
    // A part of the head came earlier; now it is known that the wait is for content, which it is not.
    if (this.#firstByteMs !== NOT_REACHED && this.#stage !== 'ended' && receiver.awaitsContent) {
      this.#firstByteMs = NOT_REACHED
      this.#await()
    }
    if (receiver.lacksMemory === true) this.#connection?.fail('memory-exhausted', FULL)
    if (head.bodyBytes > receiver.bodyBytesMax) this.#connection?.fail('answer-too-large', ANNOUNCED)
  }

  body(bytes: Uint8Array): boolean {
    const { receiver } = this.#mission
    this.#bodyBytes += bytes.length
    const goesOn = receiver.body(bytes)
    if (receiver.lacksMemory === true) this.#connection?.fail('memory-exhausted', FULL)
    if (this.#bodyBytes > receiver.bodyBytesMax) this.#connection?.fail('answer-too-large', CAME)
    if (!goesOn && this.#pausedAt === NOT_PAUSED) this.#pausedAt = this.#clock.now()
    return goesOn
  }

  answered(now: number): void {
    if (this.#firstByteMs === NOT_REACHED) this.#firstByteMs = now - this.#startedAt
    this.#connection = undefined
    this.#conclude(null, now)
  }

  failed(loss: Loss, now: number): void {
    this.#connection = undefined
    if (this.#mayRepeat(loss)) {
      this.#hasRetried = true
      this.#stage = 'waiting'
      this.#arm('queue-timeout', now + this.#mission.limits.timeouts.queueMs)
      this.#pool!.again(this, now)
      return
    }
    this.#fail(loss.code, loss.detail, now)
  }

  /** The sweep: the next of its deadlines has passed. */
  expire(now: number): void {
    this.#fail(this.#dueCode, `during ${this.#stage}, after ${Math.round(now - this.#startedAt)} ms`, now)
  }

  #send(): void {
    const { request, head } = this.#mission
    this.#stage = 'sending'
    this.#sentAt = Number.POSITIVE_INFINITY
    this.#arm('total-timeout', this.#totalAt)
    this.#connection!.send(this, head, request.method, request.body)
  }

  /** The wait for the first byte runs from the last of the request; until then only the total does. */
  #await(): void {
    const { limits, sinceMs } = this.#mission
    this.#stage = this.#sentAt === Number.POSITIVE_INFINITY ? 'sending' : 'awaiting'
    this.#arm('first-byte-timeout', this.#sentAt - sinceMs + limits.timeouts.firstByteMs)
  }

  /**
   * Once, on a connection of its own, and only when a kept-alive one turned out to be dead, or one ended for
   * the sake of another request: not one byte of an answer came, and sending the request twice does no
   * harm. Everything else is not ours to repeat.
   */
  #mayRepeat({ code, isUnanswered, isBehind }: Loss): boolean {
    return (
      code === 'closed-before-answer' &&
      isUnanswered &&
      (this.#isReused || isBehind) &&
      !this.#hasRetried &&
      this.#mission.request.repeatable
    )
  }

  /** The phase's own limit, or the total or the caller's deadline where one of them is earlier. */
  #arm(code: FaultCode, at: number): void {
    const { deadlineAt } = this.#mission.limits
    const totalAt = this.#pausedAt === NOT_PAUSED ? this.#totalAt : Number.POSITIVE_INFINITY
    this.dueAt = Math.min(at, totalAt, deadlineAt)
    if (this.dueAt === at && at < totalAt) this.#dueCode = code
    else this.#dueCode = this.dueAt === totalAt ? 'total-timeout' : 'deadline-exceeded'
  }

  #fail(code: FaultCode, detail: string, now: number): void {
    if (this.#stage === 'ended') return
    const { version, peer, limits, receiver } = this.#mission
    const context = { version, timeouts: limits.timeouts, answerBytesMax: receiver.bodyBytesMax }
    this.#conclude(attemptFault(code, context, peer.endpoint.url, detail), now)
  }

  #conclude(fault: Fault | null, now: number): void {
    if (this.#stage === 'ended') return
    const { peers, peer, receiver } = this.#mission
    const verdict = fault === null ? verdictOf(this.#status) : traitsOf(fault.code).blame
    const isEndpointsOwn = verdict === 'failure' && peers.failsAlone(peer)
    this.#told(verdict, now)
    this.#leave()
    receiver.done(this.#resultAt(now, fault, isEndpointsOwn))
  }

  soFar(): AttemptResult {
    return this.#resultAt(this.#clock.now(), null, false)
  }

  #resultAt(now: number, fault: Fault | null, isEndpointsOwn: boolean): AttemptResult {
    const { peer, sinceMs } = this.#mission
    return {
      endpoint: peer.endpoint.url,
      phases: {
        queueMs: this.#queueMs,
        connectMs: this.#connectMs,
        firstByteMs: this.#firstByteMs === NOT_REACHED ? NOT_REACHED : this.#firstByteMs + sinceMs,
        totalMs: now - this.#startedAt + sinceMs,
      },
      reused: this.#isReused,
      answer: null,
      fault,
      isEndpointsOwn,
      sieve: this.#sieve,
    }
  }

  /** What this attempt says of its endpoint, once. */
  #told(verdict: Verdict, now: number): void {
    const { peers, peer, limits } = this.#mission
    const observed: Observed = {
      verdict,
      tookMs: now - this.#startedAt,
      // A refusal is faster than any answer.
      firstByteMs: this.#status === 429 ? NOT_REACHED : this.#firstByteMs,
      patienceMs: limits.timeouts.firstByteMs,
    }
    tell(peers, peer, observed, now)
  }

  /** Every way out: no deadline, no place in a line, no connection that could still bring an answer. */
  #leave(): void {
    this.#stage = 'ended'
    this.#sweep.unwatch(this)
    this.#pool?.stopWaiting(this)
    this.#connection?.leave(this)
    this.#connection = undefined
  }
}
