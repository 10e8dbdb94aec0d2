/**
 * The index at the end of a sealed segment: of each block where it lies, when the requests it tells of were received
 * and a filter of their ids, so that of millions of records one block is unpacked to find one. And the trailer, the
 * file's last bytes, which say of the whole file what the index says of a block. Layout in SPEC.md, "Sealed segments".
 *
 * All of it follows from the records: whoever reads them can make it again and compare (`IndexBuilder`).
 */
import { crc32c } from '../../kernel/crc32c.ts'
import type { Frame } from '../frame.ts'
import { hasRequestId, sequencedIdAt, timeOfId } from '../records/request-id-place.ts'
import { addToFilter, filterBytes, firstOf, stepOf } from './id-filter.ts'

export const TRAILER_BYTES = 80
const TRAILER_CRC_AT = 76
const TRAILER_VERSION = 1
const MAGIC = 'mgatesgz'
const ENTRY_BYTES = 48
/** Of a sealed segment: 16 MiB in blocks of at least 190 KiB, and much more than that. */
const BLOCKS_MAX = 65_536
const GROWING_BYTES_MIN = 16 * 1024
/** Of a block; room is made for more. */
const IDS_EXPECTED = 1024
/** Later than every time in an id. */
const NEVER = 0xffff_ffff_ffff

/** Unix ms between which all ids of requests lie; `earliest` is the greater one when there are none. */
export interface TimeRange {
  readonly earliest: number
  readonly latest: number
}

/** One entry of an index, read where it lies when it is asked: hundreds are held at a time, and few asked twice. */
export class BlockEntry implements TimeRange {
  readonly #index: Buffer
  readonly #from: number

  constructor(index: Buffer, from: number) {
    this.#index = index
    this.#from = from
  }

  get first(): number {
    return longAt(this.#index, this.#from)
  }

  /** Where the block lies in the file, and how long it is. */
  get at(): number {
    return longAt(this.#index, this.#from + 8)
  }

  get bytes(): number {
    return this.#index.readUInt32LE(this.#from + 16)
  }

  get records(): number {
    return this.#index.readUInt32LE(this.#from + 20)
  }

  get earliest(): number {
    return longAt(this.#index, this.#from + 24)
  }

  get latest(): number {
    return longAt(this.#index, this.#from + 32)
  }

  /** Where in the index the filter lies, and how long it is. */
  get filterAt(): number {
    return this.#index.readUInt32LE(this.#from + 40)
  }

  get filterBytes(): number {
    return this.#index.readUInt32LE(this.#from + 44)
  }

  get filter(): Buffer {
    return this.#index.subarray(this.filterAt, this.filterAt + this.filterBytes)
  }
}

export interface Trailer extends TimeRange {
  readonly blocks: number
  readonly first: number
  readonly records: number
  readonly indexAt: number
  readonly indexBytes: number
  readonly indexCrc: number
  /** Of all frames, as in the segment it was made of. */
  readonly frameBytes: number
}

/** Told of every record and of every block's end, in order. Used for many files it takes no memory for each. */
export class IndexBuilder {
  /** Of the block at hand: what its filter is made of, a pair for each id, and the times in them. */
  #pairs = new Uint32Array(2 * IDS_EXPECTED)
  #ids = 0
  #blockEarliest = NEVER
  #blockLatest = 0
  /** Of the bytes that the frames at hand lie in. */
  #view: DataView = new DataView(new ArrayBuffer(0))
  #viewed: Buffer = Buffer.alloc(0)
  /** Entries and filters of the blocks before; of each filter, where it begins among the filters. */
  readonly #table = new GrowingBytes()
  readonly #filters = new GrowingBytes()
  #blocks = 0
  #first = 0
  #records = 0
  #frameBytes = 0
  #earliest = NEVER
  #latest = 0
  /** Where the last block ends. */
  #blocksEnd = 0

  /** Of another file from here on. */
  begin(): void {
    for (const bytes of [this.#table, this.#filters]) bytes.used = 0
    this.#ids = 0
    this.#blockEarliest = NEVER
    this.#blockLatest = 0
    this.#blocks = 0
    this.#records = 0
    this.#frameBytes = 0
    this.#earliest = NEVER
    this.#latest = 0
  }

  see({ type, source, payloadFrom, to, bytes }: Frame): void {
    this.#frameBytes += bytes
    if (!hasRequestId(type)) return
    const at = sequencedIdAt(source, payloadFrom, to)
    if (at === -1) return
    if (source !== this.#viewed) {
      this.#view = new DataView(source.buffer, source.byteOffset, source.length)
      this.#viewed = source
    }
    if (2 * this.#ids === this.#pairs.length) this.#growPairs()
    this.#pairs[2 * this.#ids] = firstOf(this.#view, at)
    this.#pairs[2 * this.#ids + 1] = stepOf(this.#view, at)
    this.#ids += 1
    const time = timeOfId(source, at)
    if (time < this.#blockEarliest) this.#blockEarliest = time
    if (time > this.#blockLatest) this.#blockLatest = time
  }

  /** The records seen since the last block are those of this one. */
  endBlock({
    first,
    records,
    at,
    bytes,
  }: {
    first: number
    records: number
    at: number
    bytes: number
  }): void {
    if (this.#blocks === 0) this.#first = first
    this.#blocks += 1
    this.#records += records
    this.#blocksEnd = at + bytes
    const filterAt = this.#filters.used
    const { earliest, latest } = this.#addFilter()
    const to = this.#table.add(ENTRY_BYTES)
    const table = this.#table.bytes
    table.writeBigUInt64LE(BigInt(first), to)
    table.writeBigUInt64LE(BigInt(at), to + 8)
    table.writeUInt32LE(bytes, to + 16)
    table.writeUInt32LE(records, to + 20)
    table.writeBigUInt64LE(BigInt(earliest), to + 24)
    table.writeBigUInt64LE(BigInt(latest), to + 32)
    table.writeUInt32LE(filterAt, to + 40)
    table.writeUInt32LE(this.#filters.used - filterAt, to + 44)
    this.#earliest = Math.min(this.#earliest, earliest)
    this.#latest = Math.max(this.#latest, latest)
  }

  /** Index and trailer, the rest of the file; none where there is no block. */
  end(): Buffer {
    if (this.#blocks === 0) return Buffer.alloc(0)
    const tableBytes = this.#table.used
    const indexBytes = tableBytes + this.#filters.used
    const end = Buffer.allocUnsafe(indexBytes + TRAILER_BYTES)
    this.#table.bytes.copy(end, 0, 0, tableBytes)
    this.#filters.bytes.copy(end, tableBytes, 0, this.#filters.used)
    for (let at = 40; at < tableBytes; at += ENTRY_BYTES)
      end.writeUInt32LE(end.readUInt32LE(at) + tableBytes, at)
    const trailer = encodeTrailer({
      blocks: this.#blocks,
      first: this.#first,
      records: this.#records,
      earliest: this.#earliest,
      latest: this.#latest,
      indexAt: this.#blocksEnd,
      indexBytes,
      indexCrc: crc32c(end, 0, indexBytes),
      frameBytes: this.#frameBytes,
    })
    trailer.copy(end, indexBytes)
    return end
  }

  /** Of the ids of the block at hand, which are gone afterwards. */
  #addFilter(): TimeRange {
    const bytes = filterBytes(this.#ids)
    const from = this.#filters.add(bytes)
    const filter = this.#filters.bytes.subarray(from, from + bytes).fill(0)
    for (let at = 0; at < 2 * this.#ids; at += 2) addToFilter(filter, this.#pairs[at]!, this.#pairs[at + 1]!)
    const range = { earliest: this.#blockEarliest, latest: this.#blockLatest }
    this.#ids = 0
    this.#blockEarliest = NEVER
    this.#blockLatest = 0
    return range
  }

  #growPairs(): void {
    const larger = new Uint32Array(2 * this.#pairs.length)
    larger.set(this.#pairs)
    this.#pairs = larger
  }
}

/** Bytes one behind the other, in memory that doubles when it has to and is never given back. */
class GrowingBytes {
  bytes = Buffer.allocUnsafeSlow(GROWING_BYTES_MIN)
  used = 0

  /** Room for `more`; returns where it begins. */
  add(more: number): number {
    const at = this.used
    this.used += more
    if (this.used > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.used, 2 * this.bytes.length))
      this.bytes.copy(larger, 0, 0, at)
      this.bytes = larger
    }
    return at
  }
}

function encodeTrailer(trailer: Trailer): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES)
  bytes.write(MAGIC, 0, 'latin1')
  bytes.writeUInt16LE(TRAILER_VERSION, 8)
  bytes.writeUInt16LE(TRAILER_BYTES, 10)
  bytes.writeUInt32LE(trailer.blocks, 12)
  bytes.writeBigUInt64LE(BigInt(trailer.first), 16)
  bytes.writeBigUInt64LE(BigInt(trailer.records), 24)
  bytes.writeBigUInt64LE(BigInt(trailer.earliest), 32)
  bytes.writeBigUInt64LE(BigInt(trailer.latest), 40)
  bytes.writeBigUInt64LE(BigInt(trailer.indexAt), 48)
  bytes.writeUInt32LE(trailer.indexBytes, 56)
  bytes.writeUInt32LE(trailer.indexCrc, 60)
  bytes.writeBigUInt64LE(BigInt(trailer.frameBytes), 64)
  bytes.writeUInt32LE(crc32c(bytes, 0, TRAILER_CRC_AT), TRAILER_CRC_AT)
  return bytes
}

/** `fileBytes`: of the whole file, whose last bytes these are. One line saying why when they are no trailer of it. */
export function decodeTrailer(bytes: Buffer, fileBytes: number): Trailer | string {
  if (bytes.length !== TRAILER_BYTES) return 'the file ends before its trailer'
  if (bytes.toString('latin1', 0, 8) !== MAGIC) return 'the file does not end like a sealed segment'
  const version = bytes.readUInt16LE(8)
  if (version !== TRAILER_VERSION)
    return `sealed in version ${version}; this program reads ${TRAILER_VERSION}`
  if (crc32c(bytes, 0, TRAILER_CRC_AT) !== bytes.readUInt32LE(TRAILER_CRC_AT))
    return 'the trailer’s checksum is wrong'
  const trailer = {
    blocks: bytes.readUInt32LE(12),
    first: Number(bytes.readBigUInt64LE(16)),
    records: Number(bytes.readBigUInt64LE(24)),
    earliest: Number(bytes.readBigUInt64LE(32)),
    latest: Number(bytes.readBigUInt64LE(40)),
    indexAt: Number(bytes.readBigUInt64LE(48)),
    indexBytes: bytes.readUInt32LE(56),
    indexCrc: bytes.readUInt32LE(60),
    frameBytes: Number(bytes.readBigUInt64LE(64)),
  }
  const { blocks, indexAt, indexBytes } = trailer
  if (blocks === 0 || blocks > BLOCKS_MAX || blocks * ENTRY_BYTES > indexBytes)
    return `the trailer tells of ${blocks} blocks`
  if (indexAt + indexBytes + TRAILER_BYTES !== fileBytes)
    return 'the trailer is that of a file of another length'
  return trailer
}

/** `bytes`: the index alone; `blocksAt`: where the first block lies. One line saying why when they do not fit the trailer. */
export function decodeIndex(bytes: Buffer, trailer: Trailer, blocksAt: number): BlockEntry[] | string {
  if (bytes.length !== trailer.indexBytes || crc32c(bytes) !== trailer.indexCrc)
    return 'the index’s checksum is wrong'
  const entries: BlockEntry[] = []
  let [sequence, at] = [trailer.first, blocksAt]
  let filterAt = trailer.blocks * ENTRY_BYTES
  for (let index = 0; index < trailer.blocks; index += 1) {
    const entry = new BlockEntry(bytes, ENTRY_BYTES * index)
    if (entry.first !== sequence || entry.at !== at || entry.filterAt !== filterAt)
      return `the index does not say where block ${index} lies`
    sequence += entry.records
    at += entry.bytes
    filterAt += entry.filterBytes
    entries.push(entry)
  }
  const isWhole = sequence === trailer.first + trailer.records && at === trailer.indexAt
  return isWhole && filterAt === bytes.length ? entries : 'the index does not tell of all blocks'
}

/** Exact up to 2^53. */
function longAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
}
