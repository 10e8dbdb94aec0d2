/**
 * A lane's histograms: made when first needed, over shared memory, and announced once, so that the
 * control thread reads the counts while the lane goes on counting. At most `limit` are made; durations
 * of the series beyond are counted as lost instead of being kept.
 */
import type { HistogramAnnouncement } from './announcements.ts'
import { countDuration, newCountsBuffer } from './hdr-layout.ts'

/** 168 KiB of address space each; memory only for the pages that were hit, usually 3 to 10 of 4 KiB. */
export const HISTOGRAMS_MAX = 1024

export interface HistogramParts {
  /** How many series there can be. */
  readonly series: number
  /** HISTOGRAMS_MAX when undefined. */
  readonly limit: number | undefined
  readonly onHistogram: ((announcement: HistogramAnnouncement) => void) | undefined
  /** A duration was dropped because `limit` was reached. */
  readonly onRefused: () => void
}

export class Histograms {
  readonly #parts: HistogramParts
  readonly #limit: number
  readonly #counts: (Float64Array | undefined)[]
  #made = 0

  constructor(parts: HistogramParts) {
    this.#parts = parts
    this.#limit = parts.limit ?? HISTOGRAMS_MAX
    this.#counts = new Array<Float64Array | undefined>(parts.series).fill(undefined)
  }

  /** Negative durations are phases that were not reached: nothing is counted. */
  record(series: number, ms: number): void {
    if (!(ms >= 0)) return
    const counts = this.#counts[series] ?? this.#make(series)
    if (counts === undefined) this.#parts.onRefused()
    else countDuration(counts, ms)
  }

  #make(series: number): Float64Array | undefined {
    if (this.#made >= this.#limit) return undefined
    this.#made += 1
    const buffer = newCountsBuffer()
    const counts = new Float64Array(buffer)
    this.#counts[series] = counts
    this.#parts.onHistogram?.({ kind: 'histogram', series, buffer })
    return counts
  }
}
