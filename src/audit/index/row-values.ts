/**
 * Records of requests as tables take them: the row as it lies in the log, unpacked and not made into an object, of
 * which a column takes what it wants. The same as the functions `decode…` of records/ make of it; a test compares the two.
 */
import type { Frame } from '../frame.ts'
import { DIGEST_FATES, readOrigin } from '../records/payload.ts'
import { RECORD_TYPES } from '../records/record-type.ts'
import { NotMsgpack, type RowReader } from '../records/row-reader.ts'

export type Row = readonly unknown[]

export interface RowRecord {
  /** Null: still in the journal of a lane. */
  readonly sequence: number | null
  readonly row: Row
  /** Of key, request and answer: bytes, the number of a fate, or a word. */
  readonly digests: Row
}

export type RowTable = 'decisions' | 'shadows' | 'streams'

const { decision, shadow, stream } = RECORD_TYPES
const TABLE_OF = new Map<number, RowTable>([
  [decision, 'decisions'],
  [shadow, 'shadows'],
  [stream, 'streams'],
])

/** The table whose rows are records of this type; undefined: `events`, or none. */
export function rowTableOf(type: number): RowTable | undefined {
  return TABLE_OF.get(type)
}

/** Of a segment. Undefined when the payload is no row of this table. */
export function sequencedRow(table: RowTable, frame: Frame, reader: RowReader): RowRecord | undefined {
  const envelope = readWith(reader, frame.payload)
  if (!isList(envelope) || readOrigin(frame.payload) === undefined) return undefined
  const [, digests, row] = envelope
  if (!isList(digests) || !isList(row) || !isRowOf(table, row)) return undefined
  return { sequence: frame.sequence, row, digests }
}

const PENDING = ['pending', 'pending', 'pending']

/** Of a journal: digests are not there yet. */
export function unsequencedRow(table: RowTable, frame: Frame, reader: RowReader): RowRecord | undefined {
  const row = readWith(reader, frame.payload)
  return isList(row) && isRowOf(table, row) ? { sequence: null, row, digests: PENDING } : undefined
}

function readWith(reader: RowReader, payload: Buffer): unknown {
  try {
    return reader.read(payload)
  } catch (error) {
    if (error instanceof NotMsgpack) return undefined
    throw error
  }
}

/** Whether what columns look into is there. Later versions may add places at the end. */
function isRowOf(table: RowTable, row: Row): boolean {
  if (!(row[1] instanceof Uint8Array) || row[1].length !== 16) return false
  if (table === 'shadows') return row.length >= 9 && isListOrNil(row[8]) && isList(row[7])
  if (table === 'streams') return row.length >= 11 && isList(row[6])
  return row.length >= 27 && isListOrNil(row[19]) && isList(row[20]) && row[20].every(isList)
}

function isList(value: unknown): value is unknown[] {
  return Array.isArray(value)
}

function isListOrNil(value: unknown): boolean {
  return value === null || Array.isArray(value)
}

/** One value of a list that may be missing; undefined then. */
export function within(list: unknown, place: number): unknown {
  return Array.isArray(list) ? list[place] : undefined
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : String(value)
}

/** Empty where there is none. */
export function textOrEmpty(value: unknown): string {
  return value === undefined || value === null ? '' : text(value)
}

/** What was not reached or not told is −1 in records or missing, and null in tables. */
export function known(value: unknown): number | null {
  const number = typeof value === 'number' ? value : Number(value ?? -1)
  return number >= 0 ? number : null
}

/** Whole microseconds as milliseconds. */
export function knownMs(micros: unknown): number | null {
  const value = known(micros)
  return value === null ? null : value / 1000
}

export function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : NO_BYTES
}

const NO_BYTES = new Uint8Array(0)

/** A digest's bytes, or the word that says why there is none. */
export function digestOrWord(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (typeof value === 'string') return Buffer.from(value)
  const fate = Number(value)
  return FATE_WORDS[fate] ?? Buffer.from(`fate-${value}`)
}

const FATE_WORDS = DIGEST_FATES.map((word) => Buffer.from(word))
