/**
 * Features cut into at most 64 bins each, so that a tree looks for its best split by counting instead
 * of sorting. Every edge is a value that occurs in the data, as a 32-bit float: `value <= edge` while
 * training and in the served model is then the same comparison, with no rounding between them.
 */
import type { Samples } from './samples.ts'

export const BINS_MAX = 64

export interface FeatureBins {
  /** Ascending; a row's bin is the number of edges below its value, so bin ≤ b ⇔ value ≤ edges[b]. */
  readonly edges: Float32Array
  /** Bin of each row. */
  readonly ofRow: Uint8Array
}

export function binFeatures(samples: Samples): readonly FeatureBins[] {
  return Array.from({ length: samples.columns }, (_, column) => binColumn(samples, column))
}

function binColumn({ rows, columns, features }: Samples, column: number): FeatureBins {
  const values = Float32Array.from({ length: rows }, (_, row) => features[row * columns + column]!)
  const edges = edgesOf(values.slice().sort())
  return { edges, ofRow: Uint8Array.from(values, (value) => binOf(edges, value)) }
}

/** Every distinct value but the highest when there are few, else values at even ranks. */
function edgesOf(sorted: Float32Array): Float32Array {
  const distinct = Float32Array.from(new Set(sorted))
  if (distinct.length <= BINS_MAX) return distinct.subarray(0, Math.max(0, distinct.length - 1))
  const highest = sorted[sorted.length - 1]!
  const edges = new Set<number>()
  for (let rank = 1; rank < BINS_MAX; rank += 1) {
    const value = sorted[Math.floor((rank * sorted.length) / BINS_MAX)]!
    if (value < highest) edges.add(value)
  }
  return Float32Array.from(edges)
}

function binOf(edges: Float32Array, value: number): number {
  let low = 0
  let high = edges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (edges[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
