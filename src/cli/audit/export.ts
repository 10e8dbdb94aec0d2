/**
 * `modelgate audit export`: a table of the log as a file for other tools. Works beside a running gateway and without
 * one; exporting the log is itself put on record. Rows pass through one by one, so memory stays the same however many
 * there are.
 *
 * Exit 0 exported (no rows, too), 2 wrong usage, 3 the log cannot be read or the file not be written.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Analysis } from '../../audit/index/analysis.ts'
import { SQL_TYPES, type TableName } from '../../audit/index/column.ts'
import { TABLES } from '../../audit/index/tables.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import { counted } from '../demo/table.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'
import { csvCellInSql } from './cells.ts'
import { type Condition, conditionOf, FILTER_OPTIONS, FILTER_USAGE, type Filters } from './filters.ts'
import { askLog, putOnRecord } from './log-question.ts'
import { withJoinedMoments } from './moment.ts'

const COMMAND = 'modelgate audit export'
const USAGE = `Usage: ${COMMAND} --format parquet|jsonl|csv [--table NAME] [FILTER …] [--out FILE] [--force] [--json]

  --format     parquet (needs --out), jsonl: one JSON object a line, or csv: text that a spreadsheet would
               take for a formula gets an apostrophe in front
  --table      ${TABLES.map(({ name }) => name).join(', ')}; decisions unless told
  --out        the file to write; the terminal unless told
  --force      an existing file is replaced
  --json       what was exported, as data; needs --out
${FILTER_USAGE.replace(
  '\n  TIME',
  `  --config     whose data_dir holds the log (gateway.toml unless told)
  --data       the log’s directory itself; no configuration is read

  TIME`,
)}`

export async function exportLog(
  args: readonly string[],
  io: Io,
  clock: Clock = systemClock,
): Promise<number> {
  const asked = askedOf(() => parse(args), { command: COMMAND, usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, COMMAND, io)
  if (dataDir === undefined) return 3
  const { table, filters, out } = asked
  const condition = conditionOf(filters, { table, dataDir, now: clock.wall() })
  if (typeof condition === 'string') {
    io.stderr(legible(`${COMMAND}: ${condition}\n`))
    return 2
  }
  const draft = out === undefined ? undefined : openDraft(out)
  if (typeof draft === 'string') {
    io.stderr(`${COMMAND}: ${out} cannot be written: ${draft}\n`)
    return 3
  }
  const question = { command: COMMAND, dataDir, ...(draft && { options: { mayWrite: draft.path } }) }
  try {
    return await askLog(question, io, async (analysis) => {
      const rows = await new Export(analysis, { asked, condition, draft, io }).run()
      putOnRecord(question, { asked: `${table} as ${asked.format}: ${condition.words}`, records: rows }, io)
      return draft === undefined ? 0 : keep(draft, { asked, rows }, io)
    })
  } finally {
    draft?.drop()
  }
}

interface Draft {
  readonly path: string
  readonly fd: number
  drop(): void
}

/** Of mode 0600: it holds what callers sent. One line when it cannot be made. */
function openDraft(out: string): Draft | string {
  const path = `${resolve(out)}.${process.pid}.draft`
  try {
    const fd = openSync(path, 'wx', 0o600)
    let isOpen = true
    const drop = () => {
      if (!isOpen) return
      isOpen = false
      closeSync(fd)
      if (existsSync(path)) unlinkSync(path)
    }
    return { path, fd, drop }
  } catch (error) {
    return (error as Error).message
  }
}

function keep({ path, fd }: Draft, { asked, rows }: { asked: Asked; rows: number }, io: Io): number {
  const out = asked.out!
  try {
    fsyncSync(fd)
    // A link never replaces a file that came up meanwhile.
    if (asked.force) renameSync(path, out)
    else linkSync(path, out)
  } catch (error) {
    io.stderr(`${COMMAND}: ${out} cannot be written: ${(error as Error).message}\n`)
    return 3
  }
  if (asked.json)
    io.stdout(`${JSON.stringify({ file: out, format: asked.format, table: asked.table, rows }, null, 2)}\n`)
  else io.stderr(`${COMMAND}: ${counted(rows, 'row')} written to ${out}\n`)
  return 0
}

interface ExportParts {
  readonly asked: Asked
  readonly condition: Condition
  readonly draft: Draft | undefined
  readonly io: Io
}

const WRITE_CHARS = 256 * 1024
const PROGRESS_ROWS = 50_000

class Export {
  readonly #analysis: Analysis
  readonly #parts: ExportParts

  constructor(analysis: Analysis, parts: ExportParts) {
    this.#analysis = analysis
    this.#parts = parts
  }

  /** Rows written. */
  async run(): Promise<number> {
    const { asked, condition, draft, io } = this.#parts
    const { columns } = TABLES.find(({ name }) => name === asked.table)!
    const source = `FROM ${asked.table}${condition.where}`
    if (asked.format === 'parquet' && draft !== undefined) {
      const form = 'FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false'
      io.progress?.('writing Parquet')
      const rows = await this.#analysis.copy(
        `SELECT * ${source}`,
        { file: draft.path, form },
        condition.parameters,
      )
      io.progress?.('')
      return rows
    }
    const shown = columns.map(({ name, type }) => ({ name, sql: shownInSql(name, SQL_TYPES[type]) }))
    if (asked.format === 'csv') this.#write(`${shown.map(({ name }) => `"${name}"`).join(',')}\n`)
    const line =
      asked.format === 'csv'
        ? columns.map((column, at) => csvInSql(shown[at]!.sql, column.type)).join(` || ',' || `)
        : `to_json({${shown.map(({ name, sql }) => `'${name}': ${sql}`).join(', ')}})::VARCHAR`
    return this.#lines(`SELECT ${line} AS line ${source}`)
  }

  async #lines(sql: string): Promise<number> {
    const { asked, condition, io } = this.#parts
    const { batches } = await this.#analysis.ask(sql, condition.parameters)
    let rows = 0
    let waiting = ''
    for await (const batch of batches) {
      for (const [line] of batch) waiting += `${line}\n`
      const before = rows
      rows += batch.length
      if (waiting.length >= WRITE_CHARS) {
        this.#write(waiting)
        waiting = ''
      }
      if (asked.out !== undefined && Math.floor(before / PROGRESS_ROWS) < Math.floor(rows / PROGRESS_ROWS))
        io.progress?.(`${counted(rows, 'row')} written`)
    }
    this.#write(waiting)
    io.progress?.('')
    return rows
  }

  #write(text: string): void {
    const { draft, io } = this.#parts
    if (draft === undefined) return io.stdout(text)
    const bytes = Buffer.from(text)
    for (let done = 0; done < bytes.length; ) done += writeSync(draft.fd, bytes, done)
  }
}

/** Instants in ISO 8601, UTC. */
function shownInSql(name: string, type: string): string {
  return type === 'TIMESTAMP' ? `strftime(${name}, '%Y-%m-%dT%H:%M:%S.%gZ')` : name
}

/** An empty cell for null. */
function csvInSql(sql: string, type: string): string {
  const isText = type === 'text' || type === 'hex' || type === 'time' || type === 'id'
  return `coalesce(${isText ? csvCellInSql(`(${sql})::VARCHAR`) : `(${sql})::VARCHAR`}, '')`
}

type Format = 'parquet' | 'jsonl' | 'csv'

interface Asked {
  readonly format: Format
  readonly table: TableName
  readonly filters: Filters
  readonly out: string | undefined
  readonly force: boolean
  readonly json: boolean
  readonly config: string
  readonly data: string | undefined
  readonly help: boolean
}

function parse(args: readonly string[]): Asked | string {
  const { values } = parseArgs({
    args: withJoinedMoments(args, ['--from', '--to']),
    options: {
      ...WHERE_OPTIONS,
      ...FILTER_OPTIONS,
      format: { type: 'string' },
      table: { type: 'string', default: 'decisions' },
      out: { type: 'string' },
      force: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const {
    config,
    data,
    out,
    force,
    json,
    help,
    format = help ? 'jsonl' : '',
    table: name,
    ...filters
  } = values
  const table = TABLES.find((one) => one.name === name)?.name
  if (format !== 'parquet' && format !== 'jsonl' && format !== 'csv')
    return format === ''
      ? '--format is needed: parquet, jsonl or csv'
      : `--format '${format}' is none of parquet, jsonl, csv`
  if (table === undefined) return `--table '${name}' is none of ${TABLES.map((one) => one.name).join(', ')}`
  if (out === undefined && format === 'parquet') return 'Parquet is no text: --out FILE says where it goes'
  if (out === undefined && json) return '--json tells what was written to --out FILE'
  if (out !== undefined && !force && existsSync(out)) return `${out} is there already; --force replaces it`
  return { format, table, filters, out, force, json, config, data, help }
}
