/**
 * Tells of a request id that it is not among some thousand: a Bloom filter of ten bits an id, wrong about one in a
 * hundred and twenty of those that are not, never about one that is. Made of XXH32, so that any language can read it.
 */
import { xxh32 } from '../../kernel/xxh32.ts'

const BITS_PER_ID = 10
/** Fewest wrong answers for ten bits an id: 10 × ln 2. */
const PROBES = 7

/** Bytes of a filter of `ids`; a whole number of eights. */
export function filterBytes(ids: number): number {
  return 8 * Math.ceil((ids * BITS_PER_ID) / 64)
}

/** What a filter knows of an id: `first` and `step` of its bits. Unsigned 32-bit numbers. */
export function firstOf(ids: DataView, at: number): number {
  return xxh32(ids, at, 0)
}

/** Odd: the n-th bit is (first + n × step) modulo the number of bits. */
export function stepOf(ids: DataView, at: number): number {
  return (xxh32(ids, at, 1) | 1) >>> 0
}

/** Adds an id to a filter made of zeros. */
export function addToFilter(filter: Buffer, first: number, step: number): void {
  const bits = 8 * filter.length
  const stride = step % bits
  let bit = first % bits
  for (let probe = 0; probe < PROBES; probe += 1) {
    filter[bit >>> 3]! |= 1 << (bit & 7)
    bit += stride
    if (bit >= bits) bit -= bits
  }
}

/** False: the id at `at` of `ids` was not added. */
export function mayHold(filter: Buffer, ids: DataView, at: number): boolean {
  if (filter.length === 0) return false
  const bits = 8 * filter.length
  const stride = stepOf(ids, at) % bits
  let bit = firstOf(ids, at) % bits
  for (let probe = 0; probe < PROBES; probe += 1) {
    if ((filter[bit >>> 3]! & (1 << (bit & 7))) === 0) return false
    bit += stride
    if (bit >= bits) bit -= bits
  }
  return true
}
