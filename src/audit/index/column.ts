/**
 * What a column of the log's tables is. The list of columns of each table is the one place that says their names,
 * types and meaning: index files, views, `modelgate audit query --columns` and the README are made from it.
 */

/**
 * How values lie in an index file. `time`: Unix ms; `id`: 16 bytes of a request id; `hex`: bytes that views show as
 * lower-case hex digits, or the word that stands in their place (never 16 bytes long).
 */
export type ColumnType = 'bigint' | 'integer' | 'double' | 'boolean' | 'text' | 'time' | 'id' | 'hex'

/** Whole numbers as `number`: safe integers. */
export type ColumnValue = number | boolean | string | Uint8Array | null

/** Of records as a table takes them: rows (row-values.ts), or what `events` has. */
export interface Column<R> {
  readonly name: string
  readonly type: ColumnType
  /** One line: what it says, its unit, and what null stands for. */
  readonly meaning: string
  readonly isNullable?: boolean
  /** Of texts: values of a stretch of the log are alike, so that it is worth keeping the least and the greatest. */
  readonly isSearched?: boolean
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
export function sequenceOf({ sequence }: { readonly sequence: number | null }): number | null {
  return sequence
}

/** What was not reached or not told is −1 in records, and null in tables. */
export function knownOrNull(value: number | null | undefined): number | null {
  return value === null || value === undefined || !(value >= 0) ? null : value
}
