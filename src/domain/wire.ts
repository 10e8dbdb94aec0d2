/** Shapes that cross between the pipeline and the two ways of getting an answer: forward/ and score/. */
import type { AttemptResult } from './outcome.ts'
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
}

/**
 * Stops an attempt whose answer nobody wants any more. After it, `done` is never called. Calling it
 * twice, or after `done`, does nothing.
 */
export type Cancel = () => void

/** Called exactly once unless cancelled; never synchronously inside the call that started the attempt. */
export type Done = (result: AttemptResult) => void
