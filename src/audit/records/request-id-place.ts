/**
 * Where the request's id lies in a record, found without unpacking it: for searching millions of records for one id,
 * and for the index of sealed segments. Payloads as in SPEC.md, "Payload": in segments the record stands behind its
 * origin and its digests, in journals alone.
 */
import { DIGEST_BYTES } from '../digests.ts'
import { ORIGIN_AT } from './payload.ts'
import { RECORD_TYPES } from './record-type.ts'

export const ID_BYTES = 16
const ORIGIN_BYTES = 16
const BIN_8 = 0xc4
const ARRAY_16 = 0xdc
const ARRAY_OF_3 = 0x93
const BIN_HEAD_BYTES = 2
const POSITIVE_MAX = 0x7f

const { decision, shadow, stream, capture } = RECORD_TYPES

/** Records of this type tell of one request, and begin with its id. */
export function hasRequestId(type: number): boolean {
  return type === decision || type === shadow || type === stream || type === capture
}

/** In a payload of a segment, which begins at `at` and ends at `end`; −1 when it is made differently. */
export function sequencedIdAt(bytes: Buffer, at: number, end: number): number {
  let next = at + ORIGIN_AT + ORIGIN_BYTES
  if (next >= end || bytes[at] !== ARRAY_OF_3 || bytes[next] !== ARRAY_OF_3) return -1
  next += 1
  for (let digest = 0; digest < 3; digest += 1) {
    if (bytes[next] === BIN_8) next += BIN_HEAD_BYTES + DIGEST_BYTES
    else if (bytes[next]! <= POSITIVE_MAX) next += 1
    else return -1
  }
  return unsequencedIdAt(bytes, next, end)
}

/** In a payload of a journal: a row of a version, then the id. */
export function unsequencedIdAt(bytes: Buffer, at: number, end: number): number {
  const first = bytes[at]!
  const versionAt = at + (first === ARRAY_16 ? 3 : 1)
  const idAt = versionAt + 1 + BIN_HEAD_BYTES
  if (idAt + ID_BYTES > end) return -1
  const isRow = first === ARRAY_16 || (first >= 0x90 && first <= 0x9f)
  if (!isRow || bytes[versionAt]! > POSITIVE_MAX || bytes[versionAt + 1] !== BIN_8) return -1
  return bytes[versionAt + 2] === ID_BYTES ? idAt : -1
}

/** Unix ms at which the request was received, as its id (UUIDv7) says. */
export function timeOfId(bytes: Buffer, at: number): number {
  return bytes.readUIntBE(at, 6)
}

/** Whether the sixteen bytes at `at` are those of `id`; not so for −1. */
export function isIdAt(bytes: Buffer, at: number, id: Buffer): boolean {
  if (at === -1) return false
  for (let index = 0; index < ID_BYTES; index += 1) if (bytes[at + index] !== id[index]) return false
  return true
}
