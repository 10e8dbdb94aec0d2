/**
 * Sends the planned shadow copies and tells what became of each: its record, and how its answer holds
 * against the one the caller got.
 *
 * A shadow never delays, fails or starves the request it copies: it has its own cap and timer, takes no
 * place of the model's limits, asks no breaker and counts in none, is marked by header, is never
 * retried and never shadowed. The caller's answer does not wait for any of this. What shadows' answers take of
 * the thread is bounded too: all are read at one pace, and who keeps losing connections is asked less.
 */
import { type Judgement, judgeShadow } from '../decide/judge.ts'
import type { CopyFate, ShadowOutcome } from '../domain/exchange.ts'
import { type Fault, traitsOf } from '../domain/fault.ts'
import type { Answer, Attempt, AttemptResult } from '../domain/outcome.ts'
import type { ShadowPlan } from '../domain/plan.ts'
import type { Shadow, Timeouts } from '../domain/routes.ts'
import { COMPARE_PAIR_BYTES_MAX, type PairVerdict } from '../score/comparer.ts'
import type { Lane } from './lane-parts.ts'
import { isRenamed } from './our-names.ts'
import { PacedAnswer } from './paced-answer.ts'
import { SHADOW_BODIES_BYTES_MAX } from './shadow-bodies.ts'
import { OPENED_LOSS } from './shadow-losses.ts'
import { type Errand, startAttempt } from './start-attempt.ts'

/** Answers larger than this are never compared: of the request's own no copy is kept, a shadow's is not read on. */
export const KEPT_BYTES_MAX = COMPARE_PAIR_BYTES_MAX

/** The shadows of one request. */
export class ShadowCopies {
  #copies: Copy[] = []

  constructor(errand: Errand, lane: Lane) {
    for (const plan of errand.plan.shadows) {
      if (plan.fate === 'planned') this.#copies.push(new Copy(plan, errand, lane))
      else lane.observer.shadowSkipped(plan.version, plan.fate)
    }
  }

  /** Sends the copies. Called when a version was really asked, after it was. */
  send(): void {
    for (const copy of this.#copies) copy.send()
  }

  /**
   * The request's own story is over; `answer` is what a version answered, or null when none did. Copies
   * that were not sent until then never are: under overload they are the first thing to go without. To an error
   * nothing is compared, as no shadow's is. `reason`: why there is no answer, or none of the version that was chosen.
   */
  settle(answer: Answer | null, reason: Fault | null): void {
    const isOfUse = answer !== null && answer.status < 400 && answer.body.length <= KEPT_BYTES_MAX
    const kept = isOfUse ? answer : null
    const isFull = reason !== null && traitsOf(reason.code).consequence === 'overload'
    for (const copy of this.#copies) copy.settlePrimary(kept, isFull ? 'overload' : 'not_asked')
    this.#copies = []
  }
}

class Copy {
  readonly #plan: ShadowPlan
  readonly #errand: Errand
  readonly #lane: Lane
  readonly #receivedAt: number
  #isSent = false
  #fate: CopyFate | undefined
  #attempt: Attempt | null = null
  #primary: Answer | null | undefined

  constructor(plan: ShadowPlan, errand: Errand, lane: Lane) {
    this.#plan = plan
    this.#errand = errand
    this.#lane = lane
    this.#receivedAt = lane.clock.wall()
    lane.work.count += 1
  }

  send(): void {
    const lane = this.#lane
    this.#isSent = true
    const refusal = this.#enter()
    if (refusal !== undefined) {
      this.#fate = refusal
      return
    }
    // It runs on the way of the request it copies, which a bug here must not disturb.
    try {
      this.#start()
    } catch (bug) {
      lane.onBug(bug)
      this.#leave()
      this.#fate = 'failed'
    }
  }

  /** Takes what a copy needs; else tells what it lacks, and holds nothing. */
  #enter(): CopyFate | undefined {
    const lane = this.#lane
    const { version, settings } = this.#plan
    const { holder, bytes } = this.#held
    if (lane.pressure.level > 0) return 'overload'
    if (bytes > SHADOW_BODIES_BYTES_MAX) return 'too_large'
    if (!lane.shadowLosses.mayLose(version.index)) return 'budget'
    if (!lane.shadowPlaces.enter(version.index, settings.concurrentMax)) return 'cap'
    if (lane.shadowBodies.enter(holder, bytes)) return undefined
    lane.shadowPlaces.leave(version.index)
    return 'budget'
  }

  #leave(): void {
    const { holder, bytes } = this.#held
    this.#lane.shadowPlaces.leave(this.#plan.version.index)
    this.#lane.shadowBodies.leave(holder, bytes)
  }

  /** What it keeps in memory: the request's body, with other copies; and with another name in it one of its own. */
  get #held(): { readonly holder: object; readonly bytes: number } {
    const { protocol, body } = this.#errand
    const isOwn = protocol.modelIn !== null && isRenamed(this.#plan.version, protocol)
    return isOwn ? { holder: this, bytes: 2 * body.length } : { holder: body, bytes: body.length }
  }

  #start(): void {
    const plan = this.#plan
    const errand = this.#errand
    const lane = this.#lane
    const startedAt = lane.clock.now()
    const { model, key } = errand.intent
    const limits = {
      timeouts: timeoutsOf(plan.settings, model.timeouts),
      deadlineAt: Infinity,
      key: key.value,
    }
    const answered = (result: AttemptResult): void => this.#answered(result, startedAt)
    const receiver = new PacedAnswer(answered, KEPT_BYTES_MAX, lane.shadowPace)
    receiver.progress = startAttempt(plan.version, errand, { lane, limits, isShadow: true }, receiver)
  }

  /** `unsent`: its fate if it was not sent until now. */
  settlePrimary(answer: Answer | null, unsent: CopyFate): void {
    this.#primary = answer
    if (!this.#isSent) this.#fate = unsent
    this.#finish()
  }

  #answered(result: AttemptResult, startedAt: number): void {
    const { version } = this.#plan
    this.#leave()
    this.#countLoss(result)
    const end = result.answer === null ? null : this.#errand.protocol.endOf(result.answer)
    const { verdict, fault } = judgeShadow(result, end, version)
    this.#fate = fateOf({ verdict, fault })
    const { name } = version
    this.#attempt = { version: name, role: 'shadow', startedAt, result: { ...result, fault }, verdict }
    this.#finish()
  }

  #countLoss({ fault, reused }: AttemptResult): void {
    const { version } = this.#plan
    if (version.kind === 'local' || (fault === null && reused)) return
    this.#lane.shadowLosses.lost(version.index, fault === null ? OPENED_LOSS : 1)
  }

  /** Runs when both stories are over: compares, then tells. */
  #finish(): void {
    if (this.#fate === undefined || this.#primary === undefined) return
    const { protocol } = this.#errand
    const { model } = this.#errand.intent
    const { version } = this.#plan
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
    const pair = {
      protocol: model.protocol,
      primary: this.#primary,
      shadow: answer,
      rules: model.compare,
      rename: isRenamed(version, protocol) ? { model: model.name, name: version.name } : null,
    }
    this.#lane.comparer.submit(pair, (verdict) => this.#tell(verdict))
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

function fateOf({ verdict, fault }: Judgement): CopyFate {
  switch (fault?.code) {
    case undefined:
      return verdict === 'success' ? 'answered' : 'failed'
    case 'total-timeout':
    case 'first-byte-timeout':
    case 'connect-timeout':
    case 'idle-timeout':
      return 'timeout'
    case 'answer-too-large':
      return 'too_large'
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
