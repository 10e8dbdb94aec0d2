/**
 * Makes the Parquet file of one table in memory, a row group at a time; row groups that are there can be had before as a file
 * of their own (`endPart`), and are not made twice. Rows are in the order of the log, so that the
 * statistics of `seq` and `time` tell readers which files they need not open.
 *
 * The writer is pure JavaScript on purpose: this runs within a gateway, and native code could take it along.
 */
import { gzipSync } from 'node:zlib'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import type { Column, ColumnType, TableName } from './column.ts'
import { ColumnValues } from './column-values.ts'
import type { Table } from './tables.ts'

/** What is held uncompressed at most: about 60 MB of decisions. */
export const ROW_GROUP_ROWS = 16_384
/** Level 6 takes twice the time for a hundredth of the size. */
const GZIP_LEVEL = 1

/** What of a table is written, and how. */
export interface TableForm {
  /** Names of the columns that are wanted of a table; all where it has no list. */
  readonly columns: WantedColumns
  /** Small for keeping, or made as fast as can be for asking once. */
  readonly isCompressed: boolean
}

export type WantedColumns = { readonly [name in TableName]?: readonly string[] }

export const WHOLE_AND_SMALL: TableForm = { columns: {}, isCompressed: true }

type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema']
type Element = Schema[number]
type Source = Parameters<ParquetWriter['write']>[0]['columnData'][number]

export class TableFile {
  readonly table: Table
  readonly #columns: readonly { readonly column: Column<never>; readonly values: ColumnValues }[]
  readonly #options: Omit<ConstructorParameters<typeof ParquetWriter>[0], 'writer'>
  readonly #bytes = new ByteWriter()
  readonly #writer: ParquetWriter
  #rows = 0
  #waiting = 0
  /** Rows and row groups that a part has. */
  #parted = { rows: 0, groups: 0 }

  constructor(table: Table, { columns, isCompressed }: TableForm) {
    this.table = table
    const wanted = wantedOf(table, columns)
    this.#columns = wanted.map((column) => ({ column, values: new ColumnValues(column.type) }))
    this.#options = {
      schema: [{ name: table.name, num_children: wanted.length }, ...wanted.map(elementOf)],
      codec: isCompressed ? 'GZIP' : 'UNCOMPRESSED',
      statistics: isCompressed,
      compressors: { GZIP: (bytes) => gzipSync(bytes, { level: GZIP_LEVEL }) },
      createdBy: 'modelgate',
    }
    this.#writer = new ParquetWriter({ writer: this.#bytes, ...this.#options })
  }

  get rows(): number {
    return this.#rows
  }

  /** `record` belongs to this table. */
  add(record: unknown): void {
    for (const { column, values } of this.#columns) values.add(column.of(record as never))
    this.#rows += 1
    this.#waiting += 1
    if (this.#waiting === ROW_GROUP_ROWS) this.#flush()
  }

  /** The whole file; nothing can be added after it. */
  finish(): Uint8Array {
    if (this.#waiting > 0) this.#flush()
    this.#writer.finish()
    return this.#bytes.getBytes()
  }

  /** A file of the rows since the last part; null when there are none. The whole file has them all the same. */
  endPart(): { readonly rows: number; readonly bytes: Uint8Array } | null {
    if (this.#waiting > 0) this.#flush()
    const groups = this.#writer.row_groups.slice(this.#parted.groups)
    if (groups.length === 0) return null
    const rows = this.#rows - this.#parted.rows
    this.#parted = { rows: this.#rows, groups: this.#writer.row_groups.length }
    const bytes = new ByteWriter()
    const writer = new ParquetWriter({ writer: bytes, ...this.#options })
    const from = Number(groups[0]!.columns[0]!.file_offset)
    const by = BigInt(bytes.offset - from)
    bytes.appendBytes(this.#bytes.getBytes().subarray(from))
    writer.row_groups = groups.map((group) => movedBy(by, group))
    writer.num_rows = BigInt(rows)
    writer.finish()
    return { rows, bytes: bytes.getBytes() }
  }

  #flush(): void {
    const columnData = this.#columns.map(({ column, values }) => ({
      ...FORMS[column.type],
      offsetIndex: false,
      ...(column.type === 'text' && !column.isSearched ? { statistics: false } : {}),
      name: column.name,
      data: values.take(),
    }))
    this.#writer.write({ columnData, rowGroupSize: this.#waiting })
    this.#waiting = 0
  }
}

/**
 * How values of a type are packed. What is not here: by a dictionary where values repeat, else as it is. Digests look like noise,
 * which no codec makes smaller.
 */
const FORMS: { readonly [type in ColumnType]: Omit<Source, 'name' | 'data'> } = {
  bigint: {},
  integer: {},
  double: {},
  boolean: { statistics: false },
  text: {},
  time: { encoding: 'DELTA_BINARY_PACKED' },
  id: { encoding: 'PLAIN' },
  hex: { statistics: false, codec: 'UNCOMPRESSED' },
}

const ELEMENTS: { readonly [type in ColumnType]: Omit<Element, 'name'> } = {
  bigint: { type: 'INT64' },
  integer: { type: 'INT32' },
  double: { type: 'DOUBLE' },
  boolean: { type: 'BOOLEAN' },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  time: { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' },
  id: { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, logical_type: { type: 'UUID' } },
  hex: { type: 'BYTE_ARRAY' },
}

type RowGroup = ParquetWriter['row_groups'][number]

/** The same bytes at another place of a file. */
function movedBy(by: bigint, group: RowGroup): RowGroup {
  const columns = group.columns.map(({ meta_data, ...column }) => {
    const { dictionary_page_offset: dictionary, ...data } = meta_data!
    const moved = { ...data, data_page_offset: data.data_page_offset + by }
    return {
      ...{ ...column, file_offset: column.file_offset + by },
      meta_data: dictionary === undefined ? moved : { ...moved, dictionary_page_offset: dictionary + by },
    }
  })
  return { ...group, columns }
}

/** Columns in the order of the table, without those that nobody asks for. */
export function wantedOf({ name, columns }: Table, wanted: WantedColumns): readonly Column<never>[] {
  const names = wanted[name]
  return names === undefined ? columns : columns.filter((column) => names.includes(column.name))
}

function elementOf({ name, type, isNullable }: Column<never>): Element {
  return { ...ELEMENTS[type], name, repetition_type: isNullable === true ? 'OPTIONAL' : 'REQUIRED' }
}
