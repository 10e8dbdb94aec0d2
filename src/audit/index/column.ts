/**
 * What a column of the log's tables is. The list of columns of each table is the one place that says their names,
 * types and meaning: index files, views, `modelgate audit query --columns` and the README are made from it.
 */
import type { LogRecord } from '../decode.ts'

/**
 * How values lie in an index file. `time`: Unix ms; `id`: 16 bytes of a request id; `hex`: bytes that views show as
 * lower-case hex digits, or the word that stands in their place (never 16 bytes long).
 */
export type ColumnType = 'bigint' | 'integer' | 'double' | 'boolean' | 'text' | 'time' | 'id' | 'hex'

/** Whole numbers as `number`: safe integers. */
export type ColumnValue = number | boolean | string | Uint8Array | null

export interface Column<R extends LogRecord> {
  readonly name: string
  readonly type: ColumnType
  /** One line: what it says, its unit, and what null stands for. */
  readonly meaning: string
  readonly isNullable?: boolean
  of(record: R): ColumnValue
}

export type TableName = 'decisions' | 'shadows' | 'streams' | 'events'

/** As the view shows it. */
export const SQL_TYPES: { readonly [type in ColumnType]: string } = {
  bigint: 'BIGINT',
  integer: 'INTEGER',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  text: 'VARCHAR',
  time: 'TIMESTAMP',
  id: 'UUID',
  hex: 'VARCHAR',
}

/** Null: the record is still in the journal of a lane. */
export function sequenceOf({ place }: LogRecord): number | null {
  return place.sequence
}

/** What was not reached or not told is −1 in records, and null in tables. */
export function knownOrNull(value: number | null | undefined): number | null {
  return value === null || value === undefined || !(value >= 0) ? null : value
}

/** Digests are hex digits or a word; `hex` columns keep the bytes of the former. */
export function hexOrWord(text: string): Uint8Array {
  return Buffer.from(text, HEX.test(text) ? 'hex' : 'utf8')
}

const HEX = /^([0-9a-f]{2})+$/
