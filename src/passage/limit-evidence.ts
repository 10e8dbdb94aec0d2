/** What an attempt says about how many may be under way at once, for `limits.adaptive`. */
import type { FaultCode } from '../domain/fault.ts'
import type { Attempt, AttemptResult } from '../domain/outcome.ts'

/** Out of time or refused for want of capacity, as it seems. */
const DROPS: ReadonlySet<FaultCode> = new Set([
  'connect-timeout',
  'first-byte-timeout',
  'idle-timeout',
  'total-timeout',
  'scoring-queue-full',
])
const DROP_STATUS = [429, 503]

export interface AttemptTime {
  /** How long its version let the caller wait, at least: without the time in which our own loop was held up. */
  readonly tookMs: number
  readonly heldUpMs: number
}

/**
 * How long an answer took, in ms; `drop`: a sign of too many; null: neither. Errors that come at once, callers that left
 * and requests that were wrong say nothing of capacity. Where our own loop was held up, the truth lies between the
 * time with that and the time without: the middle is taken while it is sure enough, and else nothing.
 */
export function limitEvidence(
  { fault, answer, passed }: AttemptResult,
  verdict: Attempt['verdict'],
  { tookMs, heldUpMs }: AttemptTime,
): number | 'drop' | null {
  const status = answer?.status ?? passed?.status ?? 0
  if (DROP_STATUS.includes(status)) return 'drop'
  if (heldUpMs > tookMs) return null
  if (fault !== null && DROPS.has(fault.code)) return 'drop'
  return verdict === 'success' ? tookMs + heldUpMs / 2 : null
}
