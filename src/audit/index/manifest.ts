/**
 * What the index of one segment consists of: `index/<first>.json`, written last, so that a segment counts as indexed
 * only when all its files are on the disk. Segments stay the record: whatever does not fit is made again from them.
 *
 * The segment that is being written is indexed in parts, `index/<first>.from<sequence>.json`, each of which goes on where
 * the one before ended. They are removed when the segment is full and indexed as a whole.
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
  /** Of a part. */
  readonly part?: Part
}

export interface Part {
  /** Sequence of its first record, and of the first one behind it. */
  readonly from: number
  readonly to: number
  /** Where in the segment's file the record behind it begins. */
  readonly endsAt: number
}

/** A segment by its first sequence, or a part of it. */
export interface Indexed {
  readonly first: number
  readonly part?: Pick<Part, 'from'>
}

export const indexOf = (folder: string): string => join(folder, 'index')

const digits = (first: number): string => String(first).padStart(12, '0')
const baseOf = ({ first, part }: Indexed): string =>
  part === undefined ? digits(first) : `${digits(first)}.from${part.from}`
export const manifestPath = (folder: string, indexed: Indexed): string =>
  join(indexOf(folder), `${baseOf(indexed)}.json`)
export const tablePath = (folder: string, indexed: Indexed, table: TableName): string =>
  join(indexOf(folder), `${baseOf(indexed)}.${table}.parquet`)

/** Names in `index/` that belong to the segment that begins with `first`; undefined for other names. */
export function firstOf(name: string): number | undefined {
  const match = /^(\d{12,16})\.(?:from\d+\.)?(?:\w+\.)?(?:parquet|json)(?:\.\d+\.draft)?$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

export function isOfPart(name: string): boolean {
  return /^\d+\.from\d+\./.test(name)
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
export function readManifest(folder: string, indexed: Indexed): Manifest | null {
  try {
    const found = JSON.parse(readFileSync(manifestPath(folder, indexed), 'utf8')) as Manifest
    const isAsked = found.first === indexed.first && found.part?.from === indexed.part?.from
    const isKnown = found.version === TABLES_VERSION && isAsked && Array.isArray(found.lanes)
    return isKnown && filesOf(folder, found).every(({ path, table }) => sizeOf(path) === table.bytes)
      ? found
      : null
  } catch {
    return null
  }
}

/** The parts there are of a segment that is being written, in order and without a hole; those that `isUsed` takes. */
export function partsOf(
  folder: string,
  first: number,
  isUsed: (manifest: Manifest) => boolean = () => true,
): PartManifest[] {
  const parts: PartManifest[] = []
  for (let from = first; ; from = parts.at(-1)!.part.to) {
    const found = readManifest(folder, { first, part: { from } })
    if (found?.part === undefined || !(found.part.to > from) || !isUsed(found)) return parts
    parts.push({ ...found, part: found.part })
  }
}

export type PartManifest = Manifest & { readonly part: Part }

export interface IndexFile {
  readonly name: TableName
  readonly path: string
  readonly table: IndexedTable
}

export function filesOf(folder: string, manifest: Manifest): IndexFile[] {
  return TABLES.flatMap(({ name }) => {
    const table = manifest.tables[name]
    return table === undefined ? [] : [{ name, path: tablePath(folder, manifest, name), table }]
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
