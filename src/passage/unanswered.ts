/** Attempts without an end of their own, as the record tells them: not begun, left by the caller, not yet over. */
import { type Fault, fault } from '../domain/fault.ts'
import type { Attempt, AttemptResult, Role } from '../domain/outcome.ts'
import type { Version } from '../domain/routes.ts'

const NO_PHASES = { queueMs: -1, connectMs: -1, firstByteMs: -1, totalMs: 0 }

/** Its breaker did not let the attempt begin. `now`: monotonic ms. */
export function refusedAttempt(version: Version, role: Role, now: number, refusal: Fault): Attempt {
  const result = { endpoint: '', phases: NO_PHASES, reused: false, answer: null, fault: refusal }
  return { version: version.name, role, startedAt: now, result, verdict: 'neutral' }
}

/** The caller left while the version was working. */
export function abandonedResult(workedMs: number): AttemptResult {
  const left = fault('client-gone', 'the caller left while this version was working')
  const phases = { ...NO_PHASES, totalMs: workedMs }
  return { endpoint: '', phases, reused: false, answer: null, fault: left }
}

/** Its answer is being passed on: how it will end is not known yet. */
export function openResult(workedMs: number): AttemptResult {
  return {
    endpoint: '',
    phases: { ...NO_PHASES, totalMs: workedMs },
    reused: false,
    answer: null,
    fault: null,
  }
}
