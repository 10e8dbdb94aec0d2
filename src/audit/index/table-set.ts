/** The four tables of a stretch of the log, being made: records in, Parquet files out. Tables without rows have no file. */
import type { LogRecord } from '../decode.ts'
import type { TableName } from './column.ts'
import { TableFile } from './table-file.ts'
import { TABLES, tableOf } from './tables.ts'

export interface FinishedTable {
  readonly name: TableName
  readonly rows: number
  readonly bytes: Uint8Array
}

export class TableSet {
  readonly #files = new Map<TableName, TableFile>()

  add(record: LogRecord): void {
    const name = tableOf(record)
    if (name === null) return
    let file = this.#files.get(name)
    if (file === undefined) {
      file = new TableFile(TABLES.find((table) => table.name === name)!)
      this.#files.set(name, file)
    }
    file.add(record)
  }

  /** One after the other, so that one table's bytes can go before the next one's are made. */
  *finish(): Generator<FinishedTable> {
    for (const [name, file] of this.#files) {
      const bytes = file.finish()
      yield { name, rows: file.rows, bytes }
    }
  }
}
