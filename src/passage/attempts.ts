/**
 * Carries out a plan: a free place, the breaker's leave, then forward or score; and when a version
 * cannot answer, the declared consequence, version by version, until there is an answer or none left.
 *
 * Ends exactly once, in `done`, unless it was cancelled. Every place taken and every breaker ticket is
 * given back on every way out. Callbacks, not promises: an await costs 0.6–0.8 µs a request each.
 */
import { type Chain, chainFor, nameOf, nextStep } from '../decide/consequence.ts'
import { judge } from '../decide/judge.ts'
import { checksInForce } from '../decide/output-checks.ts'
import type { Fault } from '../domain/fault.ts'
import type { Answer, Attempt, AttemptResult, Role } from '../domain/outcome.ts'
import type { Reason } from '../domain/plan.ts'
import type { Consequence, Version } from '../domain/routes.ts'
import type { Cancel, Done } from '../domain/wire.ts'
import type { Watched } from '../kernel/sweep.ts'
import type { Ticket } from '../observe/vitals.ts'
import type { Lane } from './lane-parts.ts'
import {
  breakerOpen,
  DEADLINE_PASSED,
  deadlineInQueue,
  INTERNAL,
  overloaded,
  queueTimeout,
} from './refusals.ts'
import { type Errand, startAttempt } from './start-attempt.ts'
import { abandonedResult, refusedAttempt } from './unanswered.ts'

/** What came of a plan. Exactly one of `answer` and `fault` is present, or both for an endpoint's own 5xx. */
export interface Course {
  readonly attempts: readonly Attempt[]
  readonly answer: Answer | null
  readonly fault: Fault | null
  readonly served: string
  readonly reason: Reason | ''
  readonly degraded: string
}

export interface Underway {
  /** Ends it without an answer, because the caller left; returns what was tried so far. */
  abandon(): readonly Attempt[]
}

export interface Listeners {
  /** A version has really been asked; at most once. */
  started(): void
  /** Exactly once unless abandoned; may be called before carryOut returns. */
  done(course: Course): void
}

export function carryOut(errand: Errand, lane: Lane, listeners: Listeners): Underway {
  const passage = new Passage(errand, lane, listeners)
  passage.enter()
  return passage
}

interface Current {
  readonly version: Version
  readonly role: Role
  readonly startedAt: number
  readonly ticket: Ticket
  readonly cancel: Cancel
}

class Passage implements Underway, Watched {
  readonly #errand: Errand
  readonly #lane: Lane
  readonly #listeners: Listeners
  readonly #attempts: Attempt[] = []
  readonly #tried: string[] = []
  #current: Current | undefined
  #holdsPlace = false
  #holdsSpare = false
  #isStarted = false
  #ended = false
  #chain: Chain | undefined
  #firstFault: Fault | null = null
  #firstAnswer: Answer | null = null
  #degraded = ''
  #queuedAt = 0
  #waitedMs = 0

  dueAt = Number.POSITIVE_INFINITY
  slot = -1

  constructor(errand: Errand, lane: Lane, listeners: Listeners) {
    this.#errand = errand
    this.#lane = lane
    this.#listeners = listeners
  }

  enter(): void {
    this.#guarded(() => this.#begin())
  }

  #begin(): void {
    const { intent } = this.#errand
    const now = this.#lane.clock.now()
    if (intent.deadlineAt <= now) {
      this.#failed(DEADLINE_PASSED, null)
      return
    }
    const entered = this.#lane.limiter.enter(intent.model, this)
    if (entered === 'go') this.#enterWithPlace()
    else if (entered === 'full') this.#failed(overloaded(intent.model), null)
    else {
      this.#queuedAt = now
      this.dueAt = Math.min(now + intent.model.timeouts.queueMs, intent.deadlineAt)
      this.#lane.sweep.watch(this)
    }
  }

  /** The limiter gives the place that was waited for. */
  proceed(): void {
    // Called inside another request's way out, which a bug here must not disturb.
    this.#guarded(() => this.#enterWithPlace())
  }

  #enterWithPlace(): void {
    if (this.slot !== -1) {
      this.#lane.sweep.unwatch(this)
      this.#waitedMs = this.#lane.clock.now() - this.#queuedAt
    }
    this.#holdsPlace = true
    this.#tryVersion(this.#errand.plan.version, this.#errand.plan.role)
  }

  /** The sweep: waited too long for a place. */
  expire(now: number): void {
    this.#guarded(() => this.#waitedTooLong(now))
  }

  #waitedTooLong(now: number): void {
    const { model, deadlineAt } = this.#errand.intent
    this.#lane.limiter.cancel(this)
    const waitedMs = now - this.#queuedAt
    this.#failed(deadlineAt <= now ? deadlineInQueue(waitedMs) : queueTimeout(model, waitedMs), null)
  }

  abandon(): readonly Attempt[] {
    if (this.#ended) return this.#attempts
    const current = this.#current
    if (current !== undefined) {
      current.cancel()
      const now = this.#lane.clock.now()
      this.#note(current, 'neutral', abandonedResult(now - current.startedAt), now)
    }
    this.#leave()
    return this.#attempts
  }

  #tryVersion(version: Version, role: Role): void {
    const lane = this.#lane
    const now = lane.clock.now()
    this.#tried.push(version.name)
    const ticket = lane.vitals.admit(version, now)
    if (ticket === null) {
      const refusal = breakerOpen(version, lane.vitals.retryAfterMs(version, now))
      this.#attempts.push(refusedAttempt(version, role, now, refusal))
      this.#failed(refusal, null)
      return
    }
    this.#current = { version, role, startedAt: now, ticket, cancel: NOT_STARTED }
    const cancel = this.#start(version, (result) => {
      const current = this.#current
      if (current !== undefined) this.#guarded(() => this.#finished(current, result))
    })
    this.#current = { version, role, startedAt: now, ticket, cancel }
    if (this.#isStarted) return
    this.#isStarted = true
    this.#listeners.started()
  }

  #start(version: Version, done: Done): Cancel {
    const { intent } = this.#errand
    const limits = { timeouts: intent.model.timeouts, deadlineAt: intent.deadlineAt }
    return startAttempt(version, this.#errand, { lane: this.#lane, limits, isShadow: false }, done)
  }

  #finished(current: Current, result: AttemptResult): void {
    const { intent, protocol } = this.#errand
    // Metadata and readiness say nothing about how the version scores: no checks, no word to the breaker.
    const asks = intent.operation === 'infer' || intent.operation === 'call'
    const held = checksInForce(intent, this.#errand.head.method, asks ? (result.answer?.status ?? 0) : 204)
    const { verdict, fault: reason } = judge(result, current.version, held, () =>
      protocol.readAnswer(result.answer!, held.paths),
    )
    const judged = reason === null ? result : { ...result, fault: reason }
    this.#note(current, asks ? verdict : 'neutral', judged, this.#lane.clock.now())
    if (reason !== null) this.#failed(reason, result.answer)
    else this.#conclude(result.answer, null, current.version.name)
  }

  /** Books the current attempt: one record entry, one ticket given back. */
  #note(current: Current, verdict: Attempt['verdict'], result: AttemptResult, now: number): void {
    const { version, role, startedAt } = current
    this.#current = undefined
    this.#lane.vitals.settle(current.ticket, verdict, now - startedAt, now)
    this.#attempts.push({ version: version.name, role, startedAt, result: this.#withWait(result), verdict })
  }

  /** The wait for a place belongs to the first attempt's queue phase. */
  #withWait(result: AttemptResult): AttemptResult {
    if (this.#waitedMs === 0) return result
    const queueMs = Math.max(0, result.phases.queueMs) + this.#waitedMs
    this.#waitedMs = 0
    return { ...result, phases: { ...result.phases, queueMs } }
  }

  #failed(reason: Fault, answer: Answer | null): void {
    const { model } = this.#errand.intent
    if (this.#chain === undefined) {
      this.#chain = chainFor(model, reason)
      this.#firstFault = reason
      // An answer that failed its checks is never handed out; an endpoint's own error page is.
      this.#firstAnswer = reason.code === 'endpoint-error' ? answer : null
    }
    const { take, rest } = nextStep(this.#chain, this.#tried)
    this.#chain = rest
    this.#take(take)
  }

  #take(step: Consequence): void {
    const { model } = this.#errand.intent
    this.#degraded = nameOf(step)
    switch (step.do) {
      case 'version':
        if (this.#hasRoom()) this.#tryVersion(model.versions.get(step.version)!, 'fallback')
        else this.#failed(overloaded(model), null)
        return
      case 'reply':
        this.#conclude(
          { status: 200, headers: ['content-type', step.contentType], body: step.body },
          this.#firstFault,
          '',
        )
        return
      case 'fail':
        this.#degraded = ''
        this.#conclude(
          this.#firstAnswer,
          this.#firstFault,
          this.#firstAnswer === null ? '' : this.#errand.plan.version.name,
        )
    }
  }

  /** Who got no place may still be served by a fallback, but not by any number of them at once. */
  #hasRoom(): boolean {
    const { index, limits } = this.#errand.intent.model
    if (this.#holdsPlace || this.#holdsSpare) return true
    this.#holdsSpare = this.#lane.sparePlaces.enter(index, limits.concurrent)
    return this.#holdsSpare
  }

  #conclude(answer: Answer | null, because: Fault | null, served: string): void {
    if (this.#ended) return
    this.#leave()
    const isFallback = this.#degraded !== ''
    this.#listeners.done({
      attempts: this.#attempts,
      answer,
      fault: isFallback ? this.#firstFault : because,
      served,
      reason: isFallback ? 'fallback' : served === '' ? '' : this.#errand.plan.reason,
      degraded: this.#degraded,
    })
  }

  #leave(): void {
    this.#ended = true
    this.#lane.sweep.unwatch(this)
    if (this.#holdsPlace) this.#lane.limiter.leave(this.#errand.intent.model)
    else this.#lane.limiter.cancel(this)
    this.#holdsPlace = false
    if (this.#holdsSpare) this.#lane.sparePlaces.leave(this.#errand.intent.model.index)
    this.#holdsSpare = false
  }

  /** A bug ends this request with `internal`, and gives back what it holds. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (bug) {
      this.#lane.onBug(bug)
      if (this.#ended) return
      this.abandon()
      this.#listeners.done({
        attempts: this.#attempts,
        answer: null,
        fault: INTERNAL,
        served: '',
        reason: '',
        degraded: '',
      })
    }
  }
}

/** Cancels an attempt that a bug kept from starting. */
const NOT_STARTED: Cancel = () => {}
