/**
 * `modelgate audit list`: the latest decisions, newest first, that fit some filters. Works beside a running gateway and
 * without one; reading the log is itself put on record.
 *
 * Exit 0 listed (nothing, too), 2 wrong usage, 3 the log cannot be read.
 */
import { parseArgs } from 'node:util'
import type { Row } from '../../audit/index/analysis.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { askedOf } from '../asked.ts'
import { findDataDir, WHERE_OPTIONS } from '../data-dir.ts'
import { left, milliseconds, right, tableLines } from '../demo/table.ts'
import type { Io } from '../io.ts'
import { legible } from '../legible.ts'
import { shownCell } from './cells.ts'
import { conditionOf, FILTER_OPTIONS, FILTER_USAGE, type Filters, unknownValues } from './filters.ts'
import { askLog, putOnRecord } from './log-question.ts'
import { withJoinedMoments } from './moment.ts'

const COMMAND = 'modelgate audit list'
const LIMIT = 50
const LIMIT_MAX = 100_000

const USAGE = `Usage: ${COMMAND} [--from TIME] [--to TIME] [--model NAME] [FILTER …] [--limit N] [--json]

${FILTER_USAGE.replace(
  '\n  TIME',
  `\n  --limit      decisions at most (${LIMIT} unless told)
  --json       all columns, as data
  --config     whose data_dir holds the log (gateway.toml unless told)
  --data       the log’s directory itself; no configuration is read

  TIME`,
).replace('\n\n  --limit', '\n  --limit')}`

export async function list(args: readonly string[], io: Io, clock: Clock = systemClock): Promise<number> {
  const asked = askedOf(() => parse(args), { command: COMMAND, usage: USAGE, io })
  if (typeof asked === 'number') return asked
  const dataDir = await findDataDir(asked, COMMAND, io)
  if (dataDir === undefined) return 3
  const condition = conditionOf(asked.filters, { table: 'decisions', dataDir, now: clock.wall() })
  if (typeof condition === 'string') {
    io.stderr(legible(`${COMMAND}: ${condition}\n`))
    return 2
  }
  const question = { command: COMMAND, dataDir }
  return askLog(question, io, async (analysis) => {
    const rows = await analysis.rows(
      `SELECT * FROM decisions${condition.where} ORDER BY time DESC, seq DESC NULLS FIRST LIMIT ${asked.limit}`,
      condition.parameters,
    )
    if (asked.json) io.stdout(legible(`${JSON.stringify(rows, null, 2)}\n`))
    else if (rows.length > 0) io.stdout(`${tableOf(rows).join('\n')}\n`)
    if (rows.length === 0) {
      const hints = await unknownValues(analysis, asked.filters, 'decisions')
      const more = hints.map((hint) => `  ${hint}\n`).join('')
      io.stderr(legible(`${COMMAND}: no decision fits (${condition.words})\n${more}`))
    }
    putOnRecord(question, { asked: condition.words, records: rows.length }, io)
    return 0
  })
}

function tableOf(rows: readonly Row[]): string[] {
  const heads = [
    left('time (UTC)'),
    left('request id'),
    left('model'),
    left('version'),
    left('reason'),
    left('outcome'),
    right('status'),
    right('ms'),
    left('caller'),
  ]
  return tableLines(
    heads,
    rows.map((row) => [
      shownCell(row.time ?? null)
        .replace('T', ' ')
        .replace('Z', ''),
      shownCell(row.id ?? null),
      shownCell(row.model || '–'),
      shownCell(row.version || '–'),
      shownCell(row.reason || '–'),
      shownCell(row.degraded ? `${row.outcome} → ${row.degraded}` : (row.outcome ?? null)),
      shownCell(row.status ?? null),
      typeof row.duration_ms === 'number' ? milliseconds(row.duration_ms) : '',
      shownCell(row.caller ?? null),
    ]),
  )
}

interface Asked {
  readonly filters: Filters
  readonly limit: number
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
      limit: { type: 'string', default: String(LIMIT) },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { config, data, json, help, limit: limitText, ...filters } = values
  const limit = Number(limitText)
  if (!(Number.isSafeInteger(limit) && limit > 0 && limit <= LIMIT_MAX))
    return `--limit '${limitText}' is no number from 1 to ${LIMIT_MAX}`
  return { filters, limit, json, config, data, help }
}
