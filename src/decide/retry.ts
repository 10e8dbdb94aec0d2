/**
 * Whether a failed attempt may be tried again at the same version. Only what does no harm: a request that never
 * reached an endpoint, or one that may be repeated and of whose answer nobody got anything. Whether the budget
 * allows it is asked elsewhere (observe/retry-budget.ts).
 */
import type { Fault, FaultCode } from '../domain/fault.ts'
import { headerOf } from '../domain/head.ts'
import type { Answer } from '../domain/outcome.ts'
import type { RetrySettings } from '../domain/routes.ts'

/** What `retry.on` calls a fault; codes that are not here are never tried again. */
const REASONS: ReadonlyMap<FaultCode, string> = new Map([
  ['connect-refused', 'connect'],
  ['connect-failed', 'connect'],
  ['connect-timeout', 'connect'],
  ['closed-before-answer', 'reset'],
  ['first-byte-timeout', 'timeout'],
])

export interface Failed {
  readonly fault: Fault
  /** The endpoint's own, of a 5xx. */
  readonly answer: Answer | null
  /** The dialect and the method say that asking twice does no harm. */
  readonly isRepeatable: boolean
}

export function isRetried(
  { on }: Pick<RetrySettings, 'on'>,
  { fault, answer, isRepeatable }: Failed,
): boolean {
  const reason = fault.code === 'endpoint-error' ? String(answer?.status) : REASONS.get(fault.code)
  if (reason === undefined || !on.includes(reason)) return false
  return isRepeatable || reason === 'connect'
}

/** Of an endpoint that says when to come back: after so many ms, at least. RFC 9110 §10.2.3; a date counts for nothing. */
export function retryAfterMs(answer: Answer | null): number {
  const value = answer === null ? undefined : headerOf(answer.headers, 'retry-after')
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) * 1000 : 0
}

/** Before the `retry`th (from 1) at an endpoint that was tried already: full jitter, doubled each time. */
export function backoffMs(retry: number, chance: number): number {
  return chance * BACKOFF_MS * 2 ** (retry - 1)
}

/** AWS Builders' Library: "Timeouts, retries and backoff with jitter". */
export const BACKOFF_MS = 25
