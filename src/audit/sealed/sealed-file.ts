/**
 * A sealed segment, read in pieces: trailer, index, one block. Nothing of it is believed that its checksums do not
 * bear out; what is damaged is told, and what can be read without it is read. Never more than one block in memory.
 */
import type { Disk } from '../disk.ts'
import { FILE_HEADER_BYTES, type FileHeader, readHeader } from '../file-header.ts'
import { BLOCK_BYTES_MAX, BLOCK_HEAD_BYTES, decodeBlockHead, type OpenBlock, openBlock } from './block.ts'
import { type BlockEntry, decodeIndex, decodeTrailer, TRAILER_BYTES, type Trailer } from './block-index.ts'

/** A block, or one line saying what is wrong with these bytes. */
export interface BlockFound {
  readonly at: number
  readonly bytes: number
  readonly block: OpenBlock | string
}

export class SealedFile {
  readonly size: number
  readonly #disk: Disk
  readonly #fd: number
  #trailer: Trailer | string | undefined
  #index: readonly BlockEntry[] | string | undefined

  /** Throws the system's error, as all of its reading does. */
  constructor(disk: Disk, path: string) {
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
    this.#index ??= decodeIndex(this.read(trailer.indexAt, trailer.indexBytes), trailer, FILE_HEADER_BYTES)
    return this.#index
  }

  /** Fewer than asked for at the end of the file; none before its beginning. */
  read(at: number, length: number): Buffer {
    if (at < 0) return Buffer.alloc(0)
    const bytes = Buffer.allocUnsafe(length)
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
  block({ at, bytes, first, records }: Omit<BlockEntry, 'filter'>): OpenBlock | string {
    if (bytes > BLOCK_BYTES_MAX) return 'the block is longer than a block can be'
    const block = openBlock(this.read(at, bytes))
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
      yield { at, bytes, block: openBlock(this.read(at, bytes)) }
      at += bytes
    }
  }
}
