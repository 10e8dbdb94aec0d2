/**
 * What the index of one segment consists of: `index/<first>.json`, written last, so that a segment counts as indexed
 * only when all its files are on the disk. Segments stay the record: whatever does not fit is made again from them.
 */
import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { TableName } from './column.ts'
import { TABLES, TABLES_VERSION } from './tables.ts'

export interface IndexedTable {
  readonly rows: number
  readonly bytes: number
  /** Hex, of the file. */
  readonly sha256: string
}

export interface Manifest {
  readonly version: number
  /** Sequence of the segment's first record. */
  readonly first: number
  readonly records: number
  /** Of each run and lane, the highest lane sequence the segment holds: [start, lane, sequence]. */
  readonly lanes: readonly (readonly [number, number, number])[]
  /** Tables without a row have no file. */
  readonly tables: { readonly [name in TableName]?: IndexedTable }
}

export const indexOf = (folder: string): string => join(folder, 'index')

const digits = (first: number): string => String(first).padStart(12, '0')
export const manifestPath = (folder: string, first: number): string =>
  join(indexOf(folder), `${digits(first)}.json`)
export const tablePath = (folder: string, first: number, table: TableName): string =>
  join(indexOf(folder), `${digits(first)}.${table}.parquet`)

/** Names in `index/` that belong to the segment that begins with `first`; undefined for other names. */
export function firstOf(name: string): number | undefined {
  const match = /^(\d{12,16})\.(?:\w+\.)?(?:parquet|json)(?:\.\d+\.draft)?$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Names in `index/`; none when there is no such folder. */
export function listIndex(folder: string): string[] {
  try {
    return readdirSync(indexOf(folder))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Null when there is none, it is of another version, or a file of its is missing or has another size. */
export function readManifest(folder: string, first: number): Manifest | null {
  try {
    const found = JSON.parse(readFileSync(manifestPath(folder, first), 'utf8')) as Manifest
    const isKnown = found.version === TABLES_VERSION && found.first === first && Array.isArray(found.lanes)
    return isKnown && filesOf(folder, found).every(({ path, table }) => sizeOf(path) === table.bytes)
      ? found
      : null
  } catch {
    return null
  }
}

export interface IndexFile {
  readonly name: TableName
  readonly path: string
  readonly table: IndexedTable
}

export function filesOf(folder: string, { first, tables }: Manifest): IndexFile[] {
  return TABLES.flatMap(({ name }) => {
    const table = tables[name]
    return table === undefined ? [] : [{ name, path: tablePath(folder, first, name), table }]
  })
}

/** Reads all files: false when one of them is not what was written. */
export async function isIntact(folder: string, manifest: Manifest): Promise<boolean> {
  for (const { path, table } of filesOf(folder, manifest)) {
    const hash = createHash('sha256')
    try {
      for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
    } catch {
      return false
    }
    if (hash.digest('hex') !== table.sha256) return false
  }
  return true
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? -1
}
