/**
 * Appends records to the segments, which are the log: gives each its global sequence, puts origin and digests
 * before what the lane packed, and starts a new segment when one is full. Used by the writer thread alone.
 *
 * A failed write is cut back and may be tried again (the batch stays). A failed sync throws `SyncFailure` and
 * is never tried again: the kernel may have dropped the pages and would report success the second time.
 */
import type { Clock } from '../kernel/clock.ts'
import { type Disk, isOutOfDescriptors, writeAll } from './disk.ts'
import { encodeFileHeader, FILE_HEADER_BYTES } from './file-header.ts'
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES, sealFrame } from './frame.ts'
import { segmentPath, segmentsOf } from './paths.ts'
import { type Origin, writeOrigin } from './records/payload.ts'

export const SEGMENT_BYTES_MAX = 64 * 1024 * 1024
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
  /** Global sequence of the next record. */
  readonly next: number
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
  /** Sequence of the first record of the batch, and of the next one. */
  #first: number
  #next: number
  #fd = -1
  #offset = 0
  #begun = 0
  #isDirty = false

  constructor(parts: SegmentParts) {
    this.#parts = parts
    this.#bytesMax = parts.bytesMax ?? SEGMENT_BYTES_MAX
    this.#first = parts.next
    this.#next = parts.next
  }

  get next(): number {
    return this.#next
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
    const frame = { sequence: this.#next, type: head.type, flags: 0 }
    this.#used = sealFrame(this.#batch, this.#used, frame, recordAt + record.length - payloadAt)
    this.#next += 1
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
    this.#first = this.#next
    this.#isDirty = true
  }

  /** All that was flushed is on the disk when this returns. */
  sync(): void {
    if (!this.#isDirty) return
    try {
      this.#parts.disk.sync(this.#fd)
    } catch (error) {
      throw new SyncFailure(`the log could not be synced: ${(error as Error).message}`)
    }
    this.#isDirty = false
  }

  close(): void {
    if (this.#fd === -1) return
    this.sync()
    this.#parts.disk.close(this.#fd)
    this.#fd = -1
  }

  #begin(): void {
    const { dataDir, disk, clock, start, keyId } = this.#parts
    const path = segmentPath(dataDir, this.#first)
    const fd = disk.open(path)
    const createdAt = clock.wall()
    const first = this.#first
    const header = encodeFileHeader({ kind: 'segment', lane: 0, start, number: 0, first, createdAt, keyId })
    try {
      writeAll(disk, fd, header, { length: header.length, position: 0 })
      this.#syncDirectory()
    } catch (error) {
      disk.close(fd)
      disk.remove(path)
      throw error
    }
    this.#fd = fd
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
