/**
 * How an answer that was passed on as it came ended, tied to its decision by the request id. The decision had to be
 * written before the answer's first byte left and cannot hold it. Layout in SPEC.md, "stream".
 */
import type { StreamOutcome } from '../../domain/exchange.ts'
import { type AnswerSummary, FINISH_REASON_LENGTH_MAX } from '../../domain/outcome.ts'
import {
  type AttemptRecord,
  DETAIL_LENGTH_MAX,
  decodeAttempt,
  NAME_LENGTH_MAX,
  writeAttempt,
} from './attempt-row.ts'
import { decodeFault, decodeUsage, type FaultRecord, writeFault, writeUsage } from './ending-row.ts'
import { fromMicros, idText, toMicros, Words } from './row.ts'
import type { RowWriter } from './row-writer.ts'

export const STREAM_VERSION = 1

export interface StreamRecord {
  readonly id: string
  /** Unix ms at which the request was received. */
  readonly receivedAt: number
  readonly model: string
  readonly fate: StreamOutcome['fate']
  /** From the request's receipt to the last byte the caller took. */
  readonly durationMs: number
  /** The one whose answer it was, as it is at its end. */
  readonly attempt: AttemptRecord
  readonly status: number
  readonly fault: FaultRecord | null
  /** Of the body that was passed on. */
  readonly bodyBytes: number
  /** Null where the dialect reads none. */
  readonly summary: AnswerSummary | null
}

export const STREAM_FATES = new Words<StreamOutcome['fate']>([
  'complete',
  'broken',
  'client-gone',
  'withheld',
])

export function writeStream(row: RowWriter, record: StreamRecord): void {
  row.array(11)
  row.number(STREAM_VERSION)
  row.id(record.id)
  row.number(record.receivedAt)
  row.text(record.model, NAME_LENGTH_MAX)
  row.word(STREAM_FATES.encode(record.fate))
  row.number(toMicros(record.durationMs))
  writeAttempt(row, record.attempt)
  row.number(record.status)
  writeFault(row, record.fault)
  row.number(record.bodyBytes)
  writeSummary(row, record.summary)
}

export function decodeStream(row: readonly unknown[]): StreamRecord {
  return {
    id: idText(row[1]),
    receivedAt: Number(row[2]),
    model: String(row[3]),
    fate: STREAM_FATES.decode(row[4]),
    durationMs: fromMicros(row[5]),
    attempt: decodeAttempt(row[6] as unknown[]),
    status: Number(row[7]),
    fault: decodeFault(row[8]),
    bodyBytes: Number(row[9]),
    summary: decodeSummary(row[10]),
  }
}

function writeSummary(row: RowWriter, summary: AnswerSummary | null): void {
  if (summary === null) return row.nil()
  row.array(4)
  row.text(summary.finishReason, FINISH_REASON_LENGTH_MAX)
  writeUsage(row, summary.usage)
  row.number(summary.events)
  row.text(summary.problem, DETAIL_LENGTH_MAX)
}

function decodeSummary(value: unknown): AnswerSummary | null {
  if (!Array.isArray(value)) return null
  return {
    finishReason: String(value[0]),
    usage: decodeUsage(value[1]),
    events: Number(value[2]),
    problem: String(value[3]),
  }
}
