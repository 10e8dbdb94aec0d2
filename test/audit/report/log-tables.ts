/** The tables of the log without a log: made in memory, filled by a test, asked like the real ones. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { Answers } from '../../../src/audit/report/ask.ts'

const TABLES = `
CREATE TABLE decisions (
  seq BIGINT, time TIMESTAMP, id UUID, model VARCHAR, version VARCHAR, assigned VARCHAR, reason VARCHAR,
  outcome VARCHAR, status INTEGER, degraded VARCHAR, caller VARCHAR, operation VARCHAR, key_digest VARCHAR,
  duration_ms DOUBLE, generation INTEGER, config_hash VARCHAR, kept VARCHAR
);
CREATE TABLE shadows (
  seq BIGINT, time TIMESTAMP, id UUID, model VARCHAR, version VARCHAR, fate VARCHAR, agreement VARCHAR,
  status INTEGER, duration_ms DOUBLE, differences VARCHAR
);
CREATE TABLE streams (
  seq BIGINT, time TIMESTAMP, id UUID, model VARCHAR, fate VARCHAR, status INTEGER, duration_ms DOUBLE
);
CREATE TABLE events (
  seq BIGINT, time TIMESTAMP, type VARCHAR, model VARCHAR, version VARCHAR, details VARCHAR
);`

/** So many requests that all went the same way, spread over a stretch of time with a wave for each day. */
export interface Block {
  readonly from: string
  readonly to: string
  readonly requests: number
  readonly model?: string
  readonly version: string
  readonly meant?: string
  readonly outcome?: string
  readonly degraded?: string
  readonly operation?: string
  readonly kept?: string
  /** Median; the slowest takes about twenty times as long. */
  readonly ms?: number
  /** Distinct ones; 50 unless told. */
  readonly callers?: number
  /** Mean for each decision, known for two of five; they spread evenly from 1 below to 1 above. */
  readonly profit?: number
  readonly isUnsequenced?: boolean
}

export class LogTables implements Answers {
  readonly #connection: DuckDBConnection
  readonly #close: () => void
  #sequence = 0

  private constructor(connection: DuckDBConnection, close: () => void) {
    this.#connection = connection
    this.#close = close
  }

  static async open(): Promise<LogTables> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    const connection = await instance.connect()
    await connection.run(TABLES)
    return new LogTables(connection, () => {
      connection.closeSync()
      instance.closeSync()
    })
  }

  async rows(sql: string, params: readonly string[] = []): Promise<Record<string, unknown>[]> {
    const reader = await this.#connection.runAndReadAll(sql, [...params])
    return reader.getRowObjectsJS()
  }

  close(): void {
    this.#close()
  }

  async requests(block: Block): Promise<void> {
    const { requests, version, profit, ms = 20, callers = 50 } = block
    const first = this.#sequence
    this.#sequence += requests
    const row = {
      model: block.model ?? 'fraud',
      version,
      meant: block.meant ?? version,
      outcome: block.outcome ?? 'ok',
      degraded: block.degraded ?? '',
      operation: block.operation ?? 'infer',
      kept: block.kept ?? '',
    }
    await this.#connection.run(
      `INSERT INTO decisions
       SELECT ${block.isUnsequenced ? 'NULL' : `${first} + i`}, ${timeOf(block)}, ${idOf(`${first} + i`)},
         $1, $2, $3, 'primary', $4, 200, $5, '10.0.0.' || (i % ${callers}), $6, printf('%032x', i % ${2 * callers}),
         ${ms} * exp(3 * ((i * 7919) % ${requests}) / ${requests}::DOUBLE), 1, 'aa', $7
       FROM range(${requests}) AS each(i)`,
      [row.model, row.version, row.meant, row.outcome, row.degraded, row.operation, row.kept],
    )
    if (profit === undefined) return
    await this.#connection.run(
      `INSERT INTO events
       SELECT NULL, ${timeOf(block)} + INTERVAL 1 DAY, 'outcome', $1, NULL, json_object(
         'id', ${idOf(`${first} + i`)}::VARCHAR, 'name', 'profit', 'unit', 'EUR', 'by', 'billing',
         'value', ${profit} + 2 * ((i // 5 * 2 + i % 5)::DOUBLE / ${(requests * 2) / 5 - 1}) - 1)
       FROM range(${requests}) AS each(i) WHERE i % 5 < 2`,
      [row.model],
    )
  }

  async shadows(block: Block & { readonly agreement: string }): Promise<void> {
    const first = this.#sequence
    this.#sequence += block.requests
    await this.#connection.run(
      `INSERT INTO shadows
       SELECT ${first} + i, ${timeOf(block)}, ${idOf('i')}, 'fraud', $1, 'answered', $2, 200, 15.0, '[]'
       FROM range(${block.requests}) AS each(i)`,
      [block.version, block.agreement],
    )
  }

  async streams(fate: string, answers: number, at: string): Promise<void> {
    await this.#connection.run(
      `INSERT INTO streams SELECT i, TIMESTAMP '${at}', ${idOf('i')}, 'fraud', $1, 200, 900.0 FROM range(${answers}) AS each(i)`,
      [fate],
    )
  }

  /** `details` as its record has them; `at` is added. */
  async event(type: string, at: string, details: Record<string, unknown>): Promise<void> {
    const sequence = this.#sequence
    this.#sequence += 1
    const whole = { at: Date.parse(`${at.replace(' ', 'T')}Z`), ...details }
    const [model, version] = [details.model, details.version].map((name) =>
      typeof name === 'string' ? name : null,
    )
    await this.#connection.run(`INSERT INTO events VALUES (${sequence}, TIMESTAMP '${at}', $1, $2, $3, $4)`, [
      type,
      model ?? null,
      version ?? null,
      JSON.stringify(whole),
    ])
  }
}

function idOf(number: string): string {
  return `printf('%032x', ${number})::UUID`
}

function timeOf({ from, to, requests }: Block): string {
  const days = `(epoch(TIMESTAMP '${to}') - epoch(TIMESTAMP '${from}')) / 86400`
  const part = `((i + 0.5) / ${requests})`
  const wave = `(${part} - sin(2 * pi() * ${part} * ${days}) * 0.6 / (2 * pi() * ${days}))`
  return `(TIMESTAMP '${from}' + to_milliseconds((greatest(0, least(0.999999, ${wave})) * ${days} * 86400000)::BIGINT))`
}
