/**
 * A sealed segment, read in pieces: trailer, index, one block. Nothing of it is believed that its checksums do not
 * bear out; what is damaged is told, and what can be read without it is read. Never more than one block in memory.
 */
import type { Disk } from '../disk.ts'
import { FILE_HEADER_BYTES, type FileHeader, readHeader } from '../file-header.ts'
import {
  BLOCK_BYTES_MAX,
  BLOCK_HEAD_BYTES,
  decodeBlockHead,
  type OpenBlock,
  openBlock,
  ROOM_BYTES,
} from './block.ts'
import {
  type BlockEntry,
  decodeIndex,
  decodeTrailer,
  IndexBuilder,
  TRAILER_BYTES,
  type Trailer,
} from './block-index.ts'

/** Of a block; most have 50 KiB. Room is made for larger ones. */
const PACKED_BYTES = 96 * 1024

/** A block, or one line saying what is wrong with these bytes. */
export interface BlockFound {
  readonly at: number
  readonly bytes: number
  readonly block: OpenBlock | string
}

/** Memory that readers of one file after the other use again, and what they compare the index with. */
export class SealedRoom {
  /** Of a block as it lies in the file; of its frames; of the index. */
  readonly packed = new RoomFor(PACKED_BYTES)
  readonly frames = Buffer.allocUnsafeSlow(ROOM_BYTES)
  readonly index = new RoomFor(PACKED_BYTES)
  readonly builder = new IndexBuilder()
}

class RoomFor {
  #bytes: Buffer

  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes)
  }

  take(bytes: number): Buffer {
    if (bytes > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(bytes)
    return this.#bytes.subarray(0, bytes)
  }
}

export class SealedFile {
  readonly size: number
  readonly #disk: Disk
  readonly #fd: number
  readonly #room: SealedRoom | undefined
  #trailer: Trailer | string | undefined
  #index: readonly BlockEntry[] | string | undefined

  /**
   * `room`: then the index, and one block at a time, are in it, and valid until it is used for others. Throws the
   * system's error, as all of its reading does.
   */
  constructor(disk: Disk, path: string, room?: SealedRoom) {
    this.#room = room
    this.#disk = disk
    this.#fd = disk.openForReading(path)
    this.size = disk.size(this.#fd)
  }

  /** That of the segment it was made of. */
  header(): FileHeader | string {
    return readHeader(this.#disk, this.#fd, 'segment')
  }

  get trailer(): Trailer | string {
    this.#trailer ??= decodeTrailer(this.read(this.size - TRAILER_BYTES, TRAILER_BYTES), this.size)
    return this.#trailer
  }

  get index(): readonly BlockEntry[] | string {
    const { trailer } = this
    if (typeof trailer === 'string') return trailer
    if (this.#index === undefined) {
      const { indexAt, indexBytes } = trailer
      const bytes = this.#room?.index.take(indexBytes) ?? Buffer.allocUnsafe(indexBytes)
      this.#index = decodeIndex(this.#readInto(bytes, indexAt), trailer, FILE_HEADER_BYTES)
    }
    return this.#index
  }

  /** Fewer than asked for at the end of the file; none before its beginning. */
  read(at: number, length: number): Buffer {
    return at < 0 ? Buffer.alloc(0) : this.#readInto(Buffer.allocUnsafe(length), at)
  }

  #readInto(bytes: Buffer, at: number): Buffer {
    const { length } = bytes
    let read = 0
    while (read < length) {
      const rest = read === 0 ? bytes : bytes.subarray(read)
      const more = this.#disk.read(this.#fd, rest, rest.length, at + read)
      if (more === 0) break
      read += more
    }
    return bytes.subarray(0, read)
  }

  /** That of an entry of the index. */
  block({ at, bytes, first, records }: BlockEntry): OpenBlock | string {
    if (bytes > BLOCK_BYTES_MAX) return 'the block is longer than a block can be'
    const block = this.#blockAt(at, bytes)
    if (typeof block === 'string') return block
    const isIndexed = block.first === first && block.records === records
    return isIndexed ? block : 'the index tells of other records in this block'
  }

  /** All in turn: where the index says, or, when that is damaged, each behind the one before it. */
  *blocks(): Generator<BlockFound> {
    const { index } = this
    if (typeof index === 'string') return yield* this.#blocksInTurn()
    for (const entry of index) yield { at: entry.at, bytes: entry.bytes, block: this.block(entry) }
  }

  close(): void {
    this.#disk.close(this.#fd)
  }

  #blockAt(at: number, bytes: number): OpenBlock | string {
    const packed = this.#room?.packed.take(bytes) ?? Buffer.allocUnsafe(bytes)
    return openBlock(this.#readInto(packed, at), this.#room?.frames)
  }

  *#blocksInTurn(): Generator<BlockFound> {
    const { trailer } = this
    const end = typeof trailer === 'string' ? this.size : trailer.indexAt
    for (let at = FILE_HEADER_BYTES; at < end; ) {
      const head = decodeBlockHead(this.read(at, BLOCK_HEAD_BYTES))
      const bytes = BLOCK_HEAD_BYTES + (head?.compressedBytes ?? 0)
      if (head === undefined || at + bytes > end) {
        yield { at, bytes: end - at, block: 'no block begins here' }
        return
      }
      yield { at, bytes, block: this.#blockAt(at, bytes) }
      at += bytes
    }
  }
}
