/** The four tables of a stretch of the log, being made: records in, Parquet files out. Tables without rows have no file. */
import type { Frame } from '../frame.ts'
import type { JournalName, SegmentName } from '../paths.ts'
import { journalRecordOf, recordOf } from '../read.ts'
import { type Origin, readOrigin } from '../records/payload.ts'
import { RowReader } from '../records/row-reader.ts'
import type { TableName } from './column.ts'
import { type RowTable, rowTableOf, sequencedRow, unsequencedRow } from './row-values.ts'
import { TableFile, type TableForm } from './table-file.ts'
import { TABLES, tableOf } from './tables.ts'

export interface FinishedTable {
  readonly name: TableName
  readonly rows: number
  readonly bytes: Uint8Array
}

const NO_ORIGIN: Origin = { lane: 0, start: 0, sequence: 0 }

export class TableSet {
  readonly #form: TableForm
  readonly #files = new Map<TableName, TableFile>()
  readonly #reader = new RowReader()

  constructor(form: TableForm) {
    this.#form = form
  }

  /** A record of a segment; where it was first written. */
  addSequenced(segment: SegmentName, frame: Frame): Origin {
    const table = rowTableOf(frame.type)
    if (table === undefined) {
      const record = recordOf(segment, frame)
      this.#addEvent(record)
      return record.origin
    }
    const row = sequencedRow(table, frame, this.#reader)
    if (row === undefined) this.#addUnknown(table, recordOf(segment, frame))
    else this.#file(table).add(row)
    return readOrigin(frame.payload) ?? NO_ORIGIN
  }

  addUnsequenced(journal: JournalName, frame: Frame): void {
    const table = rowTableOf(frame.type)
    if (table === undefined) return this.#addEvent(journalRecordOf(journal, frame))
    const row = unsequencedRow(table, frame, this.#reader)
    if (row === undefined) this.#addUnknown(table, journalRecordOf(journal, frame))
    else this.#file(table).add(row)
  }

  /** One after the other, so that one table's bytes can go before the next one's are made. */
  *finish(): Generator<FinishedTable> {
    for (const [name, file] of this.#files) {
      const bytes = file.finish()
      yield { name, rows: file.rows, bytes }
    }
  }

  /** The same of the rows since the last part; more may be added behind it. */
  *endPart(): Generator<FinishedTable> {
    for (const [name, file] of this.#files) {
      const part = file.endPart()
      if (part !== null) yield { name, ...part }
    }
  }

  #addEvent(record: ReturnType<typeof recordOf>): void {
    if (tableOf(record) === 'events') this.#file('events').add(record)
  }

  /** One whose row is none; it is told among the events, and hides nothing else. */
  #addUnknown(table: RowTable, record: ReturnType<typeof recordOf>): void {
    if (record.type === 'unknown') return this.#addEvent(record)
    const { place, origin } = record
    const problem = `its row is not one of ${table}`
    this.#addEvent({ type: 'unknown', number: 0, problem, place, origin })
  }

  #file(name: TableName): TableFile {
    let file = this.#files.get(name)
    if (file === undefined) {
      file = new TableFile(TABLES.find((table) => table.name === name)!, this.#form)
      this.#files.set(name, file)
    }
    return file
  }
}
