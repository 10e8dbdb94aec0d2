/**
 * The tables beside `decisions`: `shadows` and `streams`, joined to it by `id`, and `events`, everything else the
 * log tells: what happened to versions, endpoints and the gateway, who changed or read what.
 */
import type { LogRecord } from '../decode.ts'
import { AGREEMENTS, SHADOW_FATES } from '../records/shadow-record.ts'
import { STREAM_FATES } from '../records/stream-record.ts'
import { type Column, knownOrNull, sequenceOf } from './column.ts'
import { bytes, known, knownMs, type RowRecord, text, textOrEmpty, within } from './row-values.ts'

type RowColumn = Column<RowRecord>

/** Places in the rows: SPEC.md, "shadow", "stream", "attempt". */
const SHADOW = {
  ...{ id: 1, receivedAt: 2, model: 3, version: 4, fate: 5, agreement: 6, differences: 7, attempt: 8 },
} as const
const STREAM = {
  ...{ id: 1, receivedAt: 2, model: 3, fate: 4, duration: 5, attempt: 6, status: 7, fault: 8, bodyBytes: 9 },
  summary: 10,
} as const
const IN_ATTEMPT = { version: 0, total: 8, status: 9 } as const
const IN_SUMMARY = { finishReason: 0, usage: 1 } as const

/** Everything that is in none of the other tables. */
export type EventRecord = Exclude<LogRecord, { type: 'decision' | 'shadow' | 'stream' }>
type EventColumn = Column<EventRecord>

const SEQ = {
  name: 'seq',
  type: 'bigint',
  isNullable: true,
  meaning: 'sequence in the log; null: not there yet, the record is in a journal',
  of: sequenceOf,
} as const satisfies Column<RowRecord>

export const SHADOW_COLUMNS: readonly RowColumn[] = [
  SEQ,
  {
    name: 'time',
    type: 'time',
    meaning: 'when the copy was made, UTC',
    of: (r) => Number(r.row[SHADOW.receivedAt]),
  },
  { name: 'id', type: 'id', meaning: 'of the request', of: (r) => bytes(r.row[SHADOW.id]) },
  { name: 'model', type: 'text', isSearched: true, meaning: 'model', of: (r) => text(r.row[SHADOW.model]) },
  {
    name: 'version',
    type: 'text',
    isSearched: true,
    meaning: 'version that got the copy',
    of: (r) => text(r.row[SHADOW.version]),
  },
  {
    name: 'fate',
    type: 'text',
    meaning: 'answered, failed, cap, overload, timeout, too_large, budget, not_asked',
    of: (r) => SHADOW_FATES.decode(r.row[SHADOW.fate]),
  },
  {
    name: 'agreement',
    type: 'text',
    meaning: 'agree, differ, incomparable, not-compared',
    of: (r) => AGREEMENTS.decode(r.row[SHADOW.agreement]),
  },
  {
    name: 'status',
    type: 'integer',
    isNullable: true,
    meaning: 'of the shadow’s answer; null: there was none',
    of: (r) => known(within(r.row[SHADOW.attempt], IN_ATTEMPT.status)) || null,
  },
  {
    name: 'duration_ms',
    type: 'double',
    isNullable: true,
    meaning: 'of the shadow; null: it was not asked',
    of: (r) => knownMs(within(r.row[SHADOW.attempt], IN_ATTEMPT.total)),
  },
  {
    name: 'differences',
    type: 'text',
    meaning: 'JSON array, one number or null for each compare rule',
    of: (r) => JSON.stringify(r.row[SHADOW.differences]),
  },
]

export const STREAM_COLUMNS: readonly RowColumn[] = [
  SEQ,
  {
    name: 'time',
    type: 'time',
    meaning: 'receipt of the request, UTC',
    of: (r) => Number(r.row[STREAM.receivedAt]),
  },
  { name: 'id', type: 'id', meaning: 'of the request', of: (r) => bytes(r.row[STREAM.id]) },
  { name: 'model', type: 'text', isSearched: true, meaning: 'model', of: (r) => text(r.row[STREAM.model]) },
  {
    name: 'version',
    type: 'text',
    meaning: 'version whose answer it was',
    of: (r) => text(within(r.row[STREAM.attempt], IN_ATTEMPT.version)),
  },
  {
    name: 'fate',
    type: 'text',
    meaning: 'complete, broken, client-gone',
    of: (r) => STREAM_FATES.decode(r.row[STREAM.fate]),
  },
  {
    name: 'status',
    type: 'integer',
    meaning: 'status the caller was told',
    of: (r) => Number(r.row[STREAM.status]),
  },
  {
    name: 'duration_ms',
    type: 'double',
    isNullable: true,
    meaning: 'receipt to the last byte the caller took',
    of: (r) => knownMs(r.row[STREAM.duration]),
  },
  { name: 'bytes', type: 'bigint', meaning: 'of body passed on', of: (r) => Number(r.row[STREAM.bodyBytes]) },
  {
    name: 'finish_reason',
    type: 'text',
    meaning: 'why the model stopped, or empty',
    of: (r) => textOrEmpty(within(r.row[STREAM.summary], IN_SUMMARY.finishReason)),
  },
  {
    name: 'prompt_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it',
    of: (r) => known(usageOf(r, 0)),
  },
  {
    name: 'completion_tokens',
    type: 'bigint',
    isNullable: true,
    meaning: 'as the model told it',
    of: (r) => known(usageOf(r, 1)),
  },
  {
    name: 'fault',
    type: 'text',
    meaning: 'code of the fault that broke it, or empty',
    of: (r) => textOrEmpty(within(r.row[STREAM.fault], 0)),
  },
]

export const EVENT_COLUMNS: readonly EventColumn[] = [
  { ...SEQ, of: (r) => r.place.sequence },
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
    isSearched: true,
    meaning: 'breaker, config, start, stop, gap, recovery, endpoint, pressure, lane, approval, access …',
    of: (r) => r.type,
  },
  {
    name: 'model',
    type: 'text',
    isSearched: true,
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

function usageOf({ row }: RowRecord, place: number): unknown {
  return within(within(row[STREAM.summary], IN_SUMMARY.usage), place)
}

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
