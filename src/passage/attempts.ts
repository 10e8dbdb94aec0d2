/**
 * Carries out a plan: a free place, the breaker's leave, then forward or score; and when a version
 * cannot answer, the declared consequence, version by version, until there is an answer or none left.
 *
 * Ends exactly once, in `done`, unless it was cancelled. Every place taken and every breaker ticket is
 * given back on every way out. Callbacks, not promises: an await costs 0.6–0.8 µs a request each.
 */
import { type Chain, chainFor, nameOf, nextStep } from '../decide/consequence.ts'
import { judge, judgePassed } from '../decide/judge.ts'
import { type ChecksInForce, checksInForce } from '../decide/output-checks.ts'
import type { Fault } from '../domain/fault.ts'
import {
  type Answer,
  type AnswerHead,
  type Attempt,
  type AttemptResult,
  type Passed,
  type Role,
  withPassed,
} from '../domain/outcome.ts'
import type { Consequence, Version } from '../domain/routes.ts'
import type { InProgress } from '../domain/wire.ts'
import type { Watched } from '../kernel/sweep.ts'
import type { Ticket } from '../observe/vitals.ts'
import type { Asking } from './asks-of-turn.ts'
import { type Course, courseOf, NO_COURSE } from './course.ts'
import { HeldPlace, type PlaceSeeker } from './held-place.ts'
import { Intake, type IntakeEnd, type Outlet } from './intake.ts'
import type { Lane } from './lane-parts.ts'
import { limitEvidence } from './limit-evidence.ts'
import { breakerOpen, INTERNAL, overloaded } from './refusals.ts'
import { Retries } from './retries.ts'
import { KEPT_BYTES_MAX } from './shadows.ts'
import { type Errand, startAttempt } from './start-attempt.ts'
import { abandoned, NOT_STARTED, refusedAttempt, tookMs } from './unanswered.ts'

export interface Underway {
  /** Ends it, because the caller left; returns the story so far, without a fault of its own. */
  abandon(): Course
}

export interface Listeners {
  /** A version is about to be asked for the first time, `at` monotonic ms: nothing of the request has left this process yet. */
  asking(version: Version, role: Role, at: number): void
  /** A version has really been asked; at most once. */
  started(): void
  /**
   * An answer begins to be passed on, and nothing can take its place any more; at most once, before `done`.
   * `resume`: to be called when the outlet, having asked to wait, wants more.
   */
  opened(course: Course, resume: () => void): Outlet
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
  startedAt: number
  /** What the sweep had counted by then. */
  heldUpMs: number
  readonly ticket: Ticket
  readonly intake: Intake
  progress: InProgress
}

const NOTHING_TRIED: readonly string[] = []

class Passage implements Underway, Watched, PlaceSeeker, Asking {
  readonly #errand: Errand
  readonly #lane: Lane
  readonly #listeners: Listeners
  readonly #place: HeldPlace
  readonly #attempts: Attempt[] = []
  readonly #tried: string[] = []
  /** Null where nothing is tried again. */
  readonly #retries: Retries | null
  #again: { readonly version: Version; readonly role: Role } | undefined
  #current: Current | undefined
  #isStarted = false
  #ended = false
  #chain: Chain | undefined
  #firstFault: Fault | null = null
  #firstAnswer: Answer | null = null
  #degraded = ''

  /** For the pause before a retry. */
  dueAt = Number.POSITIVE_INFINITY
  slot = -1

  constructor(errand: Errand, lane: Lane, listeners: Listeners) {
    this.#errand = errand
    this.#lane = lane
    this.#listeners = listeners
    this.#place = new HeldPlace(errand.intent, lane, this)
    this.#retries = errand.intent.model.retry.attempts > 1 ? new Retries(errand.intent, lane) : null
  }

  enter(): void {
    this.#guarded(() => this.#place.enter())
  }

  admitted(): void {
    this.#tryVersion(this.#errand.plan.version, this.#errand.plan.role)
  }

  turnedAway(reason: Fault): void {
    this.#failed(reason, null)
  }

  /** The sweep: long enough waited to try again. */
  expire(): void {
    this.#guarded(() => this.#tryAgain(this.#again!))
  }

  abandon(): Course {
    const current = this.#current
    const passed = current?.intake.passed ?? null
    const summary = current?.intake.summary ?? null
    if (!this.#ended && current !== undefined) {
      const result = abandoned(current.progress.soFar())
      current.progress.cancel()
      const now = this.#lane.clock.now()
      this.#note(current, 'neutral', passed === null ? result : { ...result, passed }, now)
    }
    if (!this.#ended) this.#leave()
    const served = passed === null || current === undefined ? '' : current.version.name
    return this.#course({ passed, summary, served })
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
    const intake = this.#intakeOf(version)
    const heldUpMs = lane.sweep.heldUpMs(now)
    const current = { version, role, startedAt: now, heldUpMs, ticket, intake, progress: NOT_STARTED }
    this.#current = current
    if (this.#isStarted) return this.#start(current)
    this.#listeners.asking(version, role, now)
    lane.asks.add(this)
  }

  /** The end of the turn in which it was ready to. Guarded without a closure: every request comes by here. */
  ask(): void {
    try {
      // Undefined: the caller left meanwhile.
      if (this.#current !== undefined) this.#startFirst(this.#current)
    } catch (bug) {
      this.broke(bug)
    }
  }

  #startFirst(current: Current): void {
    const lane = this.#lane
    const now = lane.clock.now()
    current.startedAt = now
    current.heldUpMs = lane.sweep.heldUpMs(now)
    this.#isStarted = true
    this.#start(current)
    lane.retryBudgets[this.#errand.intent.model.index]!.deposit(now)
    this.#listeners.started()
  }

  #start(current: Current): void {
    const { version, intake } = current
    const { intent } = this.#errand
    const { model, deadlineAt, key } = intent
    const avoid = this.#retries?.triedOf(version) ?? NOTHING_TRIED
    const limits = { timeouts: model.timeouts, deadlineAt, key: key.value, avoid }
    const how = { lane: this.#lane, limits, isShadow: false }
    current.progress = startAttempt(version, this.#errand, how, intake)
  }

  #intakeOf(version: Version): Intake {
    const { head, intent, protocol, plan } = this.#errand
    const isCompared = intent.model.compare.length > 0 && plan.shadows.some(({ fate }) => fate === 'planned')
    return new Intake({
      version,
      protocol,
      method: head.method,
      isChecked: (status) => this.#checks(status).checks.length > 0,
      keepBytesMax: isCompared || this.#errand.keepsCopy ? KEPT_BYTES_MAX : 0,
      keepAliveMs: intent.model.stream.keepAliveMs,
      claim: this.#errand.claim,
      clock: this.#lane.clock,
      sweep: this.#lane.sweep,
      open: (answerHead) => this.#open(answerHead),
      done: (end) => {
        const current = this.#current
        if (current !== undefined) this.#guarded(() => this.#finished(current, end))
      },
      broke: (bug) => this.broke(bug),
    })
  }

  /** From here on this version's answer is the caller's, whatever becomes of it. */
  #open({ status, headers, bodyBytes }: AnswerHead): Outlet {
    const { version, role, startedAt, progress } = this.#current!
    const passed = { status, headers, bodyBytes, isOpen: true }
    const result = withPassed(progress.soFar(), passed)
    const attempt = { version: version.name, role, startedAt, result, verdict: 'neutral' } as const
    const course = this.#course({ passed, served: version.name, attempts: [...this.#attempts, attempt] })
    return this.#listeners.opened(course, () => progress.resume())
  }

  /** Metadata and readiness say nothing about how the version scores: no checks, no word to the breaker. */
  get #asks(): boolean {
    const { operation } = this.#errand.intent
    return operation === 'infer' || operation === 'call'
  }

  #checks(status: number): ChecksInForce {
    return checksInForce(this.#errand.intent, this.#errand.head.method, this.#asks ? status : 204)
  }

  #finished(current: Current, end: IntakeEnd): void {
    if (end.result.passed !== undefined) return this.#passedOn(current, end.result.passed, end)
    const { result } = end
    const { protocol } = this.#errand
    const held = this.#checks(result.answer?.status ?? 0)
    const { verdict, fault: reason } = judge(result, current.version, held, () =>
      protocol.readAnswer(result.answer!, held.paths),
    )
    const judged = reason === null ? result : { ...result, fault: reason }
    this.#note(current, this.#asks ? verdict : 'neutral', judged, this.#lane.clock.now())
    if (reason === null) this.#conclude({ answer: result.answer, served: current.version.name })
    else if (!this.#isRetried(current, reason, result)) this.#failed(reason, result.answer)
  }

  #isRetried({ version, role }: Current, reason: Fault, result: AttemptResult): boolean {
    if (this.#retries === null) return false
    const { answer, endpoint, hedge } = result
    const { head, protocol } = this.#errand
    const now = this.#lane.clock.now()
    const isRepeatable = protocol.isRepeatable(head.method)
    const failed = { version, fault: reason, answer, endpoint, hedge, isRepeatable }
    const afterMs = this.#retries.after(failed, now)
    if (afterMs === null) return false
    if (afterMs === 0) {
      this.#tryVersion(version, role)
      return true
    }
    this.#again = { version, role }
    this.dueAt = now + afterMs
    this.#lane.sweep.watch(this)
    return true
  }

  #tryAgain({ version, role }: { readonly version: Version; readonly role: Role }): void {
    this.#again = undefined
    this.#tryVersion(version, role)
  }

  /** A stream is judged at its end, and nothing takes its place. */
  #passedOn(current: Current, passed: Passed, { result, summary, copy }: IntakeEnd): void {
    const { verdict, fault: reason } = judgePassed(result, summary, current.version)
    const judged = reason === null ? result : { ...result, fault: reason }
    this.#note(current, this.#asks ? verdict : 'neutral', judged, this.#lane.clock.now())
    const compared = verdict === 'success' ? copy : null
    const { name: served } = current.version
    this.#conclude({ passed, summary, copy: compared, fault: reason, cut: result.fault, served })
  }

  /** Books the current attempt: one record entry, one ticket given back. */
  #note(current: Current, verdict: Attempt['verdict'], result: AttemptResult, now: number): void {
    const { version, role, startedAt } = current
    this.#current = undefined
    current.intake.stop()
    const heldUpMs = this.#lane.sweep.heldUpMs(now) - current.heldUpMs
    const time = { tookMs: tookMs(result, now - startedAt, heldUpMs), heldUpMs }
    this.#lane.vitals.settle(current.ticket, verdict, time.tookMs, now)
    const { model } = this.#errand.intent
    if (model.limits.adaptive) this.#lane.limiter.attempt(model, limitEvidence(result, verdict, time), now)
    this.#attempts.push({ version: version.name, role, startedAt, result: this.#withWait(result), verdict })
  }

  /** The wait for a place belongs to the first attempt's queue phase. */
  #withWait(result: AttemptResult): AttemptResult {
    const waitedMs = this.#place.takeWaitedMs()
    if (waitedMs === 0) return result
    const queueMs = Math.max(0, result.phases.queueMs) + waitedMs
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
        if (this.#place.hasRoom()) this.#tryVersion(model.versions.get(step.version)!, 'fallback')
        else this.#failed(overloaded(model), null)
        return
      case 'reply':
        this.#conclude({
          answer: { status: 200, headers: ['content-type', step.contentType], body: step.body },
        })
        return
      case 'fail':
        this.#degraded = ''
        this.#conclude({
          answer: this.#firstAnswer,
          fault: this.#firstFault,
          served: this.#firstAnswer === null ? '' : this.#errand.plan.version.name,
        })
    }
  }

  #conclude(end: Partial<Course>): void {
    if (this.#ended) return
    this.#leave()
    this.#listeners.done(this.#course(end))
  }

  #course(end: Partial<Course>): Course {
    return courseOf(end, {
      attempts: this.#attempts,
      planned: this.#errand.plan.reason,
      degraded: this.#degraded,
      firstFault: this.#firstFault,
    })
  }

  #leave(): void {
    this.#ended = true
    this.#lane.sweep.unwatch(this)
    this.#place.leave()
  }

  /** A bug ends this request with `internal`, and gives back what it holds. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (bug) {
      this.broke(bug)
    }
  }

  broke(bug: unknown): void {
    this.#lane.onBug(bug)
    if (this.#ended) return
    const { attempts, passed, summary, served } = this.abandon()
    this.#listeners.done({ ...NO_COURSE, attempts, passed, summary, served, fault: INTERNAL, cut: INTERNAL })
  }
}
