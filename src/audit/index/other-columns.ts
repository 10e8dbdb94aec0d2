/**
 * The tables beside `decisions`: `shadows` and `streams`, joined to it by `id`, and `events`, everything else the
 * log tells: what happened to versions, endpoints and the gateway, who changed or read what.
 */
import type { LogRecord } from '../decode.ts'
import { idBytes } from '../records/row.ts'
import { type Column, knownOrNull, sequenceOf } from './column.ts'

type ShadowColumn = Column<Extract<LogRecord, { type: 'shadow' }>>
type StreamColumn = Column<Extract<LogRecord, { type: 'stream' }>>

/** Everything that is in none of the other tables. */
export type EventRecord = Exclude<LogRecord, { type: 'decision' | 'shadow' | 'stream' }>
type EventColumn = Column<EventRecord>

const SEQ = {
  name: 'seq',
  type: 'bigint',
  isNullable: true,
  meaning: 'sequence in the log; null: not there yet, the record is in a journal',
  of: sequenceOf,
} as const

export const SHADOW_COLUMNS: readonly ShadowColumn[] = [
  SEQ,
  { name: 'time', type: 'time', meaning: 'when the copy was made, UTC', of: (r) => r.shadow.receivedAt },
  { name: 'id', type: 'id', meaning: 'of the request', of: (r) => idBytes(r.shadow.id) },
  { name: 'model', type: 'text', meaning: 'model', of: (r) => r.shadow.model },
  { name: 'version', type: 'text', meaning: 'version that got the copy', of: (r) => r.shadow.version },
  {
    name: 'fate',
    type: 'text',
    meaning: 'answered, failed, cap, overload, timeout, too_large, budget, not_asked',
    of: (r) => r.shadow.fate,
  },
  {
    name: 'agreement',
    type: 'text',
    meaning: 'agree, differ, incomparable, not-compared',
    of: (r) => r.shadow.agreement,
  },
  {
    name: 'status',
    type: 'integer',
    isNullable: true,
    meaning: 'of the shadow’s answer; null: there was none',
    of: (r) => r.shadow.attempt?.status || null,
  },
  {
    name: 'duration_ms',
    type: 'double',
    isNullable: true,
    meaning: 'of the shadow; null: it was not asked',
    of: (r) => knownOrNull(r.shadow.attempt?.totalMs),
  },
  {
    name: 'differences',
    type: 'text',
    meaning: 'JSON array, one number or null for each compare rule',
    of: (r) => JSON.stringify(r.shadow.differences),
  },
]

export const STREAM_COLUMNS: readonly StreamColumn[] = [
  SEQ,
  { name: 'time', type: 'time', meaning: 'receipt of the request, UTC', of: (r) => r.stream.receivedAt },
  { name: 'id', type: 'id', meaning: 'of the request', of: (r) => idBytes(r.stream.id) },
  { name: 'model', type: 'text', meaning: 'model', of: (r) => r.stream.model },
  {
    name: 'version',
    type: 'text',
    meaning: 'version whose answer it was',
    of: (r) => r.stream.attempt.version,
  },
  { name: 'fate', type: 'text', meaning: 'complete, broken, client-gone', of: (r) => r.stream.fate },
  { name: 'status', type: 'integer', meaning: 'status the caller was told', of: (r) => r.stream.status },
  {
    name: 'duration_ms',
    type: 'double',
    isNullable: true,
    meaning: 'receipt to the last byte the caller took',
    of: (r) => knownOrNull(r.stream.durationMs),
  },
  { name: 'bytes', type: 'bigint', meaning: 'of body passed on', of: (r) => r.stream.bodyBytes },
  {
    name: 'finish_reason',
    type: 'text',
    meaning: 'why the model stopped, or empty',
    of: (r) => r.stream.summary?.finishReason ?? '',
  },
  {
    name: 'prompt_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it',
    of: (r) => knownOrNull(r.stream.summary?.usage?.prompt),
  },
  {
    name: 'completion_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it',
    of: (r) => knownOrNull(r.stream.summary?.usage?.completion),
  },
  {
    name: 'fault',
    type: 'text',
    meaning: 'code of the fault that broke it, or empty',
    of: (r) => r.stream.fault?.code ?? '',
  },
]

export const EVENT_COLUMNS: readonly EventColumn[] = [
  SEQ,
  {
    name: 'time',
    type: 'time',
    isNullable: true,
    meaning: 'UTC; null: a record that this version cannot read',
    of: (r) => (r.type === 'unknown' ? null : knownOrNull(Number(r.note.at))),
  },
  {
    name: 'type',
    type: 'text',
    meaning: 'breaker, config, start, stop, gap, recovery, endpoint, pressure, lane, approval, access …',
    of: (r) => r.type,
  },
  {
    name: 'model',
    type: 'text',
    isNullable: true,
    meaning: 'model it is about, or null',
    of: (r) => nameIn(r, 'model'),
  },
  {
    name: 'version',
    type: 'text',
    isNullable: true,
    meaning: 'version it is about, or null',
    of: (r) => (r.type === 'start' ? null : nameIn(r, 'version')),
  },
  {
    name: 'details',
    type: 'text',
    meaning: 'JSON object: the whole record; its fields are in src/audit/SPEC.md',
    of: detailsOf,
  },
]

function nameIn(record: EventRecord, field: 'model' | 'version'): string | null {
  const value = record.type === 'unknown' ? undefined : record.note[field]
  return typeof value === 'string' ? value : null
}

/** What is sealed for a subject stays in the log, where its key can be destroyed. */
function detailsOf(record: EventRecord): string {
  if (record.type === 'unknown') return JSON.stringify({ number: record.number, problem: record.problem })
  return JSON.stringify(record.note, (name, value: unknown) => {
    if (name === 'sealed') return undefined
    return typeof value === 'bigint' ? Number(value) : value
  })
}
