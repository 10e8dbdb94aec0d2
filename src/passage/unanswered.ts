/** Attempts without an end of their own, as the record tells them: not begun, or left by the caller; and how long one took. */
import { type Fault, fault } from '../domain/fault.ts'
import type { Attempt, AttemptResult, Role } from '../domain/outcome.ts'
import type { Version } from '../domain/routes.ts'
import type { InProgress } from '../domain/wire.ts'

const NO_PHASES = { queueMs: -1, connectMs: -1, firstByteMs: -1, totalMs: 0 }

/** Its breaker did not let the attempt begin. `now`: monotonic ms. */
export function refusedAttempt(version: Version, role: Role, now: number, refusal: Fault): Attempt {
  const result = { endpoint: '', phases: NO_PHASES, reused: false, answer: null, fault: refusal }
  return { version: version.name, role, startedAt: now, result, verdict: 'neutral' }
}

/** The caller left while the version was working. */
export function abandoned(result: AttemptResult): AttemptResult {
  return { ...result, fault: fault('client-gone', 'the caller left while this version was working') }
}

/**
 * How long a version lets its caller wait, for the breaker: an answer that is passed on is of use from its first content.
 * What this lane's own loop took meanwhile (`heldUpMs`) is not the version's doing: an overloaded gateway must not
 * take a healthy version from everybody.
 */
export function tookMs({ passed, phases }: AttemptResult, totalMs: number, heldUpMs: number): number {
  const waitedMs = passed === undefined || phases.firstByteMs < 0 ? totalMs : phases.firstByteMs
  return Math.max(0, waitedMs - heldUpMs)
}

const NOTHING_YET: AttemptResult = {
  endpoint: '',
  phases: NO_PHASES,
  reused: false,
  answer: null,
  fault: null,
}

/** An attempt that a bug kept from starting. */
export const NOT_STARTED: InProgress = {
  cancel: () => {},
  resume: () => {},
  soFar: () => NOTHING_YET,
}
