/** The whole story of one request, formed once, at its end. observe/ counts it and record/ writes it. */
import type { Fault } from './fault.ts'
import type { Head } from './head.ts'
import type { Intent } from './intent.ts'
import type { Answer, AnswerSummary, Attempt, Kept, Passed } from './outcome.ts'
import type { Plan, Reason } from './plan.ts'
import type { AuditMode, Model } from './routes.ts'

export interface Exchange {
  /** UUIDv7; the `modelgate-request-id` header. */
  readonly id: string
  readonly generation: number
  readonly configHash: string
  /** How sure its record is before the answer leaves. */
  readonly auditMode: AuditMode
  /** Unix ms at receipt. */
  readonly receivedAt: number
  /** Monotonic ms at receipt and when the answer was ready to leave. */
  readonly startedAt: number
  readonly endedAt: number
  readonly head: Head
  /** The one that was asked, also where its request is refused; null when none of that name is configured. */
  readonly model: Model | null
  /** Null where a refusal came before it could be known. */
  readonly intent: Intent | null
  readonly plan: Plan | null
  /** In the order tried; shadows are not among them (they have records of their own). */
  readonly attempts: readonly Attempt[]
  /** Version that gave the answer the caller got; empty when none did. */
  readonly served: string
  readonly reason: Reason | ''
  /** The declared consequence that gave the answer, as configured (`version:v1`, `reply:x.json`); or empty. */
  readonly degraded: string
  /** The answer is one that was given before; null: it was made for this request. */
  readonly kept: Kept | null
  /** What the caller was told; status 499 when it had left. */
  readonly status: number
  readonly fault: Fault | null
  readonly requestBody: Uint8Array
  /** What the caller is told besides the answer: name, value, … */
  readonly asides: readonly string[]
  /** Null when nothing was sent, and when it was passed on as it came. */
  readonly answer: Answer | null
  /** Null unless the answer was passed on as it came. Its decision is recorded while it is open. */
  readonly passed: Passed | null
  /** Null where the dialect reads none, or while the answer is open. */
  readonly summary: AnswerSummary | null
}

/** How an answer that was passed on as it came ended. Written after its decision, tied to it by `id`. */
export interface StreamOutcome {
  readonly id: string
  /** Unix ms at which the request was received. */
  readonly receivedAt: number
  readonly model: string
  /**
   * `broken`: the caller was left with a message that its HTTP client knows to be cut short. `withheld`: it got 503
   * instead of the answer, held whole or not, because its record was not on the disk in time.
   */
  readonly fate: 'complete' | 'broken' | 'client-gone' | 'withheld'
  /** From the request's receipt to the last byte the caller took. */
  readonly durationMs: number
  /** The one whose answer it was; phases, verdict and fault as they are at its end. */
  readonly attempt: Attempt
  readonly status: number
  readonly fault: Fault | null
  readonly summary: AnswerSummary | null
}

/**
 * `answered`, or why not. `too_large`: its answer grew over what is kept of a shadow's, or, where it was not sent, the
 * request is longer than all copies together may hold. Not sent: `cap`, as many as max_concurrent were under way;
 * `budget`, it lost too many connections lately, or copies under way hold as many bytes of requests as they may; `overload`,
 * there was no room for the request itself, or for the copy on the scoring pool; `not_asked`, no version was asked for
 * the request itself (breaker open, no time left, or its caller was gone).
 */
export type CopyFate =
  | 'answered'
  | 'failed'
  | 'cap'
  | 'overload'
  | 'timeout'
  | 'too_large'
  | 'budget'
  | 'not_asked'

/** What became of one shadow copy. Written after the primary's record, tied to it by `id`. */
export interface ShadowOutcome {
  readonly id: string
  readonly model: string
  readonly version: string
  readonly fate: CopyFate
  readonly attempt: Attempt | null
  /** Against the primary's answer, when both answered and `compare` is configured. */
  readonly agreement: 'agree' | 'differ' | 'incomparable' | 'not-compared'
  /** One entry for each compare rule: the absolute difference, or null for labels and what is missing. */
  readonly differences: readonly (number | null)[]
  /** Monotonic ms at which the story ended. */
  readonly endedAt: number
  readonly receivedAt: number
}
