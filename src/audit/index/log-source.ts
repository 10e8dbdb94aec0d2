/**
 * Everything the log holds at one moment as Parquet files, each record once: the index files of indexed segments, and for what is
 * not indexed yet (the end of the open segment, journals) files made now in a private folder that `close` removes.
 *
 * Journals are opened before segments are listed, as in read.ts: a record moves from one to the other at any moment,
 * and an open journal can be read to its end even after the writer deleted it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FILE_HEADER_BYTES } from '../file-header.ts'
import { listEpochs, listSegments, type SegmentName } from '../paths.ts'
import { closeJournals, eachFrame, eachFrameOf, framesOf, type OpenJournal, openJournals } from '../read.ts'
import type { TableName } from './column.ts'
import { TablesMaker } from './index-segment.ts'
import { LaneReach } from './lane-reach.ts'
import {
  filesOf,
  type Indexed,
  type Manifest,
  manifestPath,
  type PartManifest,
  partsOf,
  readManifest,
} from './manifest.ts'
import type { TableForm, WantedColumns } from './table-file.ts'
import { TableSet } from './table-set.ts'

export interface LogSource {
  readonly files: { readonly [name in TableName]: readonly string[] }
  /** Segments, and parts of the open one, whose index is used, with where each lies; and records that had to be read because they have none. */
  readonly indexed: readonly IndexedSegment[]
  readonly recordsRead: number
  /** Deletes what was made for this. Index files stay. */
  close(): void
}

export interface IndexedSegment {
  readonly folder: string
  readonly manifest: Manifest
}

export interface SourceOptions {
  /** Called after each segment that had to be read, with how many of how many were. */
  onRead?(done: number, of: number): void
  /**
   * What the questions will ask of a table, where that is known: no other columns are there then, and what is not indexed
   * is read in a third of the time.
   */
  readonly columns?: WantedColumns
}

/**
 * Throws the system's error when segments or journals cannot be read. `distrusted`: paths of manifests that are not
 * used, so that their segments are read.
 */
export async function openSource(
  dataDir: string,
  options: SourceOptions = {},
  distrusted: ReadonlySet<string> = new Set(),
): Promise<LogSource> {
  const journals = await openJournals(dataDir)
  try {
    return await new SourceMaker(dataDir, options, distrusted).make(journals)
  } finally {
    await closeJournals(journals)
  }
}

/** What an acknowledged repair put aside, oldest first, then the log as it goes on. */
export function logFolders(dataDir: string): string[] {
  return [...listEpochs(dataDir).map((epoch) => join(dataDir, 'epochs', String(epoch))), dataDir]
}

interface Unindexed {
  readonly folder: string
  readonly segment: SegmentName
  /** Of the segment that is being written; what is behind them is read. */
  readonly parts: readonly PartManifest[]
}

class SourceMaker {
  readonly #dataDir: string
  readonly #distrusted: ReadonlySet<string>
  readonly #files = {
    decisions: [] as string[],
    shadows: [] as string[],
    streams: [] as string[],
    events: [] as string[],
  }
  readonly #indexed: IndexedSegment[] = []
  readonly #reach = new LaneReach()
  readonly #options: SourceOptions
  readonly #form: TableForm
  #scratch: string | undefined
  #made = 0
  #recordsRead = 0

  constructor(dataDir: string, options: SourceOptions, distrusted: ReadonlySet<string>) {
    this.#dataDir = dataDir
    this.#options = options
    this.#form = { columns: options.columns ?? {}, isCompressed: false }
    this.#distrusted = distrusted
  }

  async make(journals: readonly OpenJournal[]): Promise<LogSource> {
    try {
      const unindexed = this.#useIndexed()
      for (const [done, segment] of unindexed.entries()) {
        await this.#readSegment(segment)
        this.#options.onRead?.(done + 1, unindexed.length)
      }
      await this.#readJournals(journals)
    } catch (error) {
      this.#remove()
      throw error
    }
    return {
      files: this.#files,
      indexed: this.#indexed,
      recordsRead: this.#recordsRead,
      close: () => this.#remove(),
    }
  }

  /** Returns the segments that have no index as a whole. */
  #useIndexed(): Unindexed[] {
    const unindexed: Unindexed[] = []
    const isTrusted = (folder: string) => (indexed: Indexed) =>
      !this.#distrusted.has(manifestPath(folder, indexed))
    for (const folder of logFolders(this.#dataDir)) {
      for (const segment of listSegments(folder)) {
        const manifest = isTrusted(folder)(segment) ? readManifest(folder, { first: segment.first }) : null
        if (manifest !== null) this.#use(folder, manifest)
        else unindexed.push({ folder, segment, parts: partsOf(folder, segment.first, isTrusted(folder)) })
      }
    }
    return unindexed
  }

  #use(folder: string, manifest: Manifest): void {
    for (const [start, lane, sequence] of manifest.lanes) this.#reach.see({ start, lane, sequence })
    for (const { name, path } of filesOf(folder, manifest)) this.#files[name].push(path)
    this.#indexed.push({ folder, manifest })
  }

  async #readSegment({ folder, segment, parts }: Unindexed): Promise<void> {
    const maker = new TablesMaker(this.#form)
    const last = parts.at(-1)?.part
    const isBehindParts =
      last !== undefined &&
      !segment.isSealed &&
      (await eachFrameOf(segment, { at: last.endsAt, from: last.to, to: Infinity }, (frame) =>
        maker.add(segment, frame),
      ))
    if (isBehindParts) for (const part of parts) this.#use(folder, part)
    else await eachFrame(segment, (frame, found) => maker.add(found, frame))
    for (const [start, lane, sequence] of maker.reach.all()) this.#reach.see({ start, lane, sequence })
    this.#recordsRead += maker.records
    this.#write(maker.tables)
  }

  async #readJournals(journals: readonly OpenJournal[]): Promise<void> {
    const tables = new TableSet(this.#form)
    for (const { name, file } of journals) {
      for await (const frame of framesOf(file, FILE_HEADER_BYTES)) {
        const { lane, start } = name
        if (this.#reach.has({ lane, start, sequence: frame.sequence })) continue
        this.#recordsRead += 1
        tables.addUnsequenced(name, frame)
      }
    }
    this.#write(tables)
  }

  #write(tables: TableSet): void {
    for (const { name, bytes } of tables.finish()) {
      this.#scratch ??= mkdtempSync(join(tmpdir(), `modelgate-audit-${process.pid}-`))
      const path = join(this.#scratch, `${this.#made}.${name}.parquet`)
      this.#made += 1
      writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' })
      this.#files[name].push(path)
    }
  }

  #remove(): void {
    if (this.#scratch !== undefined) rmSync(this.#scratch, { recursive: true, force: true })
    this.#scratch = undefined
  }
}
