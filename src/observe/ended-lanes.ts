/**
 * What lanes counted whose threads have ended, added up, so that no counter goes back when a lane is replaced. What
 * is under way or open somewhere (gauges) went with them.
 */
import { COUNTS_LENGTH, newCountsBuffer } from './hdr-layout.ts'
import type { LaneReading } from './reading.ts'
import type { SlabLayout } from './slab-layout.ts'

export class EndedLanes implements LaneReading {
  readonly isRunning = false
  readonly seat = -1
  slab: SharedArrayBuffer | null = null
  readonly histograms = new Map<number, SharedArrayBuffer>()

  /** `lane` has ended: its memory is not written any more. */
  add(lane: LaneReading, layout: SlabLayout): void {
    for (const [series, buffer] of lane.histograms) {
      const sum = this.histograms.get(series) ?? newCountsBuffer()
      addTo(new Float64Array(sum), new Float64Array(buffer), 0, COUNTS_LENGTH)
      this.histograms.set(series, sum)
    }
    if (lane.slab === null || lane.slab.byteLength !== layout.length * Float64Array.BYTES_PER_ELEMENT) return
    const words = new Float64Array(lane.slab)
    this.slab ??= new SharedArrayBuffer(lane.slab.byteLength)
    const sum = new Float64Array(this.slab)
    const marks = layout.marks
    addTo(sum, words, 0, layout.length)
    for (const at of marks) sum[at] = words[at]!
    for (const at of layout.gauges) sum[at] = 0
  }
}

function addTo(sum: Float64Array, more: Float64Array, from: number, to: number): void {
  for (let index = from; index < to; index += 1) sum[index]! += more[index]!
}
