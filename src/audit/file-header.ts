/**
 * The first 128 bytes of every segment and journal: which file this is, whose run wrote it, where it begins. A segment
 * also says which log it belongs to and what the tree of all records before it was, so that none can be put in the
 * place of another. A file whose name and header disagree was renamed or swapped, and is not believed.
 *
 * `headerBytes` stands in the header so that a later version can make it longer.
 */
import { crc32c } from '../kernel/crc32c.ts'
import type { Disk } from './disk.ts'
import { TREE_HASH_BYTES } from './tree/hash.ts'

export const FILE_HEADER_BYTES = 128
export const FORMAT_VERSION = 2
/** Magic and version, which every format begins with. */
const HEADER_START_BYTES = 10
const CRC_AT = FILE_HEADER_BYTES - 4
const NO_HASH = Buffer.alloc(TREE_HASH_BYTES)
const MAGIC = { segment: 'mgateseg', journal: 'mgatejnl' } as const

export interface FileHeader {
  readonly kind: keyof typeof MAGIC
  /** 0 in segments. */
  readonly lane: number
  /** Names the run of the gateway that wrote the file; each run's is greater than the one before. */
  readonly start: number
  /** Number of a journal file within its lane and run; 0 in segments. */
  readonly number: number
  /** Sequence of the first frame: global in segments, the lane's own in journals. */
  readonly first: number
  /** Unix ms. */
  readonly createdAt: number
  /** First 8 bytes of SHA-256 of the digest key, as hex; zeros in journals. */
  readonly keyId: string
  /** SHA-256 of the log's origin, and the root of the tree of the `first` records before; zeros in journals. */
  readonly originHash: Buffer
  readonly rootBefore: Buffer
}

/** Of journals, which are no part of the tree. */
export const NO_TREE = { originHash: NO_HASH, rootBefore: NO_HASH } as const

export function encodeFileHeader(header: FileHeader): Buffer {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES)
  bytes.write(MAGIC[header.kind], 0, 'latin1')
  bytes.writeUInt16LE(FORMAT_VERSION, 8)
  bytes.writeUInt16LE(FILE_HEADER_BYTES, 10)
  bytes.writeUInt32LE(header.lane, 12)
  bytes.writeBigUInt64LE(BigInt(header.start), 16)
  bytes.writeBigUInt64LE(BigInt(header.number), 24)
  bytes.writeBigUInt64LE(BigInt(header.first), 32)
  bytes.writeBigUInt64LE(BigInt(Math.floor(header.createdAt)), 40)
  bytes.write(header.keyId.padEnd(16, '0').slice(0, 16), 48, 'hex')
  header.originHash.copy(bytes, 60)
  header.rootBefore.copy(bytes, 60 + TREE_HASH_BYTES)
  bytes.writeUInt32LE(crc32c(bytes, 0, CRC_AT), CRC_AT)
  return bytes
}

/** The header, or one line saying why these bytes are none. */
export function decodeFileHeader(bytes: Buffer, kind: keyof typeof MAGIC): FileHeader | string {
  if (bytes.length < HEADER_START_BYTES) return 'the file ends inside its header'
  if (bytes.toString('latin1', 0, 8) !== MAGIC[kind]) return `the file does not begin like a ${kind}`
  const version = bytes.readUInt16LE(8)
  if (version !== FORMAT_VERSION) return `format version ${version}; this program reads ${FORMAT_VERSION}`
  if (bytes.length < FILE_HEADER_BYTES) return 'the file ends inside its header'
  if (crc32c(bytes, 0, CRC_AT) !== bytes.readUInt32LE(CRC_AT)) return 'the header’s checksum is wrong'
  return {
    kind,
    lane: bytes.readUInt32LE(12),
    start: Number(bytes.readBigUInt64LE(16)),
    number: Number(bytes.readBigUInt64LE(24)),
    first: Number(bytes.readBigUInt64LE(32)),
    createdAt: Number(bytes.readBigUInt64LE(40)),
    keyId: bytes.toString('hex', 48, 56),
    originHash: Buffer.from(bytes.subarray(60, 60 + TREE_HASH_BYTES)),
    rootBefore: Buffer.from(bytes.subarray(60 + TREE_HASH_BYTES, CRC_AT)),
  }
}

/** Of an open file; one line saying why when it has none. */
export function readHeader(disk: Disk, fd: number, kind: FileHeader['kind']): FileHeader | string {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES)
  const read = disk.read(fd, bytes, bytes.length, 0)
  return decodeFileHeader(bytes.subarray(0, read), kind)
}
