/**
 * One record on disk: `len u32 | crc32c u32 | seq u64 | type u8 | flags u8 | payload`, little-endian.
 * `len` counts the payload; the checksum covers seq to the end of the payload. Lane journals and segments
 * share the form (SPEC.md). Both directions are exact: what is not a whole, unbroken frame is never
 * returned as one.
 */
import { assert } from '../kernel/assert.ts'
import { crc32c } from '../kernel/crc32c.ts'

export const FRAME_HEAD_BYTES = 18
export const PAYLOAD_BYTES_MAX = 65_000
export const FRAME_BYTES_MAX = FRAME_HEAD_BYTES + PAYLOAD_BYTES_MAX
/** What the checksum and the leaf of the tree cover begins here: at the sequence. */
export const ENTRY_FROM = 8
const TWO_32 = 0x1_0000_0000
/** Of a sequence, which is at most 2^53 − 1. */
const HIGH_WORDS = 0x20_0000

export interface FrameHead {
  readonly sequence: number
  readonly type: number
  readonly flags: number
}

/**
 * A frame where it lies. Its bytes may be looked at in place, from `source[payloadFrom]` to `source[to]`; a Buffer of
 * them costs more than their checksum, so it is made only when asked for. All are valid until the source is filled again.
 */
export class Frame implements FrameHead {
  readonly sequence: number
  readonly type: number
  readonly flags: number
  readonly source: Buffer
  /** Where in the source it begins. */
  readonly from: number
  /** Where in the file (or buffer) the frame begins, and its whole length. */
  readonly at: number
  readonly bytes: number

  /** One that is known to stand whole at `source[from]`. */
  constructor(source: Buffer, from: number, at: number) {
    this.sequence = wordAt(source, from + 12) * TWO_32 + wordAt(source, from + 8)
    this.type = source[from + 16]!
    this.flags = source[from + 17]!
    this.source = source
    this.at = at
    this.bytes = FRAME_HEAD_BYTES + wordAt(source, from)
    this.from = from
  }

  get payloadFrom(): number {
    return this.from + FRAME_HEAD_BYTES
  }

  /** Where frame and payload end. */
  get to(): number {
    return this.from + this.bytes
  }

  get payload(): Buffer {
    return this.source.subarray(this.payloadFrom, this.to)
  }

  /** From the sequence to the payload's end: what the checksum covers, and the leaf of the tree. */
  get entry(): Buffer {
    return this.source.subarray(this.from + ENTRY_FROM, this.to)
  }

  /** The entry and the byte before it, which is the checksum's last. */
  get leafRoom(): Uint8Array {
    return leafRoomAt(this.source, this.from, this.to)
  }
}

/** Of the frame from `at` to `end`. No `subarray`, which takes 100 ns longer. */
export function leafRoomAt({ buffer, byteOffset }: Buffer, at: number, end: number): Uint8Array {
  const from = at + ENTRY_FROM - 1
  return new Uint8Array(buffer, byteOffset + from, end - from)
}

/** Writes the head before a payload that already lies at `at + FRAME_HEAD_BYTES`; returns the frame's end. */
export function sealFrame(target: Buffer, at: number, head: FrameHead, payloadBytes: number): number {
  const end = writeFrameHead(target, at, head, payloadBytes)
  target.writeUInt32LE(crc32c(target, at + ENTRY_FROM, end), at + 4)
  return end
}

/** The same with a checksum of 0, for frames that are checked in another way. */
export function writeFrameHead(target: Buffer, at: number, head: FrameHead, payloadBytes: number): number {
  assert(payloadBytes <= PAYLOAD_BYTES_MAX, 'a payload fits its frame')
  target.writeUInt32LE(payloadBytes, at)
  target.writeUInt32LE(0, at + 4)
  target.writeUInt32LE(head.sequence % TWO_32, at + 8)
  target.writeUInt32LE(Math.floor(head.sequence / TWO_32), at + 12)
  target[at + 16] = head.type
  target[at + 17] = head.flags
  return at + FRAME_HEAD_BYTES + payloadBytes
}

/**
 * The frame that begins at `at`; 'short' when the bytes up to `end` stop before it does (more may come, or
 * it was torn), 'bad' when what stands there is no frame. `offset`: where in a file the bytes begin.
 */
export function frameAt(bytes: Buffer, at: number, end: number, offset = 0): Frame | 'short' | 'bad' {
  if (at + FRAME_HEAD_BYTES > end) return 'short'
  const length = wordAt(bytes, at)
  if (length > PAYLOAD_BYTES_MAX) return 'bad'
  const last = at + FRAME_HEAD_BYTES + length
  if (last > end) return 'short'
  if (wordAt(bytes, at + 12) >= HIGH_WORDS || bytes[at + 16] === 0) return 'bad'
  if (crc32c(bytes, at + ENTRY_FROM, last) !== wordAt(bytes, at + 4)) return 'bad'
  return new Frame(bytes, at, offset + at)
}

/** As readUInt32LE, at places known to be within the bytes: a third of its time. */
export function wordAt(bytes: Buffer, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
