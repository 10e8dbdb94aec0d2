/**
 * What a gateway checks of its log before it adds to it: the signature of the last checkpoint, that the records it
 * covers are there and are the ones it was made of (the newest segments whole, up to CHECK_BYTES_MAX back), and what
 * was written after it.
 *
 * Damage before a checkpoint is no accident of a crash, because all of that was synced: nothing is opened then, and
 * nothing repaired. Behind it the longest valid beginning counts: the rest is kept under torn/ and cut off, and whole
 * records in it are handed back to be appended again. The whole log is checked by `modelgate audit verify`.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from './disk.ts'
import { FILE_HEADER_BYTES, type FileHeader } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import type { Identity } from './identity.ts'
import { CHECKPOINT_FILE, listSegments, type SegmentName, segmentsOf } from './paths.ts'
import type { TornPart } from './records/notes.ts'
import { openSegment, type SegmentReader } from './segment-reader.ts'
import { readIfThere, readTileFile } from './tile-files.ts'
import { keepTorn } from './torn.ts'
import { type Checkpoint, openCheckpoint, type SignedCheckpoint } from './tree/checkpoint.ts'
import { CompactRange } from './tree/compact-range.ts'
import { leafHashInPlace, TREE_HASH_BYTES } from './tree/hash.ts'
import { LeafBuffer } from './tree/leaf-buffer.ts'
import { textOf } from './tree/note.ts'
import { treeRoot } from './tree/proof.ts'
import { partialTiles, TileMissing, type TileName, TileTree } from './tree/tiles.ts'

/** Segments of together this size are read again at a start: about 170,000 decisions. */
export const CHECK_BYTES_MAX = 64 * 1024 * 1024

/** Bytes of records in a byte of a sealed segment, or a few more. */
const SEALED_TIMES = 5

/** The log is not what its checkpoint says. */
export class LogCorrupt extends Error {
  override readonly name = 'LogCorrupt'
}

/** Of subtrees in a tree of 2^53 records. */
const HEIGHT_MAX = 53

/** What is under tile/ is not what the checkpoint says; the records may be. */
export class TilesWrong extends LogCorrupt {
  constructor(problem: string) {
    super(`the tiles of the log are not those of its checkpoint: ${problem}`)
  }
}

/** A record that stood whole behind damage. */
export interface Salvaged {
  readonly type: number
  readonly payload: Buffer
}

export interface CheckedLog {
  /** Of all records that count. */
  readonly tree: CompactRange
  /** Leaves behind the checkpoint. */
  readonly unpublished: LeafBuffer
  readonly checkpoint: Checkpoint
  /** Partial tiles of the checkpoint's tree, lowest level first. */
  readonly edge: readonly Buffer[]
  /** What stands behind the first place that is not right; none: all is well. */
  readonly damaged: Damaged
}

export interface Damaged {
  readonly segments: readonly SegmentName[]
  /** In the first of them. */
  readonly at: number
}

/** Throws `LogCorrupt`, or what the disk throws. Changes nothing: `cutDamaged` does. */
export function checkLog(dataDir: string, identity: Identity, disk: Disk): CheckedLog {
  const checkpoint = readCheckpoint(dataDir, identity)
  const segments = listSegments(dataDir)
  const readTile = (name: TileName) => readTileFile(dataDir, name)
  try {
    const from = firstToRead(segments, checkpoint)
    const tiles = new TileTree(checkpoint.size, readTile)
    if (!treeRoot(checkpoint.size, tiles).equals(checkpoint.root))
      throw new TilesWrong('they give another root')
    const tree = treeOf(segments[from]?.first ?? 0, tiles)
    const walk = new Walk({ dataDir, identity, disk, checkpoint, tree })
    walk.checkRoot()
    const sound = segments.findIndex((segment, index) => index >= from && !walk.take(segment))
    if (tree.size < checkpoint.size) throw missing(tree.size, checkpoint)
    const rest = sound === -1 ? [] : segments.slice(sound)
    const damaged = { segments: rest, at: walk.soundTo }
    const edge = partialTiles(checkpoint.size).map((name) => readTile(name)!)
    return { tree, unpublished: walk.unpublished, checkpoint, edge, damaged }
  } catch (error) {
    if (error instanceof TileMissing) throw new TilesWrong(error.message)
    throw error
  }
}

/** Throws `LogCorrupt` when it is not there, or not to be believed. */
export function readCheckpoint(dataDir: string, { origin, trusted }: Identity): SignedCheckpoint {
  const bytes = readIfThere(join(dataDir, CHECKPOINT_FILE))
  if (bytes === undefined) throw new LogCorrupt(`${CHECKPOINT_FILE} is missing`)
  const note = textOf(bytes)
  const opened = note === undefined ? 'it is no text' : openCheckpoint(note, trusted)
  if (typeof opened === 'string') throw new LogCorrupt(`${CHECKPOINT_FILE}: ${opened}`)
  if (opened.origin === origin) return opened
  throw new LogCorrupt(`${CHECKPOINT_FILE} is of another log: ${opened.origin}, not ${origin}`)
}

/** The newest segment that begins before the checkpoint ends, and those before it that may be read again. */
function firstToRead(segments: readonly SegmentName[], checkpoint: Checkpoint): number {
  if (segments.length === 0) return 0
  let from = segments.findLastIndex(({ first }) => first <= checkpoint.size)
  if (from === -1) throw missing(checkpoint.size, checkpoint)
  let bytes = bytesToRead(segments[from]!)
  while (from > 0) {
    bytes += bytesToRead(segments[from - 1]!)
    if (bytes > CHECK_BYTES_MAX) break
    from -= 1
  }
  return from
}

function bytesToRead({ path, isSealed }: SegmentName): number {
  return statSync(path).size * (isSealed ? SEALED_TIMES : 1)
}

function missing(sequence: number, { size }: Checkpoint): LogCorrupt {
  return new LogCorrupt(`records from sequence ${sequence} on are missing; the checkpoint covers ${size}`)
}

function treeOf(size: number, tiles: TileTree): CompactRange {
  const roots: Buffer[] = []
  let from = 0
  for (let height = HEIGHT_MAX; height >= 0; height -= 1) {
    const width = 2 ** height
    if (Math.floor(size / width) % 2 === 0) continue
    roots.push(tiles.hashAt(height, from / width))
    from += width
  }
  return CompactRange.of(size, roots)
}

interface WalkParts {
  readonly dataDir: string
  readonly identity: Identity
  readonly disk: Disk
  readonly checkpoint: Checkpoint
  readonly tree: CompactRange
}

class Walk {
  readonly unpublished = new LeafBuffer()
  readonly #parts: WalkParts
  readonly #leaf = Buffer.alloc(TREE_HASH_BYTES)
  /** Where the segment that was not taken whole stops being sound. */
  soundTo = 0

  constructor(parts: WalkParts) {
    this.#parts = parts
  }

  /** Where the tree is as large as the checkpoint's, it is the same. */
  checkRoot(): void {
    const { tree, checkpoint } = this.#parts
    if (tree.size !== checkpoint.size || tree.root().equals(checkpoint.root)) return
    throw new LogCorrupt(
      `the first ${tree.size} records are not the ones that the checkpoint was made of; modelgate audit verify tells where`,
    )
  }

  /**
   * False when it is damaged behind the checkpoint; from there on nothing counts. Only what a checkpoint covers is
   * sealed, so a sealed one may not be damaged at all.
   */
  take(segment: SegmentName): boolean {
    const { disk, tree, checkpoint } = this.#parts
    const reader = openSegment(disk, segment)
    if (reader === undefined) throw new LogCorrupt(`${segment.file} went while it was looked at`)
    try {
      const found = this.#walk(reader)
      if (found === undefined) return true
      const { isSealed, file } = reader.name
      if (isSealed || tree.size < checkpoint.size)
        throw new LogCorrupt(`${file}, byte ${found.at}, sequence ${tree.size}: ${found.problem}`)
      this.soundTo = found.at
      return false
    } finally {
      reader.close()
    }
  }

  #walk(reader: SegmentReader): { readonly at: number; readonly problem: string } | undefined {
    const { tree } = this.#parts
    const problem = this.#problemOf(reader.name, reader.header)
    if (problem !== undefined) return { at: 0, problem }
    for (;;) {
      const frame = reader.next()
      const [damage] = reader.damages
      if (damage !== undefined || frame === undefined) return damage
      if (frame.sequence !== tree.size || frame.flags !== 0)
        return { at: frame.at, problem: `the record here has sequence ${frame.sequence}` }
      this.#append(frame)
    }
  }

  #problemOf({ first }: SegmentName, header: FileHeader | string): string | undefined {
    const { tree, identity } = this.#parts
    if (typeof header === 'string') return header
    if (header.first !== first) return `the header says that it begins at ${header.first}`
    if (first !== tree.size) return `it begins at ${first}`
    if (!header.originHash.equals(identity.originHash)) return 'it is of another log'
    return header.rootBefore.equals(tree.root())
      ? undefined
      : 'it was written behind other records than these'
  }

  #append({ leafRoom }: Frame): void {
    const { tree, checkpoint } = this.#parts
    leafHashInPlace(leafRoom, this.#leaf, 0)
    if (tree.size >= checkpoint.size) this.unpublished.append(this.#leaf, 0)
    tree.append(this.#leaf, 0)
    this.checkRoot()
  }
}

/** Keeps what does not count under torn/ and cuts it off; tells the whole records in it. */
export function cutDamaged(
  dataDir: string,
  { damaged }: CheckedLog,
  disk: Disk,
): { readonly torn: readonly TornPart[]; readonly salvaged: readonly Salvaged[] } {
  const torn: TornPart[] = []
  const salvaged: Salvaged[] = []
  for (const [index, { path }] of damaged.segments.entries()) {
    const at = index === 0 ? damaged.at : 0
    const fd = disk.open(path)
    try {
      const bytes = disk.size(fd) - at
      const frames = wholeFrames(disk, fd, Math.max(at, FILE_HEADER_BYTES))
      salvaged.push(...frames)
      const where = frames.length > 0 ? 'middle' : 'tail'
      if (bytes > 0) torn.push(keepTorn(disk, dataDir, { fd, path }, { at, bytes, where }))
      disk.truncate(fd, at)
      disk.sync(fd)
    } finally {
      disk.close(fd)
    }
    if (at <= FILE_HEADER_BYTES) disk.remove(path)
  }
  if (damaged.segments.length > 0) disk.syncDirectory(segmentsOf(dataDir))
  return { torn, salvaged }
}

function wholeFrames(disk: Disk, fd: number, at: number): Salvaged[] {
  const frames: Salvaged[] = []
  const size = disk.size(fd)
  const reader = new FrameReader(disk, fd, { at: Math.min(at, size), last: -1 })
  for (let frame = reader.next(size); frame !== undefined; frame = reader.next(size))
    frames.push({ type: frame.type, payload: Buffer.from(frame.payload) })
  return frames
}
