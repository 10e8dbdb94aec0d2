/**
 * Where a duration is counted inside a histogram: the layout of HdrHistogram (1 µs to 10 min, 3 digits),
 * so that the counts a lane writes are the counts hdr-histogram-js reads on the other side.
 *
 * The lane writes them itself because its own `recordValue` keeps totals and extremes nobody reads there
 * and computes logarithms: 108–116 ns against 19–23 here (Node 20). That both agree for every value is proved in
 * test/observe/histograms.test.ts. Counts are 64-bit floats: a 32-bit one that is hit 20,000 times a
 * second wraps in two and a half days. Pages that were never written take no memory.
 */
export const VALUE_MIN_US = 1
export const VALUE_MAX_US = 600_000_000
export const DIGITS = 3

/** 2 × 10^DIGITS rounded up to a power of two: values below it have a count of their own. */
const SUB_BUCKETS_LOG2 = 11
const HALF = 2 ** (SUB_BUCKETS_LOG2 - 1)
const MASK = 2 ** SUB_BUCKETS_LOG2 - 1

export const COUNTS_LENGTH = countsIndexOf(VALUE_MAX_US) - (countsIndexOf(VALUE_MAX_US) % HALF) + HALF

/** `valueUs`: an integer in [0, 2^31). */
export function countsIndexOf(valueUs: number): number {
  const bucket = 32 - SUB_BUCKETS_LOG2 - Math.clz32(valueUs | MASK)
  return bucket * HALF + (valueUs >>> bucket)
}

/** Counts the duration in its range; below or above it, at the end of the range. */
export function countDuration(counts: Float64Array, ms: number): void {
  const valueUs = Math.min(Math.max(Math.round(ms * 1000), VALUE_MIN_US), VALUE_MAX_US)
  counts[countsIndexOf(valueUs)]! += 1
}

export function newCountsBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTS_LENGTH * Float64Array.BYTES_PER_ELEMENT)
}
