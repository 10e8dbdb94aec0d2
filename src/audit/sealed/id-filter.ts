/**
 * Tells of a request id that it is not among some thousand: a Bloom filter of ten bits an id, wrong about one in a
 * hundred and twenty of those that are not, never about one that is. Made of XXH32, so that any language can read it.
 */
import { hash32 } from '../../kernel/hash64.ts'
import { ID_BYTES } from '../records/request-id-place.ts'

const BITS_PER_ID = 10
/** Fewest wrong answers for ten bits an id: 10 × ln 2. */
const PROBES = 7

/** Bytes of a filter of `ids`; a whole number of eights. */
export function filterBytes(ids: number): number {
  return 8 * Math.ceil((ids * BITS_PER_ID) / 64)
}

/** Adds the id at `at` of `bytes` to a filter made of zeros. */
export function addToFilter(filter: Buffer, bytes: Buffer, at: number): void {
  const { bits, first, step } = probesOf(filter, bytes, at)
  for (let probe = 0; probe < PROBES; probe += 1) {
    const bit = (first + probe * step) % bits
    filter[bit >>> 3]! |= 1 << (bit & 7)
  }
}

/** False: the id at `at` of `bytes` was not added. */
export function mayHold(filter: Buffer, bytes: Buffer, at: number): boolean {
  if (filter.length === 0) return false
  const { bits, first, step } = probesOf(filter, bytes, at)
  for (let probe = 0; probe < PROBES; probe += 1) {
    const bit = (first + probe * step) % bits
    if ((filter[bit >>> 3]! & (1 << (bit & 7))) === 0) return false
  }
  return true
}

/** The n-th bit is (first + n × step) modulo the number of bits; step is odd, and all stay below 2^36. */
function probesOf(filter: Buffer, bytes: Buffer, at: number): { bits: number; first: number; step: number } {
  const id = bytes.subarray(at, at + ID_BYTES)
  return { bits: 8 * filter.length, first: hash32(id, 0), step: (hash32(id, 1) | 1) >>> 0 }
}
