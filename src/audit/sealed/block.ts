/**
 * A block of a sealed segment: some 700 records in columns, compressed. What a frame of a segment holds besides its
 * type and its payload follows from the block: sequences have no holes, flags are 0, and checksums are computed.
 */
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { crc32c } from '../../kernel/crc32c.ts'
import { FRAME_HEAD_BYTES, Frame, sealFrame, writeFrameHead } from '../frame.ts'
import { ColumnJoiner, OVERRUN_BYTES } from './column-joiner.ts'
import { ColumnSplitter } from './column-splitter.ts'

/**
 * `crc32c u32 | compressed u32 | columns u32 | frames u32 | records u32 | first u64`, little-endian: a checksum of all
 * that follows it; bytes of what follows the head, of the columns it unpacks to, and of the frames they make.
 */
export const BLOCK_HEAD_BYTES = 28
const CHECKED_FROM = 4
/** Of frames in one block. Larger ones compress better and take longer to look into: 512 KiB save 1.5 bytes a decision. */
export const BLOCK_FRAME_BYTES_MAX = 256 * 1024
/** Tables of parts are at most as long as what stands in them; see GROUP_RECORDS_MIN. */
const COLUMN_BYTES_MAX = 4 * BLOCK_FRAME_BYTES_MAX
export const BLOCK_BYTES_MAX = BLOCK_HEAD_BYTES + COLUMN_BYTES_MAX
/** Quality 4 takes two thirds of the time and 1.5 bytes more a decision; 6 saves nothing. */
const QUALITY = 5
/** 2^19: no match is further back than a block is long. */
const WINDOW_BITS = 19

export interface BlockHead {
  readonly compressedBytes: number
  readonly columnBytes: number
  readonly frameBytes: number
  readonly records: number
  /** Sequence of its first record. */
  readonly first: number
}

/** Gathers frames to one block after the other. */
export class BlockPacker {
  readonly #columns = new ColumnSplitter(BLOCK_FRAME_BYTES_MAX)
  #frameBytes = 0

  get records(): number {
    return this.#columns.records
  }

  get frameBytes(): number {
    return this.#frameBytes
  }

  hasRoom(frame: Pick<Frame, 'bytes'>): boolean {
    return this.#frameBytes + frame.bytes <= BLOCK_FRAME_BYTES_MAX
  }

  /** Needs `hasRoom`; one frame always has when there is none yet. */
  add({ type, payload, bytes }: Pick<Frame, 'type' | 'payload' | 'bytes'>): void {
    this.#columns.add(type, payload)
    this.#frameBytes += bytes
  }

  /** The block of what was added; `first`: sequence of the first. */
  take(first: number): Buffer {
    const { records, frameBytes } = this
    const columns = this.#columns.take()
    this.#frameBytes = 0
    const compressed = brotliCompressSync(columns, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: columns.length,
      },
    })
    const block = Buffer.concat([Buffer.alloc(BLOCK_HEAD_BYTES), compressed])
    block.writeUInt32LE(compressed.length, 4)
    block.writeUInt32LE(columns.length, 8)
    block.writeUInt32LE(frameBytes, 12)
    block.writeUInt32LE(records, 16)
    block.writeBigUInt64LE(BigInt(first), 20)
    block.writeUInt32LE(crc32c(block, CHECKED_FROM), 0)
    return block
  }
}

/** Undefined when these bytes are none. The checksum is not looked at: it needs the whole block. */
export function decodeBlockHead(bytes: Buffer): BlockHead | undefined {
  if (bytes.length < BLOCK_HEAD_BYTES) return undefined
  const head = {
    compressedBytes: bytes.readUInt32LE(4),
    columnBytes: bytes.readUInt32LE(8),
    frameBytes: bytes.readUInt32LE(12),
    records: bytes.readUInt32LE(16),
    first: Number(bytes.readBigUInt64LE(20)),
  }
  const isPossible =
    head.compressedBytes <= COLUMN_BYTES_MAX &&
    head.columnBytes <= COLUMN_BYTES_MAX &&
    head.frameBytes <= BLOCK_FRAME_BYTES_MAX &&
    head.records > 0 &&
    head.records * FRAME_HEAD_BYTES <= head.frameBytes &&
    Number.isSafeInteger(head.first + head.records)
  return isPossible ? head : undefined
}

/** The frames of one block as bytes, their checksums left out. */
export interface OpenBlock extends BlockHead {
  readonly bytes: Buffer
}

export const ROOM_BYTES = BLOCK_FRAME_BYTES_MAX + OVERRUN_BYTES
const NO_ROOM = Buffer.alloc(0)

/**
 * `bytes`: the whole block; `room`: where its frames may be put, if it is large enough (ROOM_BYTES always are).
 * One line saying why, when it is damaged.
 */
export function openBlock(bytes: Buffer, room: Buffer = NO_ROOM): OpenBlock | string {
  const head = decodeBlockHead(bytes)
  if (head === undefined) return 'no block begins here'
  if (bytes.length !== BLOCK_HEAD_BYTES + head.compressedBytes) return 'the block is cut short'
  if (crc32c(bytes, CHECKED_FROM) !== bytes.readUInt32LE(0)) return 'the block’s checksum is wrong'
  try {
    const compressed = bytes.subarray(BLOCK_HEAD_BYTES)
    // One byte more than there are: the decoder then sees in one round that it is at the end.
    const chunkSize = Math.max(64, head.columnBytes + 1)
    const columns = brotliDecompressSync(compressed, { maxOutputLength: head.columnBytes, chunkSize })
    if (columns.length !== head.columnBytes) return 'the block unpacks to fewer bytes than it says'
    return { ...head, bytes: joinFrames(head, columns, room) }
  } catch (error) {
    return `the block does not unpack: ${(error as Error).message}`
  }
}

function joinFrames({ records, frameBytes, first }: BlockHead, columns: Buffer, room: Buffer): Buffer {
  const joiner = new ColumnJoiner(columns, records, frameBytes - records * FRAME_HEAD_BYTES)
  const needed = frameBytes + OVERRUN_BYTES
  const bytes = room.length < needed ? Buffer.allocUnsafeSlow(needed) : room
  const places = new Uint32Array(records)
  for (let index = 0, at = 0; index < records; index += 1) {
    places[index] = at + FRAME_HEAD_BYTES
    at += FRAME_HEAD_BYTES + joiner.lengths[index]!
  }
  joiner.fill(bytes, places)
  for (let index = 0, at = 0; index < records; index += 1) {
    const head = { sequence: first + index, type: joiner.typeOf(index), flags: 0 }
    at = writeFrameHead(bytes, at, head, joiner.lengths[index]!)
  }
  return bytes.subarray(0, frameBytes)
}

/**
 * The frames of a block, one after the other. `at`: where in the file they are said to lie, which is where the block
 * does. `isWhole`: with their checksums computed, so that the bytes are those of the segment the block was made of; else
 * these are 0, as the block's own was right.
 */
export class BlockFrames {
  readonly #bytes: Buffer
  readonly #place: number
  readonly #isWhole: boolean
  #left: number
  #from = 0

  constructor({ bytes, records }: OpenBlock, { at, isWhole = false }: { at: number; isWhole?: boolean }) {
    this.#bytes = bytes
    this.#place = at
    this.#isWhole = isWhole
    this.#left = records
  }

  next(): Frame | undefined {
    if (this.#left === 0) return undefined
    this.#left -= 1
    const frame = new Frame(this.#bytes, this.#from, this.#place)
    if (this.#isWhole) sealFrame(this.#bytes, this.#from, frame, frame.bytes - FRAME_HEAD_BYTES)
    this.#from += frame.bytes
    return frame
  }
}
