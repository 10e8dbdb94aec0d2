/**
 * What one data-plane thread is made of, as the request path sees it. Made in lane.ts, used by
 * pipeline.ts and this folder; the parts do not know each other.
 */
import type { AnswerCache } from '../callers/answer-cache.ts'
import type { RateGate } from '../callers/rate-gate.ts'
import type { Repeats } from '../callers/repeats.ts'
import type { Snapshot } from '../domain/routes.ts'
import type { Forwarder } from '../forward/forwarder.ts'
import type { Chance } from '../kernel/chance.ts'
import type { Clock } from '../kernel/clock.ts'
import type { RequestIds } from '../kernel/request-id.ts'
import type { Sweep } from '../kernel/sweep.ts'
import type { Hedging } from '../observe/hedging.ts'
import type { Limiter } from '../observe/limiter.ts'
import type { Observer } from '../observe/observer.ts'
import type { PressureGauge } from '../observe/pressure-gauge.ts'
import type { RetryBudget } from '../observe/retry-budget.ts'
import type { Vitals } from '../observe/vitals.ts'
import type { Protocol } from '../protocols/protocol.ts'
import type { Recorder } from '../record/recorder.ts'
import type { Comparer } from '../score/comparer.ts'
import type { Scorer } from '../score/scorer.ts'
import type { AsksOfTurn } from './asks-of-turn.ts'
import type { Places } from './places.ts'
import type { ShadowBodies } from './shadow-bodies.ts'
import type { ShadowLosses } from './shadow-losses.ts'
import type { ShadowPace } from './shadow-pace.ts'

export interface Lane {
  /** Version of this program, as it tells callers. */
  readonly version: string
  readonly clock: Clock
  readonly chance: Chance
  readonly ids: RequestIds
  readonly sweep: Sweep
  readonly protocols: readonly Protocol[]
  /** The configuration in force. A request reads it once and keeps what it read. */
  readonly snapshot: { readonly current: Snapshot }
  readonly vitals: Vitals
  /** By model. */
  readonly retryBudgets: readonly RetryBudget[]
  /** By version; null where nothing is sent twice. */
  readonly hedging: readonly (Hedging | null)[]
  readonly limiter: Limiter
  readonly rateGate: RateGate
  /** Requests with an idempotency key. */
  readonly repeats: Repeats
  readonly answerCache: AnswerCache
  /** How short of time and memory this lane is. */
  readonly pressure: PressureGauge
  readonly observer: Observer
  readonly forwarder: Forwarder
  /** Shadows have connections of their own: they take none from requests that somebody waits for. */
  readonly shadowForwarder: Forwarder
  readonly scorer: Scorer
  readonly comparer: Comparer
  readonly recorder: Recorder
  readonly asks: AsksOfTurn
  /** Of shadow copies, by version. */
  readonly shadowPlaces: Places
  readonly shadowPace: ShadowPace
  readonly shadowLosses: ShadowLosses
  readonly shadowBodies: ShadowBodies
  /** Of fallbacks that overload sends on, by model: they hold none of the limiter's places. */
  readonly sparePlaces: Places
  readonly work: WorkInProgress
  /** A bug was caught on a request's path; the operator must hear of it. */
  onBug(error: unknown): void
}

/** What a drain waits for. Written by this folder, read by lane.ts. */
export interface WorkInProgress {
  /** True from the stop on: each answer also ends its connection. */
  draining: boolean
  /** True once the grace period is over: nothing new is begun. */
  refusing: boolean
  /** Requests not yet answered, and shadows not yet told. */
  count: number
  /** How to end those whose caller has left, and which are finished for the repeat that will come. */
  readonly lingering: Set<() => void>
}
