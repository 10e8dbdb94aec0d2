/** How many bodies were captured, and how many were not for which reason: shared memory, for metrics. */
import { CAPTURE_FATES, type CaptureFate } from '../records/capture-record.ts'

export const CAPTURE_COUNTS_BYTES = 8 * CAPTURE_FATES.length

export class CaptureCounts {
  readonly #counts: BigInt64Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(CAPTURE_COUNTS_BYTES)) {
    this.#counts = new BigInt64Array(memory)
  }

  add(fate: CaptureFate): void {
    Atomics.add(this.#counts, CAPTURE_FATES.indexOf(fate), 1n)
  }

  of(fate: CaptureFate): number {
    return Number(Atomics.load(this.#counts, CAPTURE_FATES.indexOf(fate)))
  }
}
