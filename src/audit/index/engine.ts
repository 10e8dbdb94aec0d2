/**
 * The analytic engine, closed in: DuckDB in memory over a given list of files, which are all it can reach. It writes
 * nothing, spills nothing, loads nothing and asks no network, whatever SQL it is given.
 *
 * Loaded only when a question is asked; never by a gateway.
 */
import type { DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement } from '@duckdb/node-api'
import { type Column, SQL_TYPES, type TableName } from './column.ts'
import { type WantedColumns, wantedOf } from './table-file.ts'
import { TABLES } from './tables.ts'

/** What questions may hold at once; one that needs more is refused by the engine. */
export const ANALYSIS_MEMORY = '1GiB'
/** At most; fewer where the machine has fewer. A gateway may run beside it. */
export const ANALYSIS_THREADS_MAX = 4

/** A question that is not answered, with the reason for whoever asked it. */
export class QueryRefused extends Error {
  override readonly name = 'QueryRefused'
}

export type Files = { readonly [name in TableName]: readonly string[] }

export interface EngineParts {
  readonly files: Files
  /** All columns of a table that is not named. */
  readonly columns?: WantedColumns
  /** Files that a COPY of ours may write. */
  readonly mayWrite?: readonly string[]
}

export class Engine {
  readonly connection: DuckDBConnection
  readonly #instance: DuckDBInstance

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance
    this.connection = connection
  }

  static async open({ files, columns = {}, mayWrite = [] }: EngineParts): Promise<Engine> {
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: ANALYSIS_MEMORY,
      temp_directory: '',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
    })
    const connection = await instance.connect()
    const engine = new Engine(instance, connection)
    const reachable = [...Object.values(files).flat(), ...mayWrite]
    const statements = [
      `SET threads = least(current_setting('threads')::INTEGER, ${ANALYSIS_THREADS_MAX})`,
      `SET TimeZone = 'UTC'`,
      'SET parquet_metadata_cache = true',
      'CREATE SCHEMA stored',
      ...TABLES.flatMap((table) => viewsOf(table.name, wantedOf(table, columns), files[table.name])),
      `SET allowed_paths = [${reachable.map(textLiteral).join(', ')}]`,
      'SET enable_external_access = false',
      'SET lock_configuration = true',
    ]
    try {
      for (const statement of statements) await connection.run(statement)
    } catch (error) {
      engine.close()
      throw error
    }
    return engine
  }

  /** One statement that reads. Throws QueryRefused for every other, and for what the engine does not understand. */
  async prepareReading(sql: string): Promise<DuckDBPreparedStatement> {
    const { StatementType } = await import('@duckdb/node-api')
    const prepared = await this.#prepareOne(sql)
    const kind = prepared.statementType
    if (kind === StatementType.SELECT) return prepared
    // EXPLAIN ANALYZE runs what it explains.
    const explained = kind === StatementType.EXPLAIN ? EXPLAIN.exec(sql)?.[1] : undefined
    if (explained !== undefined) {
      const inner = await this.#prepareOne(explained)
      if (inner.statementType === StatementType.SELECT) return prepared
    }
    const word = StatementType[kind] ?? 'this'
    throw new QueryRefused(
      `the log is only read: SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN are answered, ${word} is not`,
    )
  }

  async #prepareOne(sql: string): Promise<DuckDBPreparedStatement> {
    if (sql.replace(NO_SQL, '') === '') throw new QueryRefused('there is no statement')
    try {
      const statements = await this.connection.extractStatements(sql)
      if (statements.count !== 1)
        throw new QueryRefused(`one statement at a time is answered, here are ${statements.count}`)
      return await statements.prepare(0)
    } catch (error) {
      throw refusal(error)
    }
  }

  close(): void {
    this.connection.closeSync()
    this.#instance.closeSync()
  }
}

/** Blanks, comments, and the end of a statement. */
const NO_SQL = /(?:\s|;|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/g
const EXPLAIN = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*explain(?:\s+analyze)?(?:\s*\([^)]*\))?\s+([\s\S]+)$/i

/** What the engine said of a question, in its words. */
export function refusal(error: unknown): QueryRefused {
  if (error instanceof QueryRefused) return error
  const { message } = error as Error
  // What the engine advises there is to change settings, which nobody can.
  const outOfMemory = /^Out of Memory Error: [^\n]*/.exec(message)?.[0]
  if (outOfMemory !== undefined)
    return new QueryRefused(
      `${outOfMemory}: a question may hold ${ANALYSIS_MEMORY}; ask for fewer rows, columns or groups`,
    )
  return new QueryRefused(message.replace(/^Failed to extract statements: /, ''))
}

/** `stored` is as the files have it; the view of the same name shows digests as text. */
function viewsOf(name: TableName, columns: readonly Column<never>[], files: readonly string[]): string[] {
  const shown = columns.map((column) =>
    column.type === 'hex' ? `${hexOf(column.name)} AS ${column.name}` : column.name,
  )
  const none = columns.map((column) => `NULL::${storedType(column.type)} AS ${column.name}`)
  const stored =
    files.length === 0
      ? `SELECT ${none.join(', ')} WHERE false`
      : `SELECT ${columns.map((column) => column.name).join(', ')} FROM read_parquet([${files.map(textLiteral).join(', ')}])`
  return [
    `CREATE VIEW stored.${name} AS ${stored}`,
    `CREATE VIEW main.${name} AS SELECT ${shown.join(', ')} FROM stored.${name}`,
  ]
}

function storedType(type: keyof typeof SQL_TYPES): string {
  return type === 'hex' ? 'BLOB' : SQL_TYPES[type]
}

/** Words stand where there is no digest; none has 16 bytes. */
function hexOf(column: string): string {
  return `CASE WHEN octet_length(${column}) = 16 THEN lower(hex(${column})) ELSE decode(${column}) END`
}

export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
