/** The table `decisions`: one row for each request, however it ended. */
import type { LogRecord } from '../decode.ts'
import { idBytes } from '../records/row.ts'
import { type Column, hexOrWord, knownOrNull, sequenceOf } from './column.ts'

type DecisionColumn = Column<Extract<LogRecord, { type: 'decision' }>>

const WHEN_AND_WHO: readonly DecisionColumn[] = [
  {
    name: 'seq',
    type: 'bigint',
    isNullable: true,
    meaning: 'sequence in the log; null: not there yet, the record is in a journal',
    of: sequenceOf,
  },
  { name: 'time', type: 'time', meaning: 'receipt of the request, UTC', of: (r) => r.decision.receivedAt },
  { name: 'id', type: 'id', meaning: 'modelgate-request-id', of: (r) => idBytes(r.decision.id) },
  {
    name: 'model',
    type: 'text',
    meaning: 'model asked for; empty: refused before it was known',
    of: (r) => r.decision.model,
  },
  {
    name: 'version',
    type: 'text',
    meaning: 'version that answered; empty: none did',
    of: (r) => r.decision.served,
  },
  {
    name: 'assigned',
    type: 'text',
    meaning: 'version that the request was assigned to by experiment, canary or primary',
    of: (r) => r.decision.plan?.assigned ?? '',
  },
  {
    name: 'reason',
    type: 'text',
    meaning: 'why that version answered: rule, pin, experiment, canary, primary, fallback; or empty',
    of: (r) => r.decision.reason,
  },
  {
    name: 'outcome',
    type: 'text',
    meaning: 'ok, or the code of the fault the caller was told (docs/faults.md)',
    of: (r) => r.decision.fault?.code ?? 'ok',
  },
  {
    name: 'status',
    type: 'integer',
    meaning: 'status the caller was told; 499: it had left',
    of: (r) => r.decision.status,
  },
  {
    name: 'degraded',
    type: 'text',
    meaning: 'declared consequence that answered, or empty',
    of: (r) => r.decision.degraded,
  },
  { name: 'caller', type: 'text', meaning: 'address of the client', of: (r) => r.decision.client.address },
  { name: 'user_agent', type: 'text', meaning: 'user agent', of: (r) => r.decision.client.userAgent },
]

const WHAT: readonly DecisionColumn[] = [
  { name: 'method', type: 'text', meaning: 'HTTP method', of: (r) => r.decision.request.method },
  { name: 'path', type: 'text', meaning: 'path, without query', of: (r) => r.decision.request.path },
  { name: 'protocol', type: 'text', meaning: 'dialect, or empty', of: (r) => r.decision.protocol },
  {
    name: 'operation',
    type: 'text',
    meaning: 'infer, call, metadata, ready, or empty',
    of: (r) => r.decision.operation,
  },
  {
    name: 'key_source',
    type: 'text',
    meaning: 'where the sticky key was found, or empty',
    of: (r) => r.decision.keySource,
  },
  {
    name: 'key_digest',
    type: 'hex',
    meaning: 'HMAC of the sticky key; absent, or why there is none',
    of: (r) => hexOrWord(r.digests.key),
  },
  {
    name: 'request_digest',
    type: 'hex',
    meaning: 'HMAC of the request body; absent, or why there is none',
    of: (r) => hexOrWord(r.digests.request),
  },
  {
    name: 'answer_digest',
    type: 'hex',
    meaning: 'HMAC of the answer body; absent, or why there is none',
    of: (r) => hexOrWord(r.digests.answer),
  },
  {
    name: 'point',
    type: 'double',
    isNullable: true,
    meaning: 'where the sticky key fell in [0, 1); null: no percentage was asked',
    of: (r) => knownOrNull(r.decision.plan?.point),
  },
  {
    name: 'experiment',
    type: 'text',
    meaning: 'experiment that assigned an arm, or empty',
    of: (r) => r.decision.plan?.experiment ?? '',
  },
  {
    name: 'role',
    type: 'text',
    meaning: 'role of the version that was chosen: primary, canary, arm, fallback; or empty',
    of: (r) => r.decision.plan?.role ?? '',
  },
]

const HOW: readonly DecisionColumn[] = [
  {
    name: 'duration_ms',
    type: 'double',
    isNullable: true,
    meaning: 'receipt to the answer’s being ready; of streams, to their first byte',
    of: (r) => knownOrNull(r.decision.durationMs),
  },
  {
    name: 'first_byte_ms',
    type: 'double',
    isNullable: true,
    meaning: 'start of the last attempt to its first byte; null: there was none',
    of: (r) => knownOrNull(r.decision.attempts.at(-1)?.firstByteMs),
  },
  { name: 'attempts', type: 'integer', meaning: 'attempts made', of: (r) => r.decision.attempts.length },
  {
    name: 'endpoint',
    type: 'text',
    meaning: 'endpoint of the last attempt, or empty',
    of: (r) => r.decision.attempts.at(-1)?.endpoint ?? '',
  },
  {
    name: 'request_bytes',
    type: 'bigint',
    meaning: 'size of the request body',
    of: (r) => r.decision.request.bodyBytes,
  },
  {
    name: 'answer_bytes',
    type: 'bigint',
    isNullable: true,
    meaning: 'size of the answer body; null: no answer, or a stream of unknown length',
    of: (r) => knownOrNull(r.decision.answer?.bodyBytes),
  },
  {
    name: 'prompt_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it; of streams see the table streams',
    of: (r) => knownOrNull(r.decision.usage?.prompt),
  },
  {
    name: 'completion_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it; of streams see the table streams',
    of: (r) => knownOrNull(r.decision.usage?.completion),
  },
  {
    name: 'generation',
    type: 'integer',
    meaning: 'generation of the configuration',
    of: (r) => r.decision.generation,
  },
  {
    name: 'config_hash',
    type: 'text',
    meaning: 'SHA-256 of the configuration, hex',
    of: (r) => r.decision.configHash,
  },
  {
    name: 'trace_id',
    type: 'hex',
    meaning: 'W3C trace id, or empty',
    of: (r) => hexOrWord(r.decision.traceId),
  },
  { name: 'pin', type: 'text', meaning: 'version the caller asked for, or empty', of: (r) => r.decision.pin },
  {
    name: 'is_shadow',
    type: 'boolean',
    meaning: 'the request was itself a shadow copy of another gateway',
    of: (r) => r.decision.isShadow,
  },
  {
    name: 'kept',
    type: 'text',
    meaning: 'replayed (idempotency key), cached, or empty: made for this request',
    of: (r) => r.decision.kept?.how ?? '',
  },
]

export const DECISION_COLUMNS: readonly DecisionColumn[] = [...WHEN_AND_WHO, ...WHAT, ...HOW]
