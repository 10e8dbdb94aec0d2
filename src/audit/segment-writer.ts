/**
 * Appends records to the segments, which are the log: gives each its global sequence, puts origin and digests
 * before what the lane packed, makes it a leaf of the tree, and starts a new segment when one is full. Used by the
 * writer thread alone.
 *
 * A failed write is cut back and may be tried again (the batch stays). A failed sync throws `SyncFailure` and
 * is never tried again: the kernel may have dropped the pages and would report success the second time.
 */
import type { Clock } from '../kernel/clock.ts'
import { closeQuietly, type Disk, isOutOfDescriptors, removeQuietly, writeAll } from './disk.ts'
import { encodeFileHeader, FILE_HEADER_BYTES } from './file-header.ts'
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES, leafRoomAt, sealFrame } from './frame.ts'
import { segmentPath, segmentsOf } from './paths.ts'
import { type Origin, writeOrigin } from './records/payload.ts'
import { CompactRange } from './tree/compact-range.ts'
import { leafHashInPlace, TREE_HASH_BYTES } from './tree/hash.ts'
import { LeafBuffer } from './tree/leaf-buffer.ts'

/** The newest records lie in a segment that is not sealed yet, and are searched for byte by byte. */
export const SEGMENT_BYTES_MAX = 16 * 1024 * 1024
/** Records of one round of the writer thread; when it is full it is written before more are read. */
const BATCH_BYTES_MAX = 1024 * 1024

export class SyncFailure extends Error {
  override readonly name = 'SyncFailure'
}

export interface SegmentParts {
  readonly dataDir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly start: number
  readonly keyId: string
  /** SHA-256 of the log's origin. */
  readonly originHash: Buffer
  /** Of all records there are; its size is the sequence of the next one. Grows from here on. */
  readonly tree: CompactRange
  /** Leaves of the newest of them, which no checkpoint covers yet. */
  readonly unpublished?: LeafBuffer
  readonly bytesMax?: number
}

/** What a record is, besides its bytes. */
export interface RecordHead {
  readonly type: number
  readonly origin: Origin
}

export class SegmentWriter {
  readonly #parts: SegmentParts
  readonly #bytesMax: number
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES_MAX)
  #used = 0
  readonly #tree: CompactRange
  /** Without the batch: what a segment that begins with it says of those before. */
  readonly #treeBefore = new CompactRange()
  readonly #unpublished: LeafBuffer
  /** Leaf hash of the record added last. */
  readonly leaf = Buffer.alloc(TREE_HASH_BYTES)
  #fd = -1
  #path = ''
  #offset = 0
  #begun = 0
  #isDirty = false

  constructor(parts: SegmentParts) {
    this.#parts = parts
    this.#bytesMax = parts.bytesMax ?? SEGMENT_BYTES_MAX
    this.#tree = parts.tree
    this.#treeBefore.set(parts.tree)
    this.#unpublished = parts.unpublished ?? new LeafBuffer()
  }

  /** Global sequence of the next record. */
  get next(): number {
    return this.#tree.size
  }

  /** Records that no checkpoint was made of. */
  get unpublished(): number {
    return this.#unpublished.count
  }

  /** Segments begun by this run. */
  get begun(): number {
    return this.#begun
  }

  /** Room for one more record of any size; without it, flush first. */
  get hasRoom(): boolean {
    return this.#used + FRAME_BYTES_MAX <= BATCH_BYTES_MAX
  }

  /** Something was added or written that is not synced yet. */
  get isDirty(): boolean {
    return this.#isDirty || this.#used > 0
  }

  /**
   * Adds one record to the batch. `digests` writes the three digests at a place in a buffer and returns where
   * they end. Needs `hasRoom`.
   */
  add(head: RecordHead, record: Uint8Array, digests: (target: Buffer, at: number) => number): void {
    const payloadAt = this.#used + FRAME_HEAD_BYTES
    const recordAt = digests(this.#batch, writeOrigin(this.#batch, payloadAt, head.origin))
    this.#batch.set(record, recordAt)
    this.#seal(head.type, recordAt + record.length - payloadAt)
  }

  /** Makes a record, and a leaf, of the payload that lies behind the next frame head. */
  #seal(type: number, payloadBytes: number): void {
    const from = this.#used
    this.#used = sealFrame(this.#batch, from, { sequence: this.#tree.size, type, flags: 0 }, payloadBytes)
    leafHashInPlace(leafRoomAt(this.#batch, from, this.#used), this.leaf, 0)
    this.#tree.append(this.leaf, 0)
    this.#unpublished.append(this.leaf, 0)
  }

  /** A record whose payload was a segment's already. Needs `hasRoom`. */
  addPacked(type: number, payload: Uint8Array): void {
    this.#batch.set(payload, this.#used + FRAME_HEAD_BYTES)
    this.#seal(type, payload.length)
  }

  /**
   * The tree of all that is synced, and the leaves that are in none of the trees taken before. Throws like `flush`
   * and `sync`, which it does.
   */
  takeTree(): { readonly size: number; readonly root: Buffer; readonly leaves: Buffer } {
    this.flush()
    this.sync()
    return { size: this.#tree.size, root: this.#tree.root(), leaves: this.#unpublished.take() }
  }

  /** Writes the batch. Throws the system's error when the disk does not take it; the batch then stays. */
  flush(): void {
    if (this.#used === 0) return
    if (this.#fd !== -1 && this.#offset + this.#used > this.#bytesMax) this.close()
    if (this.#fd === -1) this.#begin()
    try {
      writeAll(this.#parts.disk, this.#fd, this.#batch, { length: this.#used, position: this.#offset })
    } catch (error) {
      this.#cutBack()
      throw error
    }
    this.#offset += this.#used
    this.#used = 0
    this.#treeBefore.set(this.#tree)
    this.#isDirty = true
  }

  /** All that was flushed is on the disk when this returns, where a reader finds it. */
  sync(): void {
    if (!this.#isDirty) return
    const { disk } = this.#parts
    let isThere: boolean
    try {
      disk.sync(this.#fd)
      isThere = disk.isAt(this.#fd, this.#path)
    } catch (error) {
      throw new SyncFailure(`the log could not be synced: ${(error as Error).message}`)
    }
    if (!isThere) throw new SyncFailure(`${this.#path} was deleted or moved while it was being written`)
    this.#isDirty = false
  }

  close(): void {
    if (this.#fd === -1) return
    this.sync()
    closeQuietly(this.#parts.disk, this.#fd)
    this.#fd = -1
  }

  #begin(): void {
    const { dataDir, disk, clock, start, keyId, originHash } = this.#parts
    const first = this.#treeBefore.size
    const path = segmentPath(dataDir, first)
    const fd = disk.open(path)
    const createdAt = clock.wall()
    const rootBefore = this.#treeBefore.root()
    const own = { start, first, createdAt, keyId, originHash, rootBefore }
    const header = encodeFileHeader({ kind: 'segment', lane: 0, number: 0, ...own })
    try {
      writeAll(disk, fd, header, { length: header.length, position: 0 })
      this.#syncDirectory()
    } catch (error) {
      closeQuietly(disk, fd)
      removeQuietly(disk, path)
      throw error
    }
    this.#fd = fd
    this.#path = path
    this.#offset = FILE_HEADER_BYTES
    this.#begun += 1
  }

  #syncDirectory(): void {
    const { dataDir, disk } = this.#parts
    try {
      disk.syncDirectory(segmentsOf(dataDir))
    } catch (error) {
      // Nothing was synced yet, so nothing has failed: it may be tried again.
      if (isOutOfDescriptors(error)) throw error
      throw new SyncFailure(`the log's directory could not be synced: ${(error as Error).message}`)
    }
  }

  /** If the file cannot be cut, the log ends here: appending behind garbage would hide it. */
  #cutBack(): void {
    try {
      this.#parts.disk.truncate(this.#fd, this.#offset)
    } catch (error) {
      throw new SyncFailure(`a half-written record could not be cut off: ${(error as Error).message}`)
    }
  }
}
