/** Shapes that cross between the pipeline and the two ways of getting an answer: forward/ and score/. */
import type { AnswerHead, AttemptResult } from './outcome.ts'
import type { Timeouts } from './routes.ts'

/** What goes to an endpoint. Framing (Host, Content-Length, Connection) is written by forward/ itself. */
export interface OutboundRequest {
  readonly method: string
  readonly target: string
  /** End-to-end headers only, name, value, …; already without hop-by-hop and framing headers. */
  readonly headers: readonly string[]
  /** Shared, never copied or changed: the primary and its shadows send the same bytes. */
  readonly body: Uint8Array
  /** Sending it twice does no harm (GET, or an inference dialect's infer). */
  readonly repeatable: boolean
}

export interface AttemptLimits {
  readonly timeouts: Timeouts
  /** Monotonic ms after which nobody waits for the answer; Infinity when the caller set no deadline. */
  readonly deadlineAt: number
  /** The caller's sticky key, where the same caller should reach the same endpoint. */
  readonly key?: string
  /** Endpoints that were tried already, as `AttemptResult.endpoint` names them: the last to be chosen again. */
  readonly avoid?: readonly string[]
  /** Present where a second copy may be sent beside one that is late. */
  readonly hedge?: HedgeTerms
}

/** When a second copy of a request may be sent, as told by whoever observes a version's answers. */
export interface HedgeTerms {
  /** Ms from an attempt's start; Infinity while that is not known. Asked once for each attempt. */
  afterMs(): number
  /** So much time has passed. True: a second copy is sent, and has been counted. */
  mayStart(now: number): boolean
  /** The first copy brought a good answer after so many ms; or was overtaken by the second, and would have taken longer. */
  began(ms: number, isOvertaken: boolean): void
}

/**
 * Stops an attempt whose answer nobody wants any more. After it, `done` is never called. Calling it
 * twice, or after `done`, does nothing.
 */
export type Cancel = () => void

/** Called exactly once unless cancelled; never synchronously inside the call that started the attempt. */
export type Done = (result: AttemptResult) => void

/** What is told of an attempt at an endpoint. Nothing is told inside the call that started it, nor after a cancel. */
export interface Receiver {
  /**
   * While true, what comes is not what the caller waits for (a ping, an empty delta): the wait for the
   * first byte goes on. Read after each `head` and `body`.
   */
  readonly awaitsContent: boolean
  /** Of a body: an attempt whose answer is longer fails with `answer-too-large`. Read after each call. */
  readonly bodyBytesMax: number
  /** There is no memory for more of it: the attempt fails with `memory-exhausted`. Read after each call. */
  readonly lacksMemory?: boolean
  /**
   * Where bytes may come that are not yet what the caller waits for: who tells them apart, for as long as it is
   * open whose answer this receiver gets. Null, or no such method: a head is enough.
   */
  probe?(head: AnswerHead): ContentProbe | null
  /** The answer's head; at most once. */
  head(head: AnswerHead): void
  /** The next bytes of its body: a view that is valid during the call only. False: wait for `resume`. */
  body(bytes: Uint8Array): boolean
  /** The end: `fault` null when the answer is complete. `answer` is always null here: whoever received it has it. */
  done(result: AttemptResult): void
}

export interface ContentProbe {
  /** False from the first bytes on that the caller waits for. */
  readonly awaitsContent: boolean
  /** The view is valid during the call only. */
  push(bytes: Uint8Array): unknown
}

/** An attempt that is under way. */
export interface InProgress {
  readonly cancel: Cancel
  /** What is known of it before its end; `answer` and `fault` are null. */
  soFar(): AttemptResult
  /** Takes up again what `body` asked to wait. */
  resume(): void
}
