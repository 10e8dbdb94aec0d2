/**
 * Where each count lies in a lane's slab. The slab is one row of 64-bit floats (exact up to 2^53), its
 * length decided by the configuration alone, so neither a caller nor time can make it grow:
 *
 *     head          HEAD words, the names of LANE_COUNTS
 *     requests      (versions, then one row for each model without a version, then one for no model)
 *                   × (reasons of the snapshot + 1 for none) × STATUS_CLASSES
 *     faults        (models + 1 for no model) × FAULT_CODES
 *     attempts      versions × ROLES × ATTEMPT_VERDICTS
 *     shadows       versions × SHADOW_FATES
 *     agreements    versions × AGREEMENTS
 *     consequences  models × CONSEQUENCE_CLASSES × CONSEQUENCE_ACTIONS
 *     breakers      versions × BREAKER_WORDS
 *     loads         models × LOAD_WORDS
 *     streams       versions × STREAM_WORDS
 *     tokens        versions × TOKEN_KINDS
 *     finishes      versions × FINISH_REASONS
 *     endpoints     versions × ENDPOINT_WORDS, then of models: RETRY_WORDS
 *     hedges        versions × HEDGE_WORDS, then of models: RATE_WORDS, REPEAT_WORDS, CACHE_WORDS
 *
 * A word has one writer, the lane. Both sides compute the layout from the same Snapshot. Words are read
 * while they are written: each is whole (an aligned 64-bit store is one store on every platform that Node
 * runs on), two of them need not be of the same instant.
 */
import type { ShadowOutcome, StreamOutcome } from '../domain/exchange.ts'
import { type ConsequenceClass, FAULTS, type FaultCode } from '../domain/fault.ts'
import { ROLES } from '../domain/outcome.ts'
import type { ShadowFate } from '../domain/plan.ts'

export const STATUS_CLASSES = ['2xx', '3xx', '4xx', '5xx'] as const
export const FAULT_CODES = Object.keys(FAULTS) as readonly FaultCode[]
/** `refused`: the breaker did not let the attempt begin. */
export const ATTEMPT_VERDICTS = ['success', 'failure', 'neutral', 'refused'] as const
export type AttemptVerdict = (typeof ATTEMPT_VERDICTS)[number]
export type Fate = Exclude<ShadowFate, 'planned'> | ShadowOutcome['fate']
export const SHADOW_FATES: readonly Fate[] = [
  'answered',
  'failed',
  'timeout',
  'too_large',
  'cap',
  'budget',
  'overload',
  'not_asked',
  'sampled_out',
  'not_idempotent',
  'is_shadow',
  'served_version',
]
export const AGREEMENTS: readonly ShadowOutcome['agreement'][] = [
  'agree',
  'differ',
  'incomparable',
  'not-compared',
]
export const CONSEQUENCE_CLASSES: readonly ConsequenceClass[] = [
  'timeout',
  'breaker_open',
  'overload',
  'invalid_output',
  'error',
]
export const CONSEQUENCE_ACTIONS = ['version', 'reply', 'fail'] as const
export type ConsequenceAction = (typeof CONSEQUENCE_ACTIONS)[number]
/** By this lane; the state itself is all lanes' (breaker-memory.ts). */
export const BREAKER_WORDS = ['opens', 'refusals'] as const
export const LOAD_WORDS = ['running', 'queued'] as const
export const STREAM_FATES: readonly StreamOutcome['fate'][] = ['complete', 'broken', 'client-gone']
/** Streams open now, then how the others ended. */
export const STREAM_WORDS = ['open', ...STREAM_FATES] as const
export type StreamWord = (typeof STREAM_WORDS)[number]
/** Of a model: attempts that were tried again, and those that would have been, had there been a budget. */
export const RETRY_WORDS = ['sent', 'over-budget'] as const
export type RetryWord = (typeof RETRY_WORDS)[number]
/** Second copies by what came of them, and those that would have been sent, had there been a budget. */
export const HEDGE_OUTCOMES = ['won', 'lost', 'failed', 'over-budget'] as const
export type HedgeOutcome = (typeof HEDGE_OUTCOMES)[number]
/** `after`: when one is sent now, in ms; 0: not known. */
export const HEDGE_WORDS = [...HEDGE_OUTCOMES, 'after'] as const
/** How often an endpoint was put out. */
export const ENDPOINT_WORDS = ['ejections'] as const
export type EndpointWord = (typeof ENDPOINT_WORDS)[number]
/**
 * Of a model: requests that its rate limits let in, and refused, and how often a caller's debt was forgotten to make
 * room for another's.
 */
export const RATE_WORDS = ['admitted', 'refused', 'forgotten'] as const
export type RateWord = (typeof RATE_WORDS)[number]
/**
 * Of a model's requests with an idempotency key: what they were; answers that could not be kept, answers that had
 * to leave before their time, and what is kept now.
 */
export const REPEAT_WORDS = [
  'first',
  'replayed',
  'under-way',
  'mismatch',
  'unavailable',
  'not-kept',
  'forgotten',
  'bytes',
] as const
export type RepeatWord = (typeof REPEAT_WORDS)[number]
/** Of a model's cache: `bypass`, the caller wants nothing kept or no answer that was. */
export const CACHE_WORDS = ['hit', 'miss', 'bypass', 'stored', 'forgotten', 'bytes'] as const
export type CacheWord = (typeof CACHE_WORDS)[number]
export const TOKEN_KINDS = ['prompt', 'completion'] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]
/** Whatever else an endpoint says is counted as the last. */
export const FINISH_REASONS = [
  'stop',
  'length',
  'tool_calls',
  'content_filter',
  'function_call',
  'other',
] as const
export type FinishReason = (typeof FINISH_REASONS)[number]
export const LANE_COUNTS = [
  'format',
  'versions',
  'models',
  'reasons',
  'connectionsOpen',
  'connectionsAccepted',
  'connectionsRefused',
  'connectionsUnused',
  'bytesIn',
  'bytesOut',
  'serverQuestions',
  'histogramsRefused',
  'pressure',
] as const
export type LaneCount = (typeof LANE_COUNTS)[number]

export const SLAB_FORMAT = 6
const HEAD = 16

export interface SlabShape {
  readonly versions: number
  readonly models: number
  /** Why a version can have been chosen; requests that none answered have a row beside them. */
  readonly reasons: number
}

export class SlabLayout {
  readonly shape: SlabShape
  readonly #requests: number
  readonly #faults: number
  readonly #attempts: number
  readonly #shadows: number
  readonly #agreements: number
  readonly #consequences: number
  readonly #breakers: number
  readonly #loads: number
  readonly #streams: number
  readonly #tokens: number
  readonly #finishes: number
  readonly #endpoints: number
  readonly #retries: number
  readonly #hedges: number
  readonly #rates: number
  readonly #repeats: number
  readonly #caches: number
  /** In words of eight bytes. */
  readonly length: number

  constructor(shape: SlabShape) {
    const { versions, models, reasons } = shape
    this.shape = shape
    this.#requests = HEAD
    this.#faults = this.#requests + (versions + models + 1) * (reasons + 1) * STATUS_CLASSES.length
    this.#attempts = this.#faults + (models + 1) * FAULT_CODES.length
    this.#shadows = this.#attempts + versions * ROLES.length * ATTEMPT_VERDICTS.length
    this.#agreements = this.#shadows + versions * SHADOW_FATES.length
    this.#consequences = this.#agreements + versions * AGREEMENTS.length
    this.#breakers = this.#consequences + models * CONSEQUENCE_CLASSES.length * CONSEQUENCE_ACTIONS.length
    this.#loads = this.#breakers + versions * BREAKER_WORDS.length
    this.#streams = this.#loads + models * LOAD_WORDS.length
    this.#tokens = this.#streams + versions * STREAM_WORDS.length
    this.#finishes = this.#tokens + versions * TOKEN_KINDS.length
    this.#endpoints = this.#finishes + versions * FINISH_REASONS.length
    this.#retries = this.#endpoints + versions * ENDPOINT_WORDS.length
    this.#hedges = this.#retries + models * RETRY_WORDS.length
    this.#rates = this.#hedges + versions * HEDGE_WORDS.length
    this.#repeats = this.#rates + models * RATE_WORDS.length
    this.#caches = this.#repeats + models * REPEAT_WORDS.length
    this.length = this.#caches + models * CACHE_WORDS.length
  }

  /** Words that say of which form the slab is. */
  get marks(): readonly number[] {
    return (['format', 'versions', 'models', 'reasons'] as const).map((mark) => this.laneAt(mark))
  }

  /** Words that tell how much there is now, and not how much there was in all. */
  get gauges(): readonly number[] {
    const versions = Array.from({ length: this.shape.versions }, (_, version) => version)
    const models = Array.from({ length: this.shape.models }, (_, model) => model)
    return [
      this.laneAt('connectionsOpen'),
      this.laneAt('pressure'),
      ...models.flatMap((model) => [this.repeatAt(model, 'bytes'), this.cacheAt(model, 'bytes')]),
      ...models.flatMap((model) => LOAD_WORDS.map((word) => this.loadAt(model, word))),
      ...versions.flatMap((version) => [this.streamAt(version, 'open'), this.hedgeAt(version, 'after')]),
    ]
  }

  /** The row of requests that no version of this model answered; -1 for no known model. */
  rowWithoutVersion(modelIndex: number): number {
    const { versions, models } = this.shape
    return versions + (modelIndex === -1 ? models : modelIndex)
  }

  laneAt(count: LaneCount): number {
    return LANE_COUNTS.indexOf(count)
  }

  /** `reason`: its place in `snapshot.reasons`; one beyond the last for none. */
  requestAt(row: number, reason: number, statusClass: number): number {
    return this.#requests + (row * (this.shape.reasons + 1) + reason) * STATUS_CLASSES.length + statusClass
  }

  /** `modelIndex` -1: no known model. */
  faultAt(modelIndex: number, code: number): number {
    const row = modelIndex === -1 ? this.shape.models : modelIndex
    return this.#faults + row * FAULT_CODES.length + code
  }

  attemptAt(version: number, role: number, verdict: number): number {
    return this.#attempts + (version * ROLES.length + role) * ATTEMPT_VERDICTS.length + verdict
  }

  shadowAt(version: number, fate: number): number {
    return this.#shadows + version * SHADOW_FATES.length + fate
  }

  agreementAt(version: number, agreement: number): number {
    return this.#agreements + version * AGREEMENTS.length + agreement
  }

  consequenceAt(model: number, of: number, action: number): number {
    return (
      this.#consequences + (model * CONSEQUENCE_CLASSES.length + of) * CONSEQUENCE_ACTIONS.length + action
    )
  }

  breakerAt(version: number, word: (typeof BREAKER_WORDS)[number]): number {
    return this.#breakers + version * BREAKER_WORDS.length + BREAKER_WORDS.indexOf(word)
  }

  loadAt(model: number, word: (typeof LOAD_WORDS)[number]): number {
    return this.#loads + model * LOAD_WORDS.length + LOAD_WORDS.indexOf(word)
  }

  streamAt(version: number, word: StreamWord): number {
    return this.#streams + version * STREAM_WORDS.length + STREAM_WORDS.indexOf(word)
  }

  tokensAt(version: number, kind: TokenKind): number {
    return this.#tokens + version * TOKEN_KINDS.length + TOKEN_KINDS.indexOf(kind)
  }

  finishAt(version: number, reason: number): number {
    return this.#finishes + version * FINISH_REASONS.length + reason
  }

  retryAt(model: number, word: RetryWord): number {
    return this.#retries + model * RETRY_WORDS.length + RETRY_WORDS.indexOf(word)
  }

  hedgeAt(version: number, word: (typeof HEDGE_WORDS)[number]): number {
    return this.#hedges + version * HEDGE_WORDS.length + HEDGE_WORDS.indexOf(word)
  }

  rateAt(model: number, word: RateWord): number {
    return this.#rates + model * RATE_WORDS.length + RATE_WORDS.indexOf(word)
  }

  repeatAt(model: number, word: RepeatWord): number {
    return this.#repeats + model * REPEAT_WORDS.length + REPEAT_WORDS.indexOf(word)
  }

  cacheAt(model: number, word: CacheWord): number {
    return this.#caches + model * CACHE_WORDS.length + CACHE_WORDS.indexOf(word)
  }

  endpointAt(version: number, word: EndpointWord): number {
    return this.#endpoints + version * ENDPOINT_WORDS.length + ENDPOINT_WORDS.indexOf(word)
  }
}
