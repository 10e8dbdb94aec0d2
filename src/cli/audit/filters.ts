/**
 * The filters of `audit list` and `audit export`: which records of a table are wanted, as options of a command and as
 * the condition of a query.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Digester, openDigestKey } from '../../audit/digests.ts'
import type { Analysis, Parameters } from '../../audit/index/analysis.ts'
import type { TableName } from '../../audit/index/column.ts'
import { TABLES } from '../../audit/index/tables.ts'
import { KEY_FILE } from '../../audit/paths.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { MOMENT_FORMS, momentOf } from './moment.ts'

/** For `parseArgs`. */
export const FILTER_OPTIONS = {
  from: { type: 'string' },
  to: { type: 'string' },
  model: { type: 'string' },
  version: { type: 'string' },
  reason: { type: 'string' },
  outcome: { type: 'string' },
  caller: { type: 'string' },
  key: { type: 'string' },
} as const

export const FILTER_USAGE = `  --from       time of the first that is wanted
  --to         time of the first that is not
  --model      name of the model
  --version    version that answered
  --reason     rule, pin, experiment, canary, primary or fallback
  --outcome    ok, or the code of a fault (docs/faults.md)
  --caller     address of the client
  --key        sticky key, as the caller sent it: compared by its keyed digest

  TIME         ${MOMENT_FORMS}
`

export type Filters = { readonly [name in keyof typeof FILTER_OPTIONS]?: string | undefined }

export interface Condition {
  /** Empty, or ` WHERE …`. */
  readonly where: string
  readonly parameters: Parameters
  /** The filters as they were typed, in words. */
  readonly words: string
}

/** Columns whose values people name exactly. */
const NAMES = ['model', 'version', 'reason', 'outcome', 'caller'] as const

export interface FilterPlace {
  readonly table: TableName
  readonly dataDir: string
  /** Unix ms. */
  readonly now: number
}

/** One line when a filter cannot be understood or applied. */
export function conditionOf(filters: Filters, { table, dataDir, now }: FilterPlace): Condition | string {
  const columns = new Set(TABLES.find(({ name }) => name === table)!.columns.map(({ name }) => name))
  const tests: string[] = []
  const parameters: (string | Uint8Array)[] = []
  const words: string[] = []
  for (const [name, compared] of [
    ['from', '>='],
    ['to', '<'],
  ] as const) {
    const text = filters[name]
    if (text === undefined) continue
    const moment = momentOf(text, now)
    if (typeof moment === 'string') return `--${name}: ${moment}`
    tests.push(`time ${compared} make_timestamp_ms(${moment})`)
    words.push(`${name} ${new Date(moment).toISOString()}`)
  }
  for (const name of NAMES) {
    const value = filters[name]
    if (value === undefined) continue
    if (!columns.has(name)) return `--${name}: the table ${table} has no such column`
    parameters.push(value)
    tests.push(`${name} = $${parameters.length}`)
    words.push(`${name} ${value}`)
  }
  if (filters.key !== undefined) {
    if (!columns.has('key_digest')) return `--key: the table ${table} has no such column`
    const digest = digestOf(dataDir, filters.key)
    if (typeof digest === 'string') return digest
    parameters.push(digest)
    // As bytes: making text of every row's digest takes seconds of millions of rows.
    tests.push(`id IN (SELECT id FROM stored.${table} WHERE key_digest = $${parameters.length})`)
    // The key itself belongs to somebody: it is in no record, so not in this one.
    words.push('one sticky key')
  }
  return {
    where: tests.length === 0 ? '' : ` WHERE ${tests.join(' AND ')}`,
    parameters,
    words: words.length === 0 ? 'everything' : words.join(', '),
  }
}

function digestOf(dataDir: string, key: string): Uint8Array | string {
  const path = join(dataDir, KEY_FILE)
  if (!existsSync(path)) return `--key: ${path} is needed to compare keys, and it is not there`
  try {
    return Buffer.from(new Digester(openDigestKey(path)).hexOf(Buffer.from(key)), 'hex')
  } catch (error) {
    return `--key: ${path} is needed to compare keys: ${(error as Error).message}`
  }
}

/** Filters whose value is nowhere in the table, with the nearest that is; for whoever found nothing. */
export async function unknownValues(
  analysis: Analysis,
  filters: Filters,
  table: TableName,
): Promise<string[]> {
  const hints: string[] = []
  for (const name of NAMES) {
    const value = filters[name]
    if (value === undefined) continue
    const rows = await analysis.rows(
      `SELECT ${name} AS value FROM stored.${table} GROUP BY 1 ORDER BY count(*) DESC LIMIT ${VALUES_MAX}`,
    )
    const values = rows.map((row) => String(row.value))
    if (values.includes(value)) continue
    const near = nearestName(value, values)
    hints.push(`no ${name} '${value}' in the log${near === null ? '' : `; did you mean '${near}'?`}`)
  }
  return hints
}

/** Different values that are looked through for a near one. */
const VALUES_MAX = 10_000
