/**
 * The one reader of segments, sealed or not: the same frames either way, in order, damaged stretches passed over and
 * noted. Synchronous and in bounded memory: a block of a sealed segment, or 256 KiB of another one.
 *
 * A segment may be sealed while it is being listed and read: what was listed as one kind is opened as the other.
 */
import { codeOf, type Disk } from './disk.ts'
import { FILE_HEADER_BYTES, type FileHeader, readHeader } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { type SegmentName, sealedNameOf } from './paths.ts'
import { BlockFrames } from './sealed/block.ts'
import { type IndexBuilder, TRAILER_BYTES } from './sealed/block-index.ts'
import { type BlockFound, SealedFile, SealedRoom } from './sealed/sealed-file.ts'
import type { Damage } from './torn.ts'

/** At a time, of a segment that is not sealed. */
const READ_BYTES = 256 * 1024

export interface SegmentDamage extends Damage {
  readonly problem: string
}

export interface SegmentReader {
  /** The file that was opened. */
  readonly name: SegmentName
  readonly size: number
  /** One line saying why, when it cannot be believed. */
  readonly header: FileHeader | string
  /** What was passed over so far, less what the caller takes out. `where` is tail when nothing whole follows. */
  readonly damages: SegmentDamage[]
  /**
   * The next frame; undefined at the end as it was when the file was opened. Payload and entry are valid until the
   * next call; `at` is where the frame begins, or the block of a sealed segment that it is in.
   */
  next(): Frame | undefined
  close(): void
}

/** Memory for whoever reads many segments, one after the other. */
export class ReadingRoom {
  readonly plain = Buffer.allocUnsafeSlow(READ_BYTES)
  readonly sealed = new SealedRoom()
}

export interface ReadingOptions {
  /** The index of a sealed segment is compared with its records, too. */
  readonly asksIndex?: boolean
  readonly room?: ReadingRoom
}

/** Undefined when the segment is gone. Throws what the disk throws. */
export function openSegment(
  disk: Disk,
  name: SegmentName,
  options: ReadingOptions = {},
): SegmentReader | undefined {
  for (const each of name.isSealed ? [name] : [name, sealedNameOf(name)]) {
    try {
      return each.isSealed ? new SealedReader(disk, each, options) : new PlainReader(disk, each, options)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
  return undefined
}

class PlainReader implements SegmentReader {
  readonly name: SegmentName
  readonly size: number
  readonly header: FileHeader | string
  readonly damages: SegmentDamage[] = []
  readonly #disk: Disk
  readonly #fd: number
  readonly #frames: FrameReader

  constructor(disk: Disk, name: SegmentName, { room }: ReadingOptions) {
    this.name = name
    this.#disk = disk
    this.#fd = disk.openForReading(name.path)
    this.size = disk.size(this.#fd)
    this.header = readHeader(disk, this.#fd, 'segment')
    const at = Math.min(FILE_HEADER_BYTES, this.size)
    this.#frames = new FrameReader(disk, this.#fd, {
      at,
      last: name.first - 1,
      room: room?.plain ?? READ_BYTES,
    })
  }

  next(): Frame | undefined {
    const frame = this.#frames.next(this.size)
    if (this.#frames.damages.length === 0) return frame
    for (const damage of this.#frames.damages.splice(0))
      this.damages.push({ ...damage, problem: `${damage.bytes} bytes hold no whole record` })
    return frame
  }

  close(): void {
    this.#disk.close(this.#fd)
  }
}

class SealedReader implements SegmentReader {
  readonly name: SegmentName
  readonly size: number
  readonly header: FileHeader | string
  readonly damages: SegmentDamage[] = []
  readonly #file: SealedFile
  readonly #blocks: Generator<BlockFound>
  readonly #index: IndexBuilder | undefined
  #frames: BlockFrames | undefined
  /** The block they are in. */
  #place = { first: 0, records: 0, at: 0, bytes: 0 }
  /** Sequence of the next block, if nothing is missing. */
  #expected: number
  #isDamaged = false
  #isAtEnd = false

  constructor(disk: Disk, name: SegmentName, { asksIndex = false, room }: ReadingOptions) {
    this.name = name
    const sealedRoom = room?.sealed ?? new SealedRoom()
    this.#file = new SealedFile(disk, name.path, sealedRoom)
    this.size = this.#file.size
    this.header = this.#file.header()
    this.#blocks = this.#file.blocks()
    this.#expected = name.first
    if (asksIndex) {
      this.#index = sealedRoom.builder
      this.#index.begin()
    }
  }

  next(): Frame | undefined {
    while (!this.#isAtEnd) {
      const frame = this.#frames?.next()
      if (frame !== undefined) {
        this.#index?.see(frame)
        return frame
      }
      if (this.#frames !== undefined) this.#index?.endBlock(this.#place)
      this.#frames = undefined
      const { value } = this.#blocks.next()
      if (value === undefined) this.#finish()
      else this.#begin(value)
    }
    return undefined
  }

  close(): void {
    this.#file.close()
  }

  #begin({ at, bytes, block }: BlockFound): void {
    if (typeof block === 'string') return this.#damaged(at, bytes, block)
    const { first, records } = block
    // Whatever blocks say of themselves, nothing is returned twice.
    if (first < this.#expected) return this.#damaged(at, bytes, `the block begins at ${first} again`)
    this.#frames = new BlockFrames(block, { at })
    this.#place = { first, records, at, bytes }
    this.#expected = first + records
  }

  #finish(): void {
    this.#isAtEnd = true
    const { trailer, index } = this.#file
    const at = typeof trailer === 'string' ? Math.max(0, this.size - TRAILER_BYTES) : trailer.indexAt
    const bytes = this.size - at
    if (typeof index === 'string') this.#damaged(at, bytes, index)
    else if (this.#index !== undefined && !this.#isDamaged) {
      if (!this.#index.end().equals(this.#file.read(at, bytes)))
        this.#damaged(at, bytes, 'the index is not that of these records')
    }
  }

  #damaged(at: number, bytes: number, problem: string): void {
    this.#isDamaged = true
    this.damages.push({ at, bytes, where: 'middle', problem })
  }
}
