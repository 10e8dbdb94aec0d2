/**
 * What a connection carries and what it tells it. Answers come in the order of the requests, so each is told
 * only of its own; nothing is told after `answered` or `failed`.
 */
import type { FaultCode } from '../domain/fault.ts'
import type { AnswerHead } from '../domain/outcome.ts'

/** The request a connection carries, and what it is told. `now`: monotonic ms of the event. */
export interface Carried {
  /** Sending it twice does no harm: it may share a connection. */
  readonly isRepeatable: boolean
  /** The connection stands; `send` may be called. Only for those that took a connection still connecting. */
  connected(now: number): void
  /** The kernel has the whole request. Called during `send` or later. */
  sent(now: number): void
  /** A 1xx answer went by. */
  interim(): void
  /** Bytes came; `isAwaiting`: none of them of the final answer. */
  progressed(now: number, isAwaiting: boolean): void
  /** The head of the final answer. */
  head(head: AnswerHead): void
  /**
   * The next bytes of its body, valid during the call. False: nothing more is read from the endpoint until
   * `resume`; what was read already is still handed over.
   */
  body(bytes: Uint8Array): boolean
  /** The answer is complete. The connection is already free for others, or gone. */
  answered(now: number): void
  /** No answer will come; the connection is gone. */
  failed(loss: Loss, now: number): void
}

export interface Loss {
  readonly code: FaultCode
  /** Why, with system errors; never for callers. */
  readonly detail: string
  /** Not one byte of an answer came, so the endpoint may never have seen the request. */
  readonly isUnanswered: boolean
  /** It waited behind another request, which is what the connection ended for. */
  readonly isBehind: boolean
}
