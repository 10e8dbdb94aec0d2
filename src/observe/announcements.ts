/**
 * What a lane tells the control thread about its vitals: the slab once, each histogram once when it is
 * first needed, and each change of a breaker. Plain data and shared memory, so that afterwards the
 * control thread reads all counts without asking the lane for anything.
 */
import type { BreakerName } from '../domain/plan.ts'

export type LaneAnnouncement =
  | { readonly kind: 'slab'; readonly buffer: SharedArrayBuffer }
  | HistogramAnnouncement
  | { readonly kind: 'breaker'; readonly change: BreakerChange }

export interface HistogramAnnouncement {
  readonly kind: 'histogram'
  /** Its number (series.ts). */
  readonly series: number
  /** The counts (hdr-layout.ts). */
  readonly buffer: SharedArrayBuffer
}

export interface BreakerChange {
  readonly model: string
  readonly version: string
  readonly from: BreakerName
  readonly to: BreakerName
  /** Number of the state `to`: of changes within one ms, which came first. */
  readonly epoch: number
  /** A sentence with its numbers: `6 of 10 requests failed in 10 s (limit 0.5); open for 1.1 s`. */
  readonly why: string
  /** Unix ms. */
  readonly at: number
  /** false: dry-run, traffic went on as if nothing had changed. */
  readonly enforced: boolean
}
