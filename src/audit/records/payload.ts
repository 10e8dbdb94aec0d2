/**
 * What stands around a record. A payload in a segment is the array [origin, digests, record]: the writer thread puts the
 * first two before the bytes the lane packed, which it never unpacks; and they are read without unpacking anything.
 */
import { DIGEST_BYTES } from '../digests.ts'
import { ANSWER_DIGEST } from '../ring.ts'

/** Where a record was first written: unique, and the proof that none is there twice. */
export interface Origin {
  readonly lane: number
  readonly start: number
  /** The lane's own count, from 1. */
  readonly sequence: number
}

/** Why there is no digest. Numbers as in a lane frame's flags. */
export const DIGEST_FATES = ['absent', 'ring-full', 'too-large', 'crash', 'streamed'] as const
export const ABSENT = 0
export const RING_FULL = 1
export const TOO_LARGE = 2
/** On the lane's side the same number says "handed over": only a crash can lose it after that. */
export const HANDED_OVER = 3
/** Only an answer can be: it was passed on as it came and never held whole. */
export const STREAMED = 4

/** In a lane frame's flags, beside what they say of digests: the caller waits until the record is on the disk. */
export const DURABLE = 0x80

/** The lane's side of a record's three digests: two bits each, three for the answer's. */
export function digestFate(flags: number, kind: number): number {
  return (flags >>> (2 * kind)) & (kind === ANSWER_DIGEST ? 7 : 3)
}

/** Lanes that are no data-plane threads. */
export const CAPTURE_LANE = 0xfffd
export const CONTROL_LANE = 0xfffe
export const WRITER_LANE = 0xffff

const ORIGIN_BYTES = 16
const ENVELOPE_HEAD = Buffer.from([0x93, 0xc4, ORIGIN_BYTES])
const DIGEST_LIST = 0x93
export const ORIGIN_AT = ENVELOPE_HEAD.length
/** Array head, origin, list head, and three digests of 2 + 16 bytes. */
export const ENVELOPE_BYTES_MAX = ORIGIN_AT + ORIGIN_BYTES + 1 + 3 * (2 + DIGEST_BYTES)

/** Writes the array's head and the origin; returns where the digests begin. */
export function writeOrigin(target: Buffer, at: number, origin: Origin): number {
  target.set(ENVELOPE_HEAD, at)
  const from = at + ORIGIN_AT
  target.writeUInt16LE(origin.lane, from)
  target.writeUIntLE(origin.start, from + 2, 6)
  target.writeUIntLE(origin.sequence % 0x1_0000_0000_0000, from + 8, 6)
  target.writeUInt16LE(0, from + 14)
  target[from + ORIGIN_BYTES] = DIGEST_LIST
  return from + ORIGIN_BYTES + 1
}

/** Undefined when the payload does not begin like an envelope. */
export function readOrigin(payload: Buffer): Origin | undefined {
  if (!isEnvelope(payload, 0, payload.length)) return undefined
  return { lane: laneOf(payload, 0), start: startOf(payload, 0), sequence: laneSequenceOf(payload, 0) }
}

/** Whether the payload from `at` to `end` begins with an origin, of which the three below may then be asked. */
export function isEnvelope(bytes: Buffer, at: number, end: number): boolean {
  if (at + ORIGIN_AT + ORIGIN_BYTES > end) return false
  for (let index = 0; index < ORIGIN_AT; index += 1)
    if (bytes[at + index] !== ENVELOPE_HEAD[index]) return false
  return true
}

export function laneOf(bytes: Buffer, at: number): number {
  return bytes.readUInt16LE(at + ORIGIN_AT)
}

export function startOf(bytes: Buffer, at: number): number {
  return bytes.readUIntLE(at + ORIGIN_AT + 2, 6)
}

export function laneSequenceOf(bytes: Buffer, at: number): number {
  return bytes.readUIntLE(at + ORIGIN_AT + 8, 6)
}

/** Three times absent, behind the origin. Returns where they end. */
export function noDigests(target: Buffer, at: number): number {
  target.fill(ABSENT, at, at + 3)
  return at + 3
}

/** As `noDigests`, of what died with its process before it was digested. */
export function lostDigests(target: Buffer, at: number): number {
  target.fill(DIGEST_FATES.indexOf('crash'), at, at + 3)
  return at + 3
}
