/**
 * The index at the end of a sealed segment: of each block where it lies, when the requests it tells of were received
 * and a filter of their ids, so that of millions of records one block is unpacked to find one. And the trailer, the
 * file's last bytes, which say of the whole file what the index says of a block. Layout in SPEC.md, "Sealed segments".
 *
 * All of it follows from the records: whoever reads them can make it again and compare (`IndexBuilder`).
 */
import { crc32c } from '../../kernel/crc32c.ts'
import type { Frame } from '../frame.ts'
import { hasRequestId, ID_BYTES, sequencedIdAt, timeOfId } from '../records/request-id-place.ts'
import { addToFilter, filterBytes } from './id-filter.ts'

export const TRAILER_BYTES = 80
const TRAILER_CRC_AT = 76
const TRAILER_VERSION = 1
const MAGIC = 'mgatesgz'
const ENTRY_BYTES = 48
/** Of a sealed segment: 16 MiB in blocks of at least 190 KiB, and much more than that. */
const BLOCKS_MAX = 65_536
/** Later than every time in an id. */
const NEVER = 0xffff_ffff_ffff

/** Unix ms between which all ids of requests lie; `earliest` is the greater one when there are none. */
export interface TimeRange {
  readonly earliest: number
  readonly latest: number
}

export interface BlockEntry extends TimeRange {
  readonly first: number
  readonly records: number
  /** Where it lies in the file, and how long it is. */
  readonly at: number
  readonly bytes: number
  readonly filter: Buffer
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

/** Told of every record and of every block's end, in order. */
export class IndexBuilder {
  readonly #entries: BlockEntry[] = []
  #ids: Buffer[] = []
  #frameBytes = 0

  see({ type, payload, bytes }: Frame): void {
    this.#frameBytes += bytes
    if (!hasRequestId(type)) return
    const at = sequencedIdAt(payload, 0, payload.length)
    if (at !== -1) this.#ids.push(Buffer.from(payload.subarray(at, at + ID_BYTES)))
  }

  /** The records seen since the last block are those of this one. */
  endBlock(place: { first: number; records: number; at: number; bytes: number }): void {
    const filter = Buffer.alloc(filterBytes(this.#ids.length))
    let [earliest, latest] = [NEVER, 0]
    for (const id of this.#ids) {
      addToFilter(filter, id, 0)
      const time = timeOfId(id, 0)
      earliest = Math.min(earliest, time)
      latest = Math.max(latest, time)
    }
    this.#entries.push({ ...place, earliest, latest, filter })
    this.#ids = []
  }

  /** Index and trailer, the rest of the file; none where there is no block. */
  end(): Buffer {
    const entries = this.#entries
    const last = entries.at(-1)
    if (last === undefined) return Buffer.alloc(0)
    const index = encodeEntries(entries)
    const trailer = encodeTrailer({
      blocks: entries.length,
      first: entries[0]!.first,
      records: entries.reduce((sum, { records }) => sum + records, 0),
      earliest: Math.min(...entries.map(({ earliest }) => earliest)),
      latest: Math.max(...entries.map(({ latest }) => latest)),
      indexAt: last.at + last.bytes,
      indexBytes: index.length,
      indexCrc: crc32c(index),
      frameBytes: this.#frameBytes,
    })
    return Buffer.concat([index, trailer])
  }
}

function encodeEntries(entries: readonly BlockEntry[]): Buffer {
  const table = Buffer.alloc(ENTRY_BYTES * entries.length)
  let filterAt = table.length
  for (const [index, { first, records, at, bytes, earliest, latest, filter }] of entries.entries()) {
    const to = ENTRY_BYTES * index
    table.writeBigUInt64LE(BigInt(first), to)
    table.writeBigUInt64LE(BigInt(at), to + 8)
    table.writeUInt32LE(bytes, to + 16)
    table.writeUInt32LE(records, to + 20)
    table.writeBigUInt64LE(BigInt(earliest), to + 24)
    table.writeBigUInt64LE(BigInt(latest), to + 32)
    table.writeUInt32LE(filterAt, to + 40)
    table.writeUInt32LE(filter.length, to + 44)
    filterAt += filter.length
  }
  return Buffer.concat([table, ...entries.map(({ filter }) => filter)])
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
    const entry = entryAt(bytes, ENTRY_BYTES * index)
    if (entry.first !== sequence || entry.at !== at || entry.filterAt !== filterAt)
      return `the index does not say where block ${index} lies`
    sequence += entry.records
    at += entry.bytes
    filterAt += entry.filter.length
    entries.push(entry)
  }
  const isWhole = sequence === trailer.first + trailer.records && at === trailer.indexAt
  return isWhole && filterAt === bytes.length ? entries : 'the index does not tell of all blocks'
}

function entryAt(bytes: Buffer, at: number): BlockEntry & { readonly filterAt: number } {
  const filterAt = bytes.readUInt32LE(at + 40)
  return {
    first: Number(bytes.readBigUInt64LE(at)),
    at: Number(bytes.readBigUInt64LE(at + 8)),
    bytes: bytes.readUInt32LE(at + 16),
    records: bytes.readUInt32LE(at + 20),
    earliest: Number(bytes.readBigUInt64LE(at + 24)),
    latest: Number(bytes.readBigUInt64LE(at + 32)),
    filterAt,
    filter: bytes.subarray(filterAt, filterAt + bytes.readUInt32LE(at + 44)),
  }
}
