/** Attempts that no endpoint and no model answered, as the record tells them. */
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
