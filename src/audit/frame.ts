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

export interface Frame extends FrameHead {
  /** Valid until the buffer it lies in is filled again. */
  readonly payload: Buffer
  /** From the sequence to the payload's end: what the checksum covers, and the leaf of the tree. As long valid. */
  readonly entry: Buffer
  /** Where in the file (or buffer) the frame begins, and its whole length. */
  readonly at: number
  readonly bytes: number
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
 * it was torn), 'bad' when what stands there is no frame.
 */
export function frameAt(bytes: Buffer, at: number, end: number): Frame | 'short' | 'bad' {
  if (at + FRAME_HEAD_BYTES > end) return 'short'
  const length = bytes.readUInt32LE(at)
  if (length > PAYLOAD_BYTES_MAX) return 'bad'
  const last = at + FRAME_HEAD_BYTES + length
  if (last > end) return 'short'
  if (bytes.readUInt32LE(at + 12) >= HIGH_WORDS || bytes[at + 16] === 0) return 'bad'
  if (crc32c(bytes, at + ENTRY_FROM, last) !== bytes.readUInt32LE(at + 4)) return 'bad'
  return knownFrame(bytes, at)
}

/** The frame at `at`, known to stand there whole. */
export function knownFrame(bytes: Buffer, at: number): Frame {
  const last = at + FRAME_HEAD_BYTES + bytes.readUInt32LE(at)
  return {
    sequence: bytes.readUInt32LE(at + 12) * TWO_32 + bytes.readUInt32LE(at + 8),
    type: bytes[at + 16]!,
    flags: bytes[at + 17]!,
    payload: bytes.subarray(at + FRAME_HEAD_BYTES, last),
    entry: bytes.subarray(at + ENTRY_FROM, last),
    at,
    bytes: last - at,
  }
}
