/**
 * What crosses between a lane and its scoring threads. Numbers of many items travel in one typed array
 * and all bytes in one transferred buffer: cloning 64 small objects costs more than scoring 64 rows.
 */
import type { OutputComparison } from '../analysis/compare-outputs.ts'
import type { Fault, FaultCode } from '../domain/fault.ts'
import type { CompareRule, LocalVersion, ProtocolName } from '../domain/routes.ts'
import type { ModelSignature } from '../protocols/open-inference/tensors.ts'
import type { OurNames } from '../protocols/protocol.ts'

/** Which file holds which version, for loading it and for naming it in messages. */
export interface ModelSource {
  readonly runtime: LocalVersion['runtime']
  readonly model: string
  readonly version: string
  /** Absolute. */
  readonly file: string
  readonly fileAsWritten: string
}

/** `ScoreTask.items`: per item its offset and length in `bytes`, its JSON length (-1: all), its ms left and its limit. */
export const ITEM_OFFSET = 0
export const ITEM_LENGTH = 1
export const ITEM_JSON_LENGTH = 2
export const ITEM_BUDGET_MS = 3
/** Index in ITEM_LIMITS: which of its limits ends its time. */
export const ITEM_LIMIT = 4
export const ITEM_FIELDS = 5

/** The caller's own deadline blames nobody; the model's timeouts blame the version. */
export const ITEM_LIMITS = [
  'deadline-exceeded',
  'first-byte-timeout',
  'total-timeout',
] as const satisfies readonly FaultCode[]
export type ItemLimit = (typeof ITEM_LIMITS)[number]

export interface ScoreTask {
  readonly source: ModelSource
  readonly items: Float64Array
  readonly bytes: ArrayBuffer
}

/** `ScoreResult.answers`: per item offset, length and JSON length (-1: all); length -1: see `faults`. */
export const ANSWER_FIELDS = 3

export interface ScoreResult {
  readonly answers: Float64Array
  readonly bytes: ArrayBuffer
  readonly faults: readonly (readonly [item: number, fault: Fault])[]
}

export interface LoadTask {
  readonly source: ModelSource
}

export type LoadResult =
  | {
      readonly loaded: true
      readonly platform: string
      readonly signature: ModelSignature
      readonly batchable: boolean
      readonly loadMs: number
    }
  | { readonly loaded: false; readonly fault: Fault }

/** `CompareTask.places`: per pair offset and length of the primary's body, then of the shadow's. */
export const PAIR_FIELDS = 4

export interface PairToCompare {
  readonly protocol: ProtocolName
  readonly rules: readonly CompareRule[]
  /** Of the shadow's answer. */
  readonly rename: OurNames | null
  /** Of the primary and of the shadow: those that say how the body is to be read. */
  readonly headers: readonly [primary: readonly string[], shadow: readonly string[]]
}

export interface CompareTask {
  readonly pairs: readonly PairToCompare[]
  readonly places: Float64Array
  readonly bytes: ArrayBuffer
}

export type CompareResult = readonly OutputComparison[]
