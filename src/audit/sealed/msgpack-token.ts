/**
 * How long the values of msgpack are, told from their first byte, for walking payloads value by value without
 * unpacking them. A token is the head of one value (its type and its length) and, for text, bytes and numbers, its
 * body; the values inside an array or a map are tokens of their own.
 *
 * Extension types are no tokens: no record has them (SPEC.md, "Payload").
 */

/** What the count in a head counts. */
export const COUNTS_NOTHING = 0
export const COUNTS_BYTES = 1
export const COUNTS_VALUES = 2
export const COUNTS_PAIRS = 3

/** By first byte: length of the head; 0 for what is no token. */
export const HEAD_BYTES = new Uint8Array(256)
/** By first byte: length of the body, where the first byte alone says it. */
export const BODY_BYTES = new Uint8Array(256)
/** By first byte: one of the numbers above. */
export const COUNTS = new Uint8Array(256)

/** By first byte: length of the body where head is that byte alone, and says all; else UNTOLD. */
export const BODY_TOLD = new Uint8Array(256)
export const UNTOLD = 255

function define(first: number, last: number, token: { head: number; body?: number; counts?: number }): void {
  HEAD_BYTES.fill(token.head, first, last + 1)
  BODY_BYTES.fill(token.body ?? 0, first, last + 1)
  COUNTS.fill(token.counts ?? COUNTS_NOTHING, first, last + 1)
}

// https://github.com/msgpack/msgpack/blob/master/spec.md#overview
define(0x00, 0x7f, { head: 1 })
define(0x80, 0x8f, { head: 1, counts: COUNTS_PAIRS })
define(0x90, 0x9f, { head: 1, counts: COUNTS_VALUES })
define(0xa0, 0xbf, { head: 1, counts: COUNTS_BYTES })
define(0xc0, 0xc0, { head: 1 })
define(0xc2, 0xc3, { head: 1 })
define(0xc4, 0xc4, { head: 2, counts: COUNTS_BYTES })
define(0xc5, 0xc5, { head: 3, counts: COUNTS_BYTES })
define(0xc6, 0xc6, { head: 5, counts: COUNTS_BYTES })
define(0xca, 0xca, { head: 1, body: 4 })
define(0xcb, 0xcb, { head: 1, body: 8 })
define(0xcc, 0xcc, { head: 1, body: 1 })
define(0xcd, 0xcd, { head: 1, body: 2 })
define(0xce, 0xce, { head: 1, body: 4 })
define(0xcf, 0xcf, { head: 1, body: 8 })
define(0xd0, 0xd0, { head: 1, body: 1 })
define(0xd1, 0xd1, { head: 1, body: 2 })
define(0xd2, 0xd2, { head: 1, body: 4 })
define(0xd3, 0xd3, { head: 1, body: 8 })
define(0xd9, 0xd9, { head: 2, counts: COUNTS_BYTES })
define(0xda, 0xda, { head: 3, counts: COUNTS_BYTES })
define(0xdb, 0xdb, { head: 5, counts: COUNTS_BYTES })
define(0xdc, 0xdc, { head: 3, counts: COUNTS_VALUES })
define(0xdd, 0xdd, { head: 5, counts: COUNTS_VALUES })
define(0xde, 0xde, { head: 3, counts: COUNTS_PAIRS })
define(0xdf, 0xdf, { head: 5, counts: COUNTS_PAIRS })
define(0xe0, 0xff, { head: 1 })

for (let first = 0; first < 256; first += 1) {
  const isText = first >= 0xa0 && first <= 0xbf
  const isTold = HEAD_BYTES[first] === 1 && (isText || COUNTS[first] !== COUNTS_BYTES)
  BODY_TOLD[first] = !isTold ? UNTOLD : isText ? first & 0x1f : BODY_BYTES[first]!
}

/** The count in a head of `head` bytes whose first byte, at `at`, counts something. */
export function countIn(bytes: Buffer, at: number, head: number): number {
  if (head === 1) {
    const first = bytes[at]!
    return first < 0xa0 ? first & 0x0f : first & 0x1f
  }
  if (head === 2) return bytes[at + 1]!
  return head === 3 ? bytes.readUInt16BE(at + 1) : bytes.readUInt32BE(at + 1)
}
