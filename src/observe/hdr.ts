/**
 * A histogram as it is read: the counts of all lanes added up, its percentiles, its sum, its encoded
 * form. Only door to hdr-histogram-js; a lane never loads it.
 *
 * Counts are copied before anything is computed, so a reading agrees with itself while lanes go on.
 * Percentiles come from merged counts, never from averages of percentiles.
 */
import { deflateSync, inflateSync } from 'node:zlib'
import { encodeIntoCompressedBase64, Float64Histogram } from 'hdr-histogram-js'
import { assert } from '../kernel/assert.ts'
import { COUNTS_LENGTH, DIGITS, VALUE_MAX_US, VALUE_MIN_US } from './hdr-layout.ts'

export class Hdr {
  readonly #histogram = new Float64Histogram(VALUE_MIN_US, VALUE_MAX_US, DIGITS)
  readonly #counts = this.#histogram._counts

  /** Buffers as lanes announced them, all of one series. */
  constructor(buffers: readonly SharedArrayBuffer[]) {
    const histogram = this.#histogram
    assert(histogram.countsArrayLength === COUNTS_LENGTH, 'hdr-histogram-js has another layout')
    const counts = this.#counts
    for (const buffer of buffers) {
      const more = new Float64Array(buffer)
      assert(more.length === COUNTS_LENGTH, 'a histogram of another layout')
      for (let index = 0; index < COUNTS_LENGTH; index += 1) counts[index]! += more[index]!
    }
    histogram.establishInternalTackingValues()
  }

  get count(): number {
    return this.#histogram.totalCount
  }

  /** 0 when nothing was counted; so are the others. */
  get maxUs(): number {
    return this.#histogram.maxValue
  }

  /** `percent` in [0, 100]. */
  percentileUs(percent: number): number {
    return this.count === 0 ? 0 : this.#histogram.getValueAtPercentile(percent)
  }

  /** Each value taken as the middle of its bucket: within 0.05 %. */
  get sumUs(): number {
    let sum = 0
    for (let index = 0; index < COUNTS_LENGTH; index += 1) {
      const count = this.#counts[index]!
      if (count > 0) sum += count * middleOf(index, this.#histogram)
    }
    return sum
  }

  /** How many durations were at most each bound. `boundsUs` ascending. */
  cumulative(boundsUs: readonly number[]): number[] {
    const below: number[] = []
    let seen = 0
    let index = 0
    for (const bound of boundsUs) {
      while (index < COUNTS_LENGTH && middleOf(index, this.#histogram) <= bound) {
        seen += this.#counts[index]!
        index += 1
      }
      below.push(seen)
    }
    return below
  }

  /** HdrHistogram V2, deflated, base64: what its log readers and other languages read and merge. */
  encode(): string {
    const encoded = Buffer.from(encodeIntoCompressedBase64(this.#histogram), 'base64')
    const plain = inflateSync(encoded.subarray(V2_PREFIX_BYTES))
    plain.writeInt32BE(0, NORMALIZING_OFFSET_AT)
    plain.writeDoubleBE(1, RATIO_AT)
    const packed = deflateSync(plain)
    const prefix = Buffer.from(encoded.subarray(0, V2_PREFIX_BYTES))
    prefix.writeInt32BE(packed.length, 4)
    return Buffer.concat([prefix, packed]).toString('base64')
  }
}

/** Cookie and length, four bytes each. */
const V2_PREFIX_BYTES = 8
/**
 * hdr-histogram-js 3.0.1 writes 1 and 5e-324 into these header fields and ignores them when it reads.
 * Readers in other languages use them: with an offset of 1 they shift every bucket.
 */
const NORMALIZING_OFFSET_AT = 8
const RATIO_AT = 32

function middleOf(index: number, histogram: Float64Histogram): number {
  return middles[index] ?? computeMiddles(histogram)[index]!
}

let middles: Float64Array = new Float64Array(0)

/** In µs, once for the process: the same for every histogram of this layout. */
function computeMiddles(histogram: Float64Histogram): Float64Array {
  middles = Float64Array.from({ length: COUNTS_LENGTH }, (_, index) => {
    const lowest = histogram.valueFromIndex(index)
    return (lowest + histogram.highestEquivalentValue(lowest)) / 2
  })
  return middles
}
