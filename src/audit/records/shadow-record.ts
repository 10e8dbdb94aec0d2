/** What became of one shadow copy, tied to its decision by the request id. Layout in SPEC.md, "shadow". */
import type { ShadowOutcome } from '../../domain/exchange.ts'
import { type AttemptRecord, decodeAttempt, encodeAttempt, NAME_LENGTH_MAX } from './attempt-row.ts'
import { clip, idBytes, idText, Words } from './row.ts'

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

const FATES = new Words<ShadowOutcome['fate']>(['answered', 'failed', 'cap', 'overload', 'timeout'])
const AGREEMENTS = new Words<ShadowOutcome['agreement']>(['agree', 'differ', 'incomparable', 'not-compared'])

export function encodeShadow(record: ShadowRecord): unknown[] {
  return [
    SHADOW_VERSION,
    idBytes(record.id),
    record.receivedAt,
    clip(record.model, NAME_LENGTH_MAX),
    clip(record.version, NAME_LENGTH_MAX),
    FATES.encode(record.fate),
    AGREEMENTS.encode(record.agreement),
    record.differences.slice(0, DIFFERENCES_MAX),
    record.attempt === null ? null : encodeAttempt(record.attempt),
  ]
}

export function decodeShadow(row: readonly unknown[]): ShadowRecord {
  const attempt = row[8] as unknown[] | null
  return {
    id: idText(row[1]),
    receivedAt: Number(row[2]),
    model: String(row[3]),
    version: String(row[4]),
    fate: FATES.decode(row[5]),
    agreement: AGREEMENTS.decode(row[6]),
    differences: row[7] as (number | null)[],
    attempt: attempt === null ? null : decodeAttempt(attempt),
  }
}
