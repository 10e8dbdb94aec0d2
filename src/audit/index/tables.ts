/** The four tables of the log, and which one a record belongs to. */
import type { LogRecord } from '../decode.ts'
import type { Column, TableName } from './column.ts'
import { DECISION_COLUMNS } from './decision-columns.ts'
import { EVENT_COLUMNS, SHADOW_COLUMNS, STREAM_COLUMNS } from './other-columns.ts'

/** Of index files: raised whenever a column is added, removed or filled in another way. */
export const TABLES_VERSION = 1

export interface Table {
  readonly name: TableName
  readonly meaning: string
  /** Each takes the records of this table alone: `tableOf`. */
  readonly columns: readonly Column<never>[]
}

export const TABLES: readonly Table[] = [
  { name: 'decisions', meaning: 'one row for each request, however it ended', columns: DECISION_COLUMNS },
  { name: 'shadows', meaning: 'what became of each shadow copy', columns: SHADOW_COLUMNS },
  { name: 'streams', meaning: 'how answers ended that were passed on as they came', columns: STREAM_COLUMNS },
  { name: 'events', meaning: 'all other records', columns: EVENT_COLUMNS },
]

/** Null for marks, which only help the log to find its own end. */
export function tableOf({ type }: LogRecord): TableName | null {
  if (type === 'decision') return 'decisions'
  if (type === 'shadow') return 'shadows'
  if (type === 'stream') return 'streams'
  return type === 'mark' ? null : 'events'
}
