/**
 * Writes the index of one closed segment, or of a part of the one that is being written: a Parquet file for each table that has rows, then the manifest. Every file
 * is drafted, synced and renamed, so dying at any moment leaves at worst files that are made again.
 */
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { systemDisk } from '../disk.ts'
import type { Frame } from '../frame.ts'
import type { SegmentName } from '../paths.ts'
import { eachFrame, eachFrameOf, type Stretch } from '../read.ts'
import type { TableName } from './column.ts'
import { LaneReach } from './lane-reach.ts'
import {
  type IndexedTable,
  indexOf,
  type Manifest,
  manifestPath,
  type PartManifest,
  tablePath,
} from './manifest.ts'
import { type TableForm, WHOLE_AND_SMALL } from './table-file.ts'
import { type FinishedTable, TableSet } from './table-set.ts'
import { TABLES_VERSION } from './tables.ts'

/** `folder` holds `segments/` and gets `index/`. Throws the system's error when it cannot be read or written. */
export async function indexSegment(folder: string, segment: SegmentName): Promise<Manifest> {
  const maker = new TablesMaker(WHOLE_AND_SMALL)
  await eachFrame(segment, (frame, found) => maker.add(found, frame))
  return writeTables(folder, segment, maker)
}

function writeTables(folder: string, { first }: SegmentName, maker: TablesMaker): Manifest {
  return write(folder, { first, records: maker.records }, maker.reach, maker.tables.finish())
}

/**
 * Goes on with a segment that is being written; `maker` has what lies between its begin and the stretch, or that behind a part
 * that another maker made. Null when the segment is gone or sealed meanwhile, or nothing whole is there. After an error the
 * maker is of no use any more.
 */
export async function indexPart(
  folder: string,
  segment: SegmentName,
  stretch: Stretch,
  maker: TablesMaker,
): Promise<PartManifest | null> {
  const before = maker.records
  const isThere = await eachFrameOf(segment, stretch, (frame) => maker.add(segment, frame))
  if (!isThere || maker.records === before) return null
  const part = { from: stretch.from, to: maker.next, endsAt: maker.endsAt }
  const of = { first: segment.first, part, records: maker.records - before }
  return { ...write(folder, of, maker.reach, maker.tables.endPart()), part }
}

/** The index of a whole segment whose parts `maker` has made, all but the stretch. Null as for a part. */
export async function indexRest(
  folder: string,
  segment: SegmentName,
  stretch: Stretch,
  maker: TablesMaker,
): Promise<Manifest | null> {
  const isThere = await eachFrameOf(segment, stretch, (frame) => maker.add(segment, frame))
  return isThere ? writeTables(folder, segment, maker) : null
}

/** Tables of a stretch of the log, and what the manifest tells of it. */
export class TablesMaker {
  readonly tables: TableSet
  readonly reach = new LaneReach()
  records = 0
  /** Sequence behind the last record, and where its frame ends in a segment that is not sealed. */
  next = 0
  endsAt = 0

  constructor(form: TableForm) {
    this.tables = new TableSet(form)
  }

  add(segment: SegmentName, frame: Frame): void {
    this.reach.see(this.tables.addSequenced(segment, frame))
    this.records += 1
    this.next = frame.sequence + 1
    this.endsAt = frame.at + frame.bytes
  }
}

function write(
  folder: string,
  of: Pick<Manifest, 'first' | 'part' | 'records'>,
  reach: LaneReach,
  tables: Iterable<FinishedTable>,
): Manifest {
  mkdirSync(indexOf(folder), { recursive: true, mode: 0o700 })
  const indexed: { [name in TableName]?: IndexedTable } = {}
  for (const { name, rows, bytes } of tables) {
    writeWhole(tablePath(folder, of, name), bytes)
    indexed[name] = {
      rows,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    }
  }
  systemDisk.syncDirectory(indexOf(folder))
  const manifest: Manifest = {
    ...{ version: TABLES_VERSION, ...of },
    lanes: reach.all(),
    tables: indexed,
  }
  writeWhole(manifestPath(folder, of), Buffer.from(`${JSON.stringify(manifest)}\n`))
  systemDisk.syncDirectory(indexOf(folder))
  return manifest
}

/** Mode 0600, like all records. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  const draft = `${path}.${process.pid}.draft`
  const fd = openSync(draft, 'w', 0o600)
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(draft, path)
}
