/**
 * Questions to the whole log in SQL, beside a running gateway and without one: four tables (`tables.ts`), each record
 * once, complete up to the moment it was opened.
 *
 * Segments are sealed, indexed and pruned meanwhile. A question that runs into that, or into an index file that is damaged, is asked
 * once more of the log as it is then.
 */
import type { DuckDBPreparedStatement, DuckDBResult, DuckDBValue } from '@duckdb/node-api'
import { codeOf } from '../disk.ts'
import { Engine, QueryRefused, refusal, textLiteral } from './engine.ts'
import { dropIndex } from './index-segments.ts'
import { type LogSource, openSource, type SourceOptions } from './log-source.ts'
import { isIntact, manifestPath, readManifest } from './manifest.ts'
import { type Plain, plainValue } from './plain-value.ts'

export interface Answer {
  readonly columns: readonly string[]
  /** SQL types of the columns. */
  readonly types: readonly string[]
  /** Rows in batches of some thousand, as they come; each row has a value for each column. */
  readonly batches: AsyncIterable<readonly (readonly Plain[])[]>
}

export type Parameters = readonly (string | number | bigint | boolean | null | Uint8Array)[]
export type Row = { readonly [column: string]: Plain }

export interface Analysis {
  /** Records that had to be read because they are not indexed yet. */
  readonly recordsRead: number
  /** All rows, for answers that are small. `?` in the SQL stands for the next parameter. */
  rows(sql: string, parameters?: Parameters): Promise<Row[]>
  /** Throws QueryRefused when the SQL is not understood or does more than read. */
  ask(sql: string, parameters?: Parameters): Promise<Answer>
  /** Writes the answer to a file; the number of its rows. */
  copy(sql: string, target: CopyTarget, parameters?: Parameters): Promise<number>
  /** What is being asked ends with an error, and nothing can be asked any more. */
  interrupt(): void
  close(): void
}

export interface CopyTarget {
  /** What `mayWrite` named. */
  readonly file: string
  /** A COPY's options, in SQL. */
  readonly form: string
}

export interface AnalysisOptions extends SourceOptions {
  /** The one file that `copy` may write. */
  readonly mayWrite?: string
}

/** Throws the system's error when the log cannot be read. */
export async function openAnalysis(dataDir: string, options: AnalysisOptions = {}): Promise<Analysis> {
  const open = new OpenAnalysis(dataDir, options)
  try {
    await open.begin()
  } catch (error) {
    open.close()
    throw error
  }
  return open
}

class OpenAnalysis implements Analysis {
  readonly #dataDir: string
  readonly #options: AnalysisOptions
  /** Manifests of indexes that turned out damaged, and could perhaps not be removed. */
  readonly #distrusted = new Set<string>()
  #source: LogSource | undefined
  #engine: Engine | undefined
  #isInterrupted = false

  constructor(dataDir: string, options: AnalysisOptions) {
    this.#dataDir = dataDir
    this.#options = options
  }

  /** Makes sure that questions can be asked. */
  begin(): Promise<void> {
    return this.#onceMore(async () => {})
  }

  get recordsRead(): number {
    return this.#source?.recordsRead ?? 0
  }

  async rows(sql: string, parameters: Parameters = []): Promise<Row[]> {
    return this.#onceMore(async (engine) => {
      const result = await start(await engine.prepareReading(sql), parameters)
      return (await result.convertRowObjects(plainValue)) as Row[]
    })
  }

  async ask(sql: string, parameters: Parameters = []): Promise<Answer> {
    return this.#onceMore(async (engine) => {
      const result = await start(await engine.prepareReading(sql), parameters)
      const batches = result.yieldConvertedRows(plainValue)
      // The first batch is fetched here: what goes wrong before it can still be asked once more.
      const first = await batches.next()
      return {
        columns: result.deduplicatedColumnNames(),
        types: result.columnTypes().map(String),
        batches: (async function* () {
          if (first.done === true) return
          yield first.value
          yield* batches
        })(),
      }
    })
  }

  async copy(sql: string, { file, form }: CopyTarget, parameters: Parameters = []): Promise<number> {
    return this.#onceMore(async (engine) => {
      await engine.prepareReading(sql)
      const copying = await engine.connection.prepare(`COPY (${sql}) TO ${textLiteral(file)} (${form})`)
      return (await start(copying, parameters)).rowsChanged
    })
  }

  interrupt(): void {
    this.#isInterrupted = true
    this.#engine?.connection.interrupt()
  }

  close(): void {
    this.#engine?.close()
    this.#source?.close()
    this.#engine = undefined
    this.#source = undefined
  }

  async #onceMore<T>(ask: (engine: Engine) => Promise<T>): Promise<T> {
    try {
      return await ask(await this.#ready())
    } catch (error) {
      if (this.#isInterrupted) throw toldApart(error)
      const isAnother = codeOf(error) === 'ENOENT' || (await this.#hasChanged())
      if (!isAnother) throw toldApart(error)
    }
    this.close()
    try {
      return await ask(await this.#ready())
    } catch (error) {
      throw toldApart(error)
    }
  }

  async #ready(): Promise<Engine> {
    const { mayWrite, columns = {} } = this.#options
    this.#source ??= await openSource(this.#dataDir, this.#options, this.#distrusted)
    this.#engine ??= await Engine.open({
      files: this.#source.files,
      columns,
      ...(mayWrite === undefined ? {} : { mayWrite: [mayWrite] }),
    })
    return this.#engine
  }

  /** Whether an index file that was used is gone or is not what was written. Such indexes are dropped. */
  async #hasChanged(): Promise<boolean> {
    let isChanged = false
    for (const { folder, manifest } of this.#source?.indexed ?? []) {
      if (readManifest(folder, manifest) !== null && (await isIntact(folder, manifest))) continue
      isChanged = true
      this.#distrusted.add(manifestPath(folder, manifest))
      try {
        dropIndex(folder, manifest)
      } catch {
        // A log that may only be read: its segment is read instead.
      }
    }
    return isChanged
  }
}

/** The system's errors stay what they are; the engine's become the answer to whoever asked. */
function toldApart(error: unknown): unknown {
  if (codeOf(error) === 'ERR_STRING_TOO_LONG')
    return new QueryRefused('a value of the answer is longer than a text can be (512 MiB)')
  return codeOf(error) === '' ? refusal(error) : error
}

async function start(prepared: DuckDBPreparedStatement, parameters: Parameters): Promise<DuckDBResult> {
  if (prepared.parameterCount !== parameters.length)
    throw new QueryRefused(
      `the statement has ${prepared.parameterCount} parameters (? or $1), ${parameters.length} are given`,
    )
  for (const [index, value] of parameters.entries()) bind(prepared, index + 1, value)
  return prepared.stream()
}

function bind(prepared: DuckDBPreparedStatement, at: number, value: Parameters[number]): void {
  if (value instanceof Uint8Array) prepared.bindBlob(at, value)
  else if (typeof value === 'number' && Number.isInteger(value)) prepared.bindBigInt(at, BigInt(value))
  else prepared.bindValue(at, value as DuckDBValue)
}
