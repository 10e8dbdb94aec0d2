/** What the log answered, before anything is made of it. Times are Unix ms. Rows are counts: of 10^7 requests there are some 10^4. */
import type { Slots } from './slots.ts'

export interface Range {
  readonly from: number
  readonly to: number
}

export interface Facts {
  readonly model: string
  readonly range: Range
  /** When the log was asked. */
  readonly askedAt: number
  readonly slots: Slots
  /** Moments within the range at which something changed: they cut it into periods 0 … n. Ascending. */
  readonly cuts: readonly number[]
  readonly events: readonly EventFact[]
  /** Rare events: not all of them were read. */
  readonly isCutShort: boolean
  readonly traffic: readonly TrafficFact[]
  readonly questions: number
  readonly consequences: readonly ConsequenceFact[]
  readonly shadows: readonly ShadowFact[]
  readonly streams: readonly { readonly fate: string; readonly answers: number }[]
  readonly outcomes: readonly OutcomeFact[]
  /** Of all records of the range that the report is made of. */
  readonly sequences: { readonly first: number; readonly last: number } | null
  readonly records: number
  readonly unsequenced: number
  /** Of the whole log. */
  readonly oldestAt: number | null
}

export interface EventFact {
  readonly sequence: number | null
  readonly at: number
  readonly type: string
  readonly model: string
  readonly version: string
  readonly details: Readonly<Record<string, unknown>>
}

export interface TrafficFact {
  readonly slot: number
  readonly period: number
  /** Served; empty: none did. */
  readonly version: string
  /** The version that was to answer. */
  readonly meant: string
  readonly outcome: string
  readonly degraded: string
  readonly isKept: boolean
  /** Of the duration, see latencies.ts. */
  readonly bin: number
  readonly requests: number
}

export interface ConsequenceFact {
  /** Both empty: all of them together. */
  readonly because: string
  readonly consequence: string
  readonly requests: number
  readonly callers: number
  readonly keys: number
}

export interface ShadowFact {
  readonly slot: number
  readonly version: string
  readonly fate: string
  readonly agreement: string
  readonly bin: number
  readonly copies: number
}

export interface OutcomeFact {
  readonly slot: number
  readonly period: number
  readonly version: string
  readonly name: string
  readonly unit: string
  readonly n: number
  readonly sum: number
  readonly sumOfSquares: number
}
