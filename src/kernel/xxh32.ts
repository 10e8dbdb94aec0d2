/**
 * XXH32 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) of exactly sixteen bytes: one round, and the end. For filters
 * and tables that are written down. xxhash-wasm copies what it hashes into its own memory first, which takes ten times as
 * long as the hash of so few bytes. Proven against it.
 */
const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d
const HASHED_BYTES = 16

/** Of the sixteen bytes at `at`: an unsigned 32-bit number. */
export function xxh32(bytes: DataView, at: number, seed: number): number {
  const one = round(seed + PRIME_1 + PRIME_2, bytes.getInt32(at, true))
  const two = round(seed + PRIME_2, bytes.getInt32(at + 4, true))
  const three = round(seed, bytes.getInt32(at + 8, true))
  const four = round(seed - PRIME_1, bytes.getInt32(at + 12, true))
  let hash = (turned(one, 1) + turned(two, 7) + turned(three, 12) + turned(four, 18) + HASHED_BYTES) | 0
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
  return (hash ^ (hash >>> 16)) >>> 0
}

function round(start: number, word: number): number {
  return Math.imul(turned((start + Math.imul(word, PRIME_2)) | 0, 13), PRIME_1)
}

function turned(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
