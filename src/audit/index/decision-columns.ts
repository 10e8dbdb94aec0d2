/** The table `decisions`: one row for each request, however it ended. */
import { decodeRole } from '../records/attempt-row.ts'
import { OPERATIONS, REASONS } from '../records/decision-record.ts'
import { HOW_KEPT } from '../records/ending-row.ts'
import { hexText } from '../records/row.ts'
import { type Column, sequenceOf } from './column.ts'
import {
  bytes,
  digestOrWord,
  known,
  knownMs,
  type RowRecord,
  text,
  textOrEmpty,
  within,
} from './row-values.ts'

type DecisionColumn = Column<RowRecord>

/** Places in the row, and in the arrays in it: SPEC.md, "decision", "plan" and "attempt". */
const AT = {
  ...{
    id: 1,
    receivedAt: 2,
    duration: 3,
    generation: 4,
    configHash: 5,
    traceId: 6,
    address: 7,
    userAgent: 8,
  },
  ...{ method: 9, path: 10, bodyBytes: 12, model: 13, protocol: 14, operation: 15, pin: 16, isShadow: 17 },
  ...{ keySource: 18, plan: 19, attempts: 20, served: 21, reason: 22, degraded: 23, status: 24, fault: 25 },
  ...{ answer: 26, usage: 28, kept: 29 },
} as const
const IN_PLAN = { role: 2, experiment: 3, assigned: 4, point: 5 } as const
const IN_ATTEMPT = { endpoint: 3, firstByte: 7 } as const

const planOf = ({ row }: RowRecord, place: number): unknown => within(row[AT.plan], place)

function lastAttemptOf({ row }: RowRecord, place: number): unknown {
  const attempts = row[AT.attempts] as readonly unknown[]
  return within(attempts[attempts.length - 1], place)
}

function roleOf(record: RowRecord): string {
  const role = planOf(record, IN_PLAN.role)
  return role === undefined ? '' : decodeRole(role)
}

function outcomeOf({ row }: RowRecord): string {
  const code = within(row[AT.fault], 0)
  return code === undefined ? 'ok' : text(code)
}

function keptOf({ row }: RowRecord): string {
  const how = within(row[AT.kept], 0)
  return how === undefined ? '' : HOW_KEPT.decode(how)
}

/** Nearly every record has the same: the text of the last one is kept. */
let lastHash: { readonly bytes: Uint8Array; readonly text: string } = { bytes: new Uint8Array(0), text: '' }

function hashText(value: unknown): string {
  const hash = bytes(value)
  if (Buffer.compare(hash, lastHash.bytes) !== 0) lastHash = { bytes: hash, text: hexText(hash) }
  return lastHash.text
}

function pointOf(record: RowRecord): number | null {
  const point = known(planOf(record, IN_PLAN.point))
  return point === null ? null : point / 1e6
}

const WHEN_AND_WHO: readonly DecisionColumn[] = [
  {
    name: 'seq',
    type: 'bigint',
    isNullable: true,
    meaning: 'sequence in the log; null: not there yet, the record is in a journal',
    of: sequenceOf,
  },
  {
    name: 'time',
    type: 'time',
    meaning: 'receipt of the request, UTC',
    of: (r) => Number(r.row[AT.receivedAt]),
  },
  { name: 'id', type: 'id', meaning: 'modelgate-request-id', of: (r) => bytes(r.row[AT.id]) },
  {
    name: 'model',
    type: 'text',
    isSearched: true,
    meaning: 'model asked for; empty: refused before it was known',
    of: (r) => text(r.row[AT.model]),
  },
  {
    name: 'version',
    type: 'text',
    isSearched: true,
    meaning: 'version that answered; empty: none did',
    of: (r) => text(r.row[AT.served]),
  },
  {
    name: 'assigned',
    type: 'text',
    meaning: 'version that the request was assigned to by experiment, canary or primary',
    of: (r) => textOrEmpty(planOf(r, IN_PLAN.assigned)),
  },
  {
    name: 'reason',
    type: 'text',
    meaning: 'why that version answered: rule, pin, experiment, canary, primary, fallback; or empty',
    of: (r) => REASONS.decode(r.row[AT.reason]),
  },
  {
    name: 'outcome',
    type: 'text',
    isSearched: true,
    meaning: 'ok, or the code of the fault the caller was told (docs/faults.md)',
    of: outcomeOf,
  },
  {
    name: 'status',
    type: 'integer',
    meaning: 'status the caller was told; 499: it had left',
    of: (r) => Number(r.row[AT.status]),
  },
  {
    name: 'degraded',
    type: 'text',
    isSearched: true,
    meaning: 'declared consequence that answered, or empty',
    of: (r) => text(r.row[AT.degraded]),
  },
  { name: 'caller', type: 'text', meaning: 'address of the client', of: (r) => text(r.row[AT.address]) },
  { name: 'user_agent', type: 'text', meaning: 'user agent', of: (r) => text(r.row[AT.userAgent]) },
]

const WHAT: readonly DecisionColumn[] = [
  { name: 'method', type: 'text', meaning: 'HTTP method', of: (r) => text(r.row[AT.method]) },
  { name: 'path', type: 'text', meaning: 'path, without query', of: (r) => text(r.row[AT.path]) },
  { name: 'protocol', type: 'text', meaning: 'dialect, or empty', of: (r) => text(r.row[AT.protocol]) },
  {
    name: 'operation',
    type: 'text',
    meaning: 'infer, call, metadata, ready, or empty',
    of: (r) => OPERATIONS.decode(r.row[AT.operation]),
  },
  {
    name: 'key_source',
    type: 'text',
    meaning: 'where the sticky key was found, or empty',
    of: (r) => text(r.row[AT.keySource]),
  },
  {
    name: 'key_digest',
    type: 'hex',
    meaning: 'HMAC of the sticky key; absent, or why there is none',
    of: (r) => digestOrWord(r.digests[0]),
  },
  {
    name: 'request_digest',
    type: 'hex',
    meaning: 'HMAC of the request body; absent, or why there is none',
    of: (r) => digestOrWord(r.digests[1]),
  },
  {
    name: 'answer_digest',
    type: 'hex',
    meaning: 'HMAC of the answer body; absent, or why there is none',
    of: (r) => digestOrWord(r.digests[2]),
  },
  {
    name: 'point',
    type: 'double',
    isNullable: true,
    meaning: 'where the sticky key fell in [0, 1); null: no percentage was asked',
    of: pointOf,
  },
  {
    name: 'experiment',
    type: 'text',
    meaning: 'experiment that assigned an arm, or empty',
    of: (r) => textOrEmpty(planOf(r, IN_PLAN.experiment)),
  },
  {
    name: 'role',
    type: 'text',
    meaning: 'role of the version that was chosen: primary, canary, arm, fallback; or empty',
    of: roleOf,
  },
]

const HOW: readonly DecisionColumn[] = [
  {
    name: 'duration_ms',
    type: 'double',
    isNullable: true,
    meaning: 'receipt to the answer’s being ready; of streams, to their first byte',
    of: (r) => knownMs(r.row[AT.duration]),
  },
  {
    name: 'first_byte_ms',
    type: 'double',
    isNullable: true,
    meaning: 'start of the last attempt to its first byte; null: there was none',
    of: (r) => knownMs(lastAttemptOf(r, IN_ATTEMPT.firstByte)),
  },
  {
    name: 'attempts',
    type: 'integer',
    meaning: 'attempts made',
    of: (r) => (r.row[AT.attempts] as readonly unknown[]).length,
  },
  {
    name: 'endpoint',
    type: 'text',
    meaning: 'endpoint of the last attempt, or empty',
    of: (r) => textOrEmpty(lastAttemptOf(r, IN_ATTEMPT.endpoint)),
  },
  {
    name: 'request_bytes',
    type: 'bigint',
    meaning: 'size of the request body',
    of: (r) => Number(r.row[AT.bodyBytes]),
  },
  {
    name: 'answer_bytes',
    type: 'bigint',
    isNullable: true,
    meaning: 'size of the answer body; null: no answer, or a stream of unknown length',
    of: (r) => known(within(r.row[AT.answer], 0)),
  },
  {
    name: 'prompt_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it; of streams see the table streams',
    of: (r) => known(within(r.row[AT.usage], 0)),
  },
  {
    name: 'completion_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it; of streams see the table streams',
    of: (r) => known(within(r.row[AT.usage], 1)),
  },
  {
    name: 'generation',
    type: 'integer',
    meaning: 'generation of the configuration',
    of: (r) => Number(r.row[AT.generation]),
  },
  {
    name: 'config_hash',
    type: 'text',
    meaning: 'SHA-256 of the configuration, hex',
    of: (r) => hashText(r.row[AT.configHash]),
  },
  {
    name: 'trace_id',
    type: 'hex',
    meaning: 'W3C trace id, or empty',
    of: (r) => bytes(r.row[AT.traceId]),
  },
  {
    name: 'pin',
    type: 'text',
    meaning: 'version the caller asked for, or empty',
    of: (r) => text(r.row[AT.pin]),
  },
  {
    name: 'is_shadow',
    type: 'boolean',
    meaning: 'the request was itself a shadow copy of another gateway',
    of: (r) => r.row[AT.isShadow] === true,
  },
  {
    name: 'kept',
    type: 'text',
    meaning: 'replayed (idempotency key), cached, or empty: made for this request',
    of: keptOf,
  },
]

export const DECISION_COLUMNS: readonly DecisionColumn[] = [...WHEN_AND_WHO, ...WHAT, ...HOW]
