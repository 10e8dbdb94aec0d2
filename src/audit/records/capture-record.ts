/**
 * A captured body, or why one was not kept. A sealed body that is longer than a record may be lies in several, in
 * order. Layout in SPEC.md, "capture".
 */
import { hexText, idBytes, idText, Words } from './row.ts'

export const CAPTURE_VERSION = 1
/** Sealed bytes in one record: with all else it fits in a frame. */
export const CAPTURE_PART_BYTES = 60_000
const REDACTED_MAX = 32
const POINTER_MAX = 128
const MODEL_MAX = 128

/**
 * `kept`, or why not. `not-json`: there are paths to redact, and the body is not JSON; `no-room`: requests came faster than
 * bodies could be sealed, or the gateway was short of time, memory or disk; `failed`: no key could be made.
 */
export const CAPTURE_FATES = ['kept', 'not-json', 'too-large', 'streamed', 'no-room', 'failed'] as const
export type CaptureFate = (typeof CAPTURE_FATES)[number]

export interface CaptureRecord {
  /** Of the request; empty in a `no-room` record, which stands for several. */
  readonly id: string
  /** Unix ms of the request's receipt, or of the record where there is no id. */
  readonly at: number
  readonly model: string
  readonly side: 'request' | 'answer'
  readonly fate: CaptureFate
  /** Requests it stands for; 1 unless `no-room`. */
  readonly requests: number
  /** Keyed digest of whom the body is about, or of the day where nobody is named; 32 hex digits, or empty. */
  readonly subject: string
  /** Which key of the subject's: 16 hex digits, or empty. */
  readonly key: string
  /** Bytes of the body as it was sent. */
  readonly bytes: number
  /** Trailing bytes of tensors that were left out, because no path can name them. */
  readonly binaryBytes: number
  /** Paths that led to something, which was blanked. */
  readonly redacted: readonly string[]
  /** From 0, of `parts`. */
  readonly part: number
  readonly parts: number
  readonly sealed: Uint8Array
}

const SIDES = new Words<CaptureRecord['side']>(['request', 'answer'])
const FATES = new Words<CaptureFate>(CAPTURE_FATES)

/** For `pack`. */
export function captureRow(record: CaptureRecord): unknown[] {
  return [
    CAPTURE_VERSION,
    record.id === '' ? null : idBytes(record.id),
    record.at,
    record.model.slice(0, MODEL_MAX),
    SIDES.encode(record.side),
    FATES.encode(record.fate),
    record.requests,
    Buffer.from(record.subject, 'hex'),
    Buffer.from(record.key, 'hex'),
    record.bytes,
    record.binaryBytes,
    record.redacted.slice(0, REDACTED_MAX).map((path) => path.slice(0, POINTER_MAX)),
    record.part,
    record.parts,
    record.sealed,
  ]
}

export function decodeCapture(row: readonly unknown[]): CaptureRecord {
  return {
    id: row[1] instanceof Uint8Array ? idText(row[1]) : '',
    at: Number(row[2]),
    model: String(row[3]),
    side: SIDES.decode(row[4]),
    fate: FATES.decode(row[5]),
    requests: Number(row[6]),
    subject: hexText(row[7]),
    key: hexText(row[8]),
    bytes: Number(row[9]),
    binaryBytes: Number(row[10]),
    redacted: (row[11] as unknown[]).map(String),
    part: Number(row[12]),
    parts: Number(row[13]),
    sealed: row[14] as Uint8Array,
  }
}
