/**
 * From a frame's payload to the record a person may read, with where it lies. The counterpart of what the lane
 * packs and the writer thread puts around it. Payloads that no longer decode are reported, never thrown over.
 */
import { type CaptureRecord, decodeCapture } from './records/capture-record.ts'
import { type DecisionRecord, decodeDecision } from './records/decision-record.ts'
import { unpack } from './records/msgpack.ts'
import { DIGEST_FATES, type Origin, readOrigin } from './records/payload.ts'
import { type NoteType, recordTypeOf } from './records/record-type.ts'
import { decodeShadow, type ShadowRecord } from './records/shadow-record.ts'
import { decodeStream, type StreamRecord } from './records/stream-record.ts'
import { DIGEST_KINDS } from './ring.ts'

/** Where a record lies: its segment, or the journal of a lane while the writer has not come to it. */
export interface RecordPlace {
  /** Relative to the data directory. */
  readonly file: string
  readonly at: number
  /** Global sequence, from 0; null while it is in a journal only. */
  readonly sequence: number | null
}

/** 32 hex digits, or why there is none. */
export type DigestRecord = { readonly [kind in (typeof DIGEST_KINDS)[number]]: string }

interface RecordedAs {
  readonly place: RecordPlace
  readonly origin: Origin
}

export type LogRecord = RecordedAs &
  (
    | { readonly type: 'decision'; readonly decision: DecisionRecord; readonly digests: DigestRecord }
    | { readonly type: 'shadow'; readonly shadow: ShadowRecord }
    | { readonly type: 'stream'; readonly stream: StreamRecord }
    | { readonly type: 'capture'; readonly note: CaptureRecord & Readonly<Record<string, unknown>> }
    | {
        readonly type: NoteType
        readonly note: Readonly<Record<string, unknown>>
      }
    /** Of a later version, or one whose payload does not decode. */
    | { readonly type: 'unknown'; readonly number: number; readonly problem: string }
  )

/** A record of a segment. */
export function decodeSequenced(type: number, payload: Buffer, place: RecordPlace): LogRecord {
  const origin = readOrigin(payload)
  const none = { lane: 0, start: 0, sequence: 0 }
  if (origin === undefined)
    return { type: 'unknown', number: type, problem: 'no origin', place, origin: none }
  return decodeWith(type, place, origin, () => {
    const envelope = unpack(payload) as [unknown, unknown[], unknown]
    return { value: envelope[2], digests: digestsOf(envelope[1]) }
  })
}

const PENDING = 'pending'

/** A record of a journal; its digests are not there yet. */
export function decodeUnsequenced(type: number, payload: Buffer, at: RecordedAs): LogRecord {
  const digests = { key: PENDING, request: PENDING, answer: PENDING }
  return decodeWith(type, at.place, at.origin, () => ({ value: unpack(payload), digests }))
}

function decodeWith(
  number: number,
  place: RecordPlace,
  origin: Origin,
  open: () => { value: unknown; digests: DigestRecord },
): LogRecord {
  const type = recordTypeOf(number)
  const unknown = (problem: string) => ({ type: 'unknown', number, problem, place, origin }) as const
  if (type === undefined) return unknown('a type of a later version')
  try {
    const { value, digests } = open()
    if (type === 'decision')
      return { type, decision: decodeDecision(value as unknown[]), digests, place, origin }
    if (type === 'shadow') return { type, shadow: decodeShadow(value as unknown[]), place, origin }
    if (type === 'stream') return { type, stream: decodeStream(value as unknown[]), place, origin }
    if (type === 'capture') return { type, note: { ...decodeCapture(value as unknown[]) }, place, origin }
    return { type, note: value as Record<string, unknown>, place, origin }
  } catch (error) {
    return unknown((error as Error).message)
  }
}

function digestsOf(list: readonly unknown[]): DigestRecord {
  const [key, request, answer] = DIGEST_KINDS.map((_, kind) => digestText(list[kind]))
  return { key: key!, request: request!, answer: answer! }
}

function digestText(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return DIGEST_FATES[Number(value)] ?? `fate-${value}`
}
