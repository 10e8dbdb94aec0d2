/**
 * Sends the planned shadow copies and tells what became of each: its record, and how its answer holds
 * against the one the caller got.
 *
 * A shadow never delays, fails or starves the request it copies: it has its own cap and timer, takes no
 * place of the model's limits, asks no breaker and counts in none, is marked by header, is never
 * retried and never shadowed. The caller's answer does not wait for any of this.
 */
import type { ShadowOutcome } from '../domain/exchange.ts'
import { type Fault, traitsOf } from '../domain/fault.ts'
import type { Answer, Attempt, AttemptResult } from '../domain/outcome.ts'
import type { ShadowPlan } from '../domain/plan.ts'
import type { Shadow, Timeouts } from '../domain/routes.ts'
import type { PairVerdict } from '../score/comparer.ts'
import type { Lane } from './lane-parts.ts'
import { type Errand, startAttempt } from './start-attempt.ts'

/** The shadows of one request. */
export class ShadowCopies {
  readonly #errand: Errand
  readonly #lane: Lane
  #copies: readonly Copy[] = []
  #primary: Answer | null | undefined
  #isShed = false

  constructor(errand: Errand, lane: Lane) {
    this.#errand = errand
    this.#lane = lane
  }

  /**
   * Sends every planned copy that its cap allows. Called after the request itself was sent; when that
   * was refused for overload at once, its copies are the first thing to go without.
   */
  send(): void {
    const planned: Copy[] = []
    for (const plan of this.#errand.plan.shadows) {
      if (plan.fate !== 'planned') {
        this.#lane.observer.shadowSkipped(plan.version, plan.fate)
        continue
      }
      const copy = new Copy(plan, this.#errand, this.#lane)
      if (this.#isShed) copy.shed()
      else copy.send()
      planned.push(copy)
    }
    this.#copies = planned
    if (this.#primary !== undefined) this.settle(this.#primary, null)
  }

  /** The request's own story is over; `answer` is what a version answered, or null when none did. */
  settle(answer: Answer | null, reason: Fault | null): void {
    this.#primary = answer
    if (reason !== null && traitsOf(reason.code).consequence === 'overload') this.#isShed = true
    for (const copy of this.#copies) copy.settlePrimary(answer)
    this.#copies = []
  }
}

class Copy {
  readonly #plan: ShadowPlan
  readonly #errand: Errand
  readonly #lane: Lane
  readonly #receivedAt: number
  #fate: ShadowOutcome['fate'] | undefined
  #attempt: Attempt | null = null
  #primary: Answer | null | undefined

  constructor(plan: ShadowPlan, errand: Errand, lane: Lane) {
    this.#plan = plan
    this.#errand = errand
    this.#lane = lane
    this.#receivedAt = lane.clock.wall()
    lane.work.count += 1
  }

  shed(): void {
    this.#fate = 'overload'
  }

  send(): void {
    const plan = this.#plan
    const errand = this.#errand
    const lane = this.#lane
    if (!lane.shadowCaps.enter(plan.version, plan.settings)) {
      this.#fate = 'cap'
      return
    }
    const startedAt = lane.clock.now()
    const limits = { timeouts: timeoutsOf(plan.settings, errand.intent.model.timeouts), deadlineAt: Infinity }
    startAttempt(plan.version, errand, { lane, limits, isShadow: true }, (result) =>
      this.#answered(result, startedAt),
    )
  }

  settlePrimary(answer: Answer | null): void {
    this.#primary = answer
    this.#finish()
  }

  #answered(result: AttemptResult, startedAt: number): void {
    this.#lane.shadowCaps.leave(this.#plan.version)
    this.#fate = fateOf(result)
    this.#attempt = {
      version: this.#plan.version.name,
      role: 'shadow',
      startedAt,
      result,
      verdict: this.#fate === 'answered' ? 'success' : 'failure',
    }
    this.#finish()
  }

  /** Runs when both stories are over: compares, then tells. */
  #finish(): void {
    if (this.#fate === undefined || this.#primary === undefined) return
    const { model } = this.#errand.intent
    const answer = this.#attempt?.result.answer ?? null
    if (
      this.#fate !== 'answered' ||
      answer === null ||
      this.#primary === null ||
      model.compare.length === 0
    ) {
      this.#tell({ agreement: 'not-compared', differences: [] })
      return
    }
    this.#lane.comparer.submit({ primary: this.#primary, shadow: answer, rules: model.compare }, (verdict) =>
      this.#tell(verdict),
    )
  }

  #tell(verdict: PairVerdict): void {
    const lane = this.#lane
    const outcome: ShadowOutcome = {
      id: this.#errand.id,
      model: this.#errand.intent.model.name,
      version: this.#plan.version.name,
      fate: this.#fate!,
      attempt: this.#attempt,
      agreement: verdict.agreement,
      differences: verdict.differences,
      endedAt: lane.clock.now(),
      receivedAt: this.#receivedAt,
    }
    lane.work.count -= 1
    lane.observer.shadowEnded(outcome, this.#plan.version)
    lane.recorder.shadow(outcome)
  }
}

function fateOf(result: AttemptResult): ShadowOutcome['fate'] {
  switch (result.fault?.code) {
    case undefined:
      return (result.answer?.status ?? 0) < 400 ? 'answered' : 'failed'
    case 'total-timeout':
    case 'first-byte-timeout':
    case 'connect-timeout':
    case 'idle-timeout':
      return 'timeout'
    case 'scoring-queue-full':
      return 'overload'
    default:
      return 'failed'
  }
}

/** The shadow's own timeout bounds the whole attempt; no phase may outlast it. */
function timeoutsOf(shadow: Shadow, model: Timeouts): Timeouts {
  const { timeoutMs } = shadow
  return {
    queueMs: Math.min(model.queueMs, timeoutMs),
    connectMs: Math.min(model.connectMs, timeoutMs),
    firstByteMs: timeoutMs,
    idleMs: timeoutMs,
    totalMs: timeoutMs,
  }
}
