/** What a request means, once its head and body were understood. */
import type { Model, ProtocolName } from './routes.ts'

/** `infer` and `call` (raw) ask a version for an answer; the others ask about it. */
export type Operation = 'infer' | 'call' | 'metadata' | 'ready'

/** Which source gave the sticky key. `value` stays in memory: only its keyed digest is ever written. */
export interface StickyKey {
  /** As configured: `header:x-user-id`, `body:/parameters/user_id`, `client`, `random`. */
  readonly source: string
  readonly value: string
}

/** Who asks, for each purpose. Only hashes of it are kept, and only in memory. */
export interface Callers {
  /** One for each of the model's rate limits, in their order. */
  readonly rates: readonly string[]
  /** Empty where the model has no such thing. */
  readonly idempotency: string
  readonly cache: string
}

export interface Intent {
  readonly model: Model
  readonly protocol: ProtocolName
  readonly operation: Operation
  /** Version the caller asked for by path or `modelgate-pin`; null when it left the choice to us. */
  readonly pin: string | null
  readonly key: StickyKey
  readonly callers: Callers
  /** Whom its bodies are about, where they may be captured; empty: nobody is named. Only its keyed digest is written. */
  readonly subject: string
  /** What the caller names a repeatable request by; null where it does not, or the model keeps no answers for it. */
  readonly idempotencyKey: string | null
  /** Monotonic ms by which the caller wants an answer; Infinity when it set none. */
  readonly deadlineAt: number
  /** W3C trace id (32 hex digits), or empty. */
  readonly traceId: string
  /** This request is itself somebody's shadow: it is served, never shadowed again. */
  readonly isShadow: boolean
  /** What the dialect needs of the path and the query besides names, exactly as sent. */
  readonly rest: string
  /** For open-inference: length of the JSON part when the binary extension is used, else -1. */
  readonly jsonLength: number
  /** The caller names the outputs it wants: an index in its answer need not be that of the model's own list. */
  readonly selectsOutputs: boolean
}
