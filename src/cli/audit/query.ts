/**
 * `modelgate audit query "SELECT …"`: the log as tables, in SQL that can only read. Works beside a running gateway and
 * without one; reading the log is itself put on record.
 *
 * Exit 0 answered (no rows, too), 2 wrong usage or SQL that was refused, 3 the log cannot be read.
 */
import { parseArgs } from 'node:util'
import type { Analysis, Answer } from '../../audit/index/analysis.ts'
import { SQL_TYPES } from '../../audit/index/column.ts'
import { QueryRefused } from '../../audit/index/engine.ts'
import type { Plain } from '../../audit/index/plain-value.ts'
import { TABLES } from '../../audit/index/tables.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import { left, right, tableLines } from '../demo/table.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'
import { csvCell, jsonRow, shownCell } from './cells.ts'
import { askLog, putOnRecord } from './log-question.ts'

const COMMAND = 'modelgate audit query'
/** Rows that a table on a terminal shows unless --limit says another number. */
const TABLE_ROWS = 1000
const CELL_CHARS = 80
/** A question without an end shall not keep a processor busy for ever. */
const SECONDS_MAX = 60
/** What a timer can wait for. */
const SECONDS_LIMIT = 2_000_000

const USAGE = `Usage: ${COMMAND} "SELECT …" [--format table|csv|jsonl] [--json] [--limit N] [--timeout SECONDS]
       ${COMMAND} --columns [--json]

  SELECT …     one statement of DuckDB’s SQL that reads: SELECT, WITH, FROM, DESCRIBE, SUMMARIZE, EXPLAIN …
               over the tables ${TABLES.map(({ name }) => name).join(', ')}; times are UTC
  --columns    the tables and what their columns mean
  --format     table (unless told), csv, or jsonl: one JSON object a line
  --json       the rows as one JSON array
  --limit      rows at most (of a table ${TABLE_ROWS}, else all)
  --timeout    what gives no rows for so long is ended (${SECONDS_MAX} seconds unless told)
  --config     whose data_dir holds the log (gateway.toml unless told)
  --data       the log’s directory itself; no configuration is read
`

export async function query(args: readonly string[], io: Io): Promise<number> {
  const asked = askedOf(() => parse(args), { command: COMMAND, usage: USAGE, io })
  if (typeof asked === 'number') return asked
  if (asked.columns) {
    io.stdout(asked.format === 'json' ? `${JSON.stringify(documentedTables(), null, 2)}\n` : columnsText())
    return 0
  }
  const dataDir = await findDataDir(asked, COMMAND, io)
  if (dataDir === undefined) return 3
  const question = { command: COMMAND, dataDir }
  return askLog(question, io, async (analysis) => {
    const records = await inTime(analysis, asked.timeout, (onRows) =>
      answer(analysis, { ...asked, onRows }, io),
    )
    putOnRecord(question, { asked: asked.sql, records }, io)
    return 0
  })
}

/** Time is counted anew whenever rows come: a long answer is no endless question. */
async function inTime<T>(
  analysis: Analysis,
  seconds: number,
  ask: (onRows: () => void) => Promise<T>,
): Promise<T> {
  let isOver = false
  const timer = setTimeout(() => {
    isOver = true
    analysis.interrupt()
  }, seconds * 1000)
  try {
    return await ask(() => timer.refresh())
  } catch (error) {
    if (!isOver) throw error
    throw new QueryRefused(`ended after ${seconds} s without an answer; --timeout N waits longer`)
  } finally {
    clearTimeout(timer)
  }
}

async function answer(
  analysis: Analysis,
  { sql, format, limit, onRows }: Asked & { onRows(): void },
  io: Io,
): Promise<number> {
  const found = await analysis.ask(sql)
  const most = limit ?? (format === 'table' ? TABLE_ROWS : Number.POSITIVE_INFINITY)
  const rows = limited(found, most, onRows)
  let count = 0
  if (format === 'table') {
    const shown: Plain[][] = []
    let isMore = false
    for await (const row of rows) {
      if (row === MORE) isMore = true
      else shown.push([...row])
    }
    io.stdout(tableText(found, shown))
    if (isMore)
      io.stderr(`${COMMAND}: there are more rows; --limit N shows more, --format csv or jsonl all\n`)
    return shown.length
  }
  if (format === 'csv') io.stdout(`${found.columns.map(csvCell).join(',')}\n`)
  if (format === 'json') io.stdout('[')
  for await (const row of rows) {
    if (row === MORE) continue
    const line = format === 'csv' ? row.map(csvCell).join(',') : legible(jsonRow(found.columns, row))
    io.stdout(format === 'json' ? `${count === 0 ? '\n' : ',\n'}${line}` : `${line}\n`)
    count += 1
  }
  if (format === 'json') io.stdout(count === 0 ? ']\n' : '\n]\n')
  return count
}

/** Stands behind the last row that is given when there would be another. */
const MORE: readonly Plain[] = []

async function* limited(
  { batches }: Answer,
  limit: number,
  onRows: () => void,
): AsyncGenerator<readonly Plain[]> {
  let count = 0
  for await (const batch of batches) {
    onRows()
    for (const row of batch) {
      if (count === limit) {
        yield MORE
        return
      }
      count += 1
      yield row
    }
  }
}

function tableText({ columns, types }: Answer, rows: readonly (readonly Plain[])[]): string {
  if (columns[0] === 'explain_key') return `${rows.map((row) => legible(String(row[1]))).join('\n')}\n`
  if (rows.length === 0) return `${columns.map(shownCell).join('  ')}\n(no rows)\n`
  const heads = columns.map((name, at) =>
    NUMERIC.test(types[at] ?? '') ? right(shownCell(name)) : left(shownCell(name)),
  )
  const cells = rows.map((row) => row.map((value) => clipped(shownCell(value))))
  return `${tableLines(heads, cells).join('\n')}\n`
}

const NUMERIC = /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|DOUBLE|FLOAT|DECIMAL)/

function clipped(text: string): string {
  return text.length > CELL_CHARS ? `${text.slice(0, CELL_CHARS - 1)}…` : text
}

function documentedTables() {
  return TABLES.map(({ name, meaning, columns }) => ({
    table: name,
    meaning,
    columns: columns.map((column) => ({
      name: column.name,
      type: SQL_TYPES[column.type],
      nullable: column.isNullable === true,
      meaning: column.meaning,
    })),
  }))
}

function columnsText(): string {
  return documentedTables()
    .map(({ table, meaning, columns }) => {
      const lines = tableLines(
        [left('column'), left('type'), left('meaning')],
        columns.map((column) => [column.name, column.type, column.meaning]),
      )
      return `${table}: ${meaning}\n${lines.map((line) => `  ${line}\n`).join('')}`
    })
    .join('\n')
}

type Format = 'table' | 'csv' | 'jsonl' | 'json'

interface Asked {
  readonly sql: string
  readonly format: Format
  readonly limit: number | undefined
  /** Seconds. */
  readonly timeout: number
  readonly columns: boolean
  readonly config: string
  readonly data: string | undefined
  readonly help: boolean
}

function parse(args: readonly string[]): Asked | string {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...WHERE_OPTIONS,
      format: { type: 'string' },
      json: { type: 'boolean', default: false },
      limit: { type: 'string' },
      timeout: { type: 'string', default: String(SECONDS_MAX) },
      columns: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { config, data, columns, help, json } = values
  const format = values.format ?? (json ? 'json' : 'table')
  const limit = values.limit === undefined ? undefined : Number(values.limit)
  if (format !== 'table' && format !== 'csv' && format !== 'jsonl' && format !== 'json')
    return `--format '${format}' is none of table, csv, jsonl`
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0))
    return `--limit '${values.limit}' is no number of rows from 1 on`
  const timeout = Number(values.timeout)
  if (!(timeout > 0 && timeout <= SECONDS_LIMIT))
    return `--timeout '${values.timeout}' is no number of seconds up to ${SECONDS_LIMIT}`
  if (!help && !columns && positionals.length !== 1)
    return positionals.length === 0 ? 'the SQL is needed' : 'the SQL is one argument: quote it'
  return { sql: positionals[0] ?? '', format, limit, timeout, columns, config, data, help }
}
