/**
 * What came of a plan, complete when it is made: the story that is recorded, counted and told to the caller.
 */
import type { Fault } from '../domain/fault.ts'
import type { Answer, AnswerSummary, Attempt, Kept, Passed } from '../domain/outcome.ts'
import type { Reason } from '../domain/plan.ts'

/**
 * What came of a plan. Exactly one of `answer`, `passed` and `fault` is present; but an endpoint's own 5xx has
 * a fault too, and so has an answer that was passed on and ended badly.
 */
export interface Course {
  readonly attempts: readonly Attempt[]
  readonly answer: Answer | null
  readonly passed: Passed | null
  readonly summary: AnswerSummary | null
  /** Of an answer that was passed on, where comparing needs one. */
  readonly copy: Answer | null
  readonly fault: Fault | null
  /** Why what was passed on cannot be completed; null: it is complete as HTTP has it, or nothing was passed on. */
  readonly cut: Fault | null
  readonly served: string
  readonly reason: Reason | ''
  readonly degraded: string
  readonly kept: Kept | null
}

export const NO_COURSE: Course = {
  attempts: [],
  answer: null,
  passed: null,
  summary: null,
  copy: null,
  fault: null,
  cut: null,
  served: '',
  reason: '',
  degraded: '',
  kept: null,
}

/** What is known of a plan's execution, whatever its end. */
export interface SoFar {
  readonly attempts: readonly Attempt[]
  /** Why the plan chose its version. */
  readonly planned: Reason
  /** The consequence in force; empty: none. */
  readonly degraded: string
  /** What made it necessary. */
  readonly firstFault: Fault | null
}

/** What is answered in another's place is told with the fault that made it necessary. */
export function courseOf(end: Partial<Course>, { attempts, planned, degraded, firstFault }: SoFar): Course {
  const { served = '' } = end
  const isFallback = degraded !== ''
  return {
    attempts: end.attempts ?? attempts,
    answer: end.answer ?? null,
    passed: end.passed ?? null,
    summary: end.summary ?? null,
    copy: end.copy ?? null,
    fault: end.fault ?? (isFallback ? firstFault : null),
    cut: end.cut ?? null,
    served,
    reason: isFallback ? 'fallback' : served === '' ? '' : planned,
    degraded,
    kept: null,
  }
}
