/**
 * Writes the index of one closed segment: a Parquet file for each table that has rows, then the manifest. Every file
 * is drafted, synced and renamed, so dying at any moment leaves at worst files that are made again.
 */
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { systemDisk } from '../disk.ts'
import type { SegmentName } from '../paths.ts'
import { eachFrame } from '../read.ts'
import type { TableName } from './column.ts'
import { LaneReach } from './lane-reach.ts'
import { type IndexedTable, indexOf, type Manifest, manifestPath, tablePath } from './manifest.ts'
import { type TableForm, WHOLE_AND_SMALL } from './table-file.ts'
import { TableSet } from './table-set.ts'
import { TABLES_VERSION } from './tables.ts'

/** `folder` holds `segments/` and gets `index/`. Throws the system's error when it cannot be read or written. */
export async function indexSegment(folder: string, segment: SegmentName): Promise<Manifest> {
  const { first } = segment
  const { tables, reach, records } = await tablesOf(segment, WHOLE_AND_SMALL)
  mkdirSync(indexOf(folder), { recursive: true, mode: 0o700 })
  const indexed: { [name in TableName]?: IndexedTable } = {}
  for (const { name, rows, bytes } of tables.finish()) {
    writeWhole(tablePath(folder, first, name), bytes)
    indexed[name] = {
      rows,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    }
  }
  systemDisk.syncDirectory(indexOf(folder))
  const manifest: Manifest = {
    version: TABLES_VERSION,
    first,
    records,
    lanes: reach.all(),
    tables: indexed,
  }
  writeWhole(manifestPath(folder, first), Buffer.from(`${JSON.stringify(manifest)}\n`))
  systemDisk.syncDirectory(indexOf(folder))
  return manifest
}

export interface SegmentTables {
  readonly tables: TableSet
  readonly reach: LaneReach
  readonly records: number
}

export async function tablesOf(segment: SegmentName, form: TableForm): Promise<SegmentTables> {
  const tables = new TableSet(form)
  const reach = new LaneReach()
  let records = 0
  await eachFrame(segment, (frame, found) => {
    reach.see(tables.addSequenced(found, frame))
    records += 1
  })
  return { tables, reach, records }
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
