/**
 * Every expected failure, in one closed table. The code is at once the `modelgate-error` header, the
 * metric label, the field in the record and the word in the log, so one word finds it everywhere.
 *
 * A fault is a value and is never thrown. `message` goes out to the caller in the dialect's own error
 * shape; `detail` stays inside (record, log) and may name addresses and system errors.
 */
export type FaultSource = 'client' | 'gateway' | 'upstream'

/** Which declared consequence (`on_failure`) answers for the fault; null: the caller's own doing. */
export type ConsequenceClass = 'timeout' | 'breaker_open' | 'overload' | 'invalid_output' | 'error'

export interface FaultTraits {
  readonly source: FaultSource
  /** HTTP status when it reaches the caller. */
  readonly status: number
  /** never · unsent: nothing reached the wire · reused: only if a kept-alive connection turned out dead. */
  readonly retry: 'never' | 'unsent' | 'reused'
  /** What it says about the version that was tried; neutral counts nothing and frees a probe. */
  readonly blame: 'failure' | 'neutral'
  readonly consequence: ConsequenceClass | null
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** One line for the documentation and for people reading a record. */
  readonly meaning: string
}

const client = (status: number, meaning: string): FaultTraits => ({
  source: 'client',
  status,
  retry: 'never',
  blame: 'neutral',
  consequence: null,
  level: 'debug',
  meaning,
})

const gateway = (
  status: number,
  consequence: ConsequenceClass | null,
  meaning: string,
  more: Partial<FaultTraits> = {},
): FaultTraits => ({
  source: 'gateway',
  status,
  retry: 'never',
  blame: 'neutral',
  consequence,
  level: 'info',
  meaning,
  ...more,
})

const upstream = (
  status: number,
  consequence: ConsequenceClass,
  retry: FaultTraits['retry'],
  meaning: string,
): FaultTraits => ({
  source: 'upstream',
  status,
  retry,
  blame: 'failure',
  consequence,
  level: 'warn',
  meaning,
})

export const FAULTS = {
  'malformed-request': client(400, 'the request breaks HTTP or the dialect’s rules'),
  'malformed-json': client(400, 'the body is not valid JSON'),
  'bad-tensor': client(400, 'a tensor’s name, shape, type or data does not fit the model'),
  'client-certificate-required': client(
    403,
    'server.tls.client_ca is set, and the client showed no certificate',
  ),
  'pin-not-allowed': client(403, 'this model does not let callers choose a version'),
  'unknown-path': client(404, 'no dialect answers at this path'),
  'unknown-model': client(404, 'no model of that name is configured'),
  'unknown-version': client(404, 'the model has no version of that name'),
  'method-not-allowed': client(405, 'the path exists but not for this method'),
  'request-timeout': client(408, 'the body came more slowly than this gateway waits'),
  'length-required': client(411, 'a request body that does not say how long it is'),
  'body-too-large': client(413, 'the body is larger than server.limits.body'),
  'unsupported-media-type': client(415, 'the content type is not one the dialect speaks'),
  'expectation-failed': client(417, 'an Expect header with something else than 100-continue'),
  'idempotency-in-progress': client(409, 'the first request with this idempotency-key is still under way'),
  'idempotency-mismatch': client(422, 'this idempotency-key was used for another request before'),
  'rate-limited': client(429, 'this caller has used up a rate limit of the model or of the server'),
  'header-fields-too-large': client(431, 'the header block is larger than server.limits.headers'),
  'client-gone': client(499, 'the caller closed the connection before the end of its answer'),
  'client-stalled': client(499, 'the caller took nothing of its answer for too long'),

  'breaker-open': gateway(503, 'breaker_open', 'the version’s circuit breaker refuses traffic'),
  overloaded: gateway(
    503,
    'overload',
    'the model’s places are taken, and limits.queue is full or the wait would be too long',
  ),
  'memory-exhausted': gateway(503, 'overload', 'server.limits.memory is full of bodies under way'),
  'gateway-overloaded': gateway(503, 'overload', 'the gateway itself is short of time or memory'),
  'queue-timeout': gateway(503, 'overload', 'no free place within timeouts.queue'),
  'scoring-queue-full': gateway(503, 'overload', 'scoring.queue is full'),
  'audit-unavailable': gateway(503, null, 'the decision record cannot be written', { level: 'error' }),
  'idempotency-unavailable': gateway(
    503,
    null,
    'what the first request with this idempotency-key was answered cannot be had at present',
  ),
  draining: gateway(503, null, 'the gateway is shutting down'),
  'deadline-exceeded': gateway(504, 'timeout', 'the caller’s own deadline passed'),
  internal: gateway(500, null, 'a bug in the gateway', { level: 'error' }),
  /** In records only: nobody is left to be told. */
  unknown_crash: gateway(
    500,
    null,
    'the process died while this request was under way; whether the model answered is not known',
    { level: 'error' },
  ),

  'model-not-loaded': upstream(503, 'error', 'never', 'the local model’s file is missing or broken'),
  'scoring-failed': upstream(502, 'error', 'never', 'the local model failed while scoring'),
  'connect-refused': upstream(502, 'error', 'unsent', 'the endpoint refused the connection'),
  'connect-failed': upstream(502, 'error', 'unsent', 'the endpoint could not be reached or resolved'),
  'address-denied': upstream(502, 'error', 'unsent', 'a private address, and upstream.deny_private is on'),
  'tls-failed': upstream(502, 'error', 'never', 'no TLS session with the endpoint that could be trusted'),
  'connect-timeout': upstream(504, 'timeout', 'unsent', 'no connection within timeouts.connect'),
  'first-byte-timeout': upstream(504, 'timeout', 'never', 'no first byte within timeouts.first_byte'),
  'idle-timeout': upstream(504, 'timeout', 'never', 'the answer paused longer than timeouts.idle'),
  'total-timeout': upstream(504, 'timeout', 'never', 'no complete answer within timeouts.total'),
  'closed-before-answer': upstream(502, 'error', 'reused', 'the endpoint closed before answering'),
  'truncated-answer': upstream(502, 'error', 'never', 'the endpoint closed in the middle of its answer'),
  'incomplete-stream': upstream(502, 'error', 'never', 'the stream ended, but not as its dialect ends one'),
  'malformed-answer': upstream(502, 'error', 'never', 'the endpoint’s answer breaks HTTP/1.1'),
  'answer-too-large': upstream(502, 'error', 'never', 'the answer is larger than the gateway holds'),
  'endpoint-error': upstream(502, 'error', 'never', 'the endpoint answered with a 5xx status'),
  'invalid-output': upstream(502, 'invalid_output', 'never', 'the answer fails the model’s output checks'),
} as const satisfies Record<string, FaultTraits>

export type FaultCode = keyof typeof FAULTS

export interface Fault {
  readonly kind: 'fault'
  readonly code: FaultCode
  readonly message: string
  readonly detail: string
  /** Response headers that belong to the refusal (`allow`, `retry-after`): name, value, … */
  readonly headers: readonly string[]
}

const NO_HEADERS: readonly string[] = []

export function fault(
  code: FaultCode,
  message: string,
  detail = '',
  headers: readonly string[] = NO_HEADERS,
): Fault {
  return { kind: 'fault', code, message, detail, headers }
}

export function traitsOf(code: FaultCode): FaultTraits {
  return FAULTS[code]
}

export function isFault(value: unknown): value is Fault {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'fault'
}
