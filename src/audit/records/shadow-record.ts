/** What became of one shadow copy, tied to its decision by the request id. Layout in SPEC.md, "shadow". */
import type { ShadowOutcome } from '../../domain/exchange.ts'
import { type AttemptRecord, decodeAttempt, NAME_LENGTH_MAX, writeAttempt } from './attempt-row.ts'
import { idText, Words } from './row.ts'
import type { RowWriter } from './row-writer.ts'

export const SHADOW_VERSION = 1
/** Differences kept; compare rules beyond this are counted in `agreement` alone. */
export const DIFFERENCES_MAX = 256

export interface ShadowRecord {
  readonly id: string
  /** Unix ms at which the copy was made. */
  readonly receivedAt: number
  readonly model: string
  readonly version: string
  readonly fate: ShadowOutcome['fate']
  readonly agreement: ShadowOutcome['agreement']
  readonly differences: readonly (number | null)[]
  readonly attempt: AttemptRecord | null
}

export const SHADOW_FATES = new Words<ShadowOutcome['fate']>([
  'answered',
  'failed',
  'cap',
  'overload',
  'timeout',
  'too_large',
  'budget',
  'not_asked',
])
export const AGREEMENTS = new Words<ShadowOutcome['agreement']>([
  'agree',
  'differ',
  'incomparable',
  'not-compared',
])

export function writeShadow(row: RowWriter, record: ShadowRecord): void {
  row.array(9)
  row.number(SHADOW_VERSION)
  row.id(record.id)
  row.number(record.receivedAt)
  row.text(record.model, NAME_LENGTH_MAX)
  row.text(record.version, NAME_LENGTH_MAX)
  row.word(SHADOW_FATES.encode(record.fate))
  row.word(AGREEMENTS.encode(record.agreement))
  const differences = record.differences.slice(0, DIFFERENCES_MAX)
  row.array(differences.length)
  for (const difference of differences) {
    if (difference === null) row.nil()
    else row.number(difference)
  }
  if (record.attempt === null) row.nil()
  else writeAttempt(row, record.attempt)
}

export function decodeShadow(row: readonly unknown[]): ShadowRecord {
  const attempt = row[8] as unknown[] | null
  return {
    id: idText(row[1]),
    receivedAt: Number(row[2]),
    model: String(row[3]),
    version: String(row[4]),
    fate: SHADOW_FATES.decode(row[5]),
    agreement: AGREEMENTS.decode(row[6]),
    differences: row[7] as (number | null)[],
    attempt: attempt === null ? null : decodeAttempt(attempt),
  }
}
