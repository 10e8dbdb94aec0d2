/**
 * Counts what happened: one synchronous call for each finished request and each finished shadow, in
 * memory only, never failing. With one attempt it is 4 counts and 4 durations: 0.27 µs in a loop, 0.65 on
 * a busy machine (Node 20). Everything that is made of the counts is made when somebody reads them.
 */
import type { Exchange, ShadowOutcome, StreamOutcome } from '../domain/exchange.ts'
import { traitsOf } from '../domain/fault.ts'
import type { Attempt, HedgeWinner, Role } from '../domain/outcome.ts'
import type { ShadowFate } from '../domain/plan.ts'
import type { PressureLevel } from '../domain/pressure.ts'
import type { Model, Version } from '../domain/routes.ts'
import type { Histograms } from './histograms.ts'
import { requestSeries, versionSeries } from './series.ts'
import type { CacheWord, ConsequenceAction, HedgeOutcome, RepeatWord } from './slab-layout.ts'
import type { Vitals } from './vitals.ts'
import type { VitalsSlab } from './vitals-slab.ts'

export class Observer {
  readonly #slab: VitalsSlab
  readonly #histograms: Histograms

  constructor({ slab, histograms }: Pick<Vitals, 'slab' | 'histograms'>) {
    this.#slab = slab
    this.#histograms = histograms
  }

  /**
   * A request's story is over, whichever way; of an answer that was passed on as it came, when it has ended. The
   * caller got the bytes and tokens of a broken one, too.
   */
  exchange(exchange: Exchange): void {
    const { model, fault, startedAt, endedAt, answer, passed, summary } = exchange
    const slab = this.#slab
    const modelIndex = model === null ? -1 : model.index
    const row = this.#rowOf(exchange)
    slab.request(row, exchange.reason, exchange.status)
    slab.bytes(exchange.requestBody.length, answer?.body.length ?? passed?.bodyBytes ?? 0)
    if (fault !== null) slab.fault(modelIndex, fault.code)
    this.#histograms.record(requestSeries(slab.layout.shape, modelIndex), endedAt - startedAt)
    if (model === null) return
    if (summary !== null && row < slab.layout.shape.versions) slab.summary(row, summary)
    this.#consequence(exchange, modelIndex)
    this.#attempts(exchange, model)
  }

  /** An answer of `version` began to be passed on as it comes. `streamEnded` follows exactly once. */
  streamOpened(version: Version): void {
    this.#slab.streamOpened(version.index)
  }

  /**
   * It ended, whichever way; the request itself is told to `exchange`. Null: nothing reached the caller, because the
   * decision could not be recorded.
   */
  streamEnded(version: Version, fate: StreamOutcome['fate'] | null): void {
    this.#slab.streamEnded(version.index, fate)
  }

  /** A shadow copy that was sent, or should have been, and what became of it. */
  shadowEnded(outcome: ShadowOutcome, version: Version): void {
    this.#slab.shadow(version.index, outcome.fate)
    this.#slab.agreement(version.index, outcome.agreement)
    if (outcome.attempt !== null) this.#attempt(outcome.attempt, version)
  }

  /** A shadow copy that the plan did not send. */
  shadowSkipped(version: Version, fate: Exclude<ShadowFate, 'planned'>): void {
    this.#slab.shadow(version.index, fate)
  }

  /** An attempt is tried again; or would be, but for the budget. */
  retry(modelIndex: number, isSent: boolean): void {
    this.#slab.retry(modelIndex, isSent)
  }

  /** An endpoint of `version` is passed over from now on, because this lane saw it fail. */
  endpointPutOut(version: Version): void {
    this.#slab.endpointPutOut(version.index)
  }

  /** A request was held against the rate limits of its model. */
  rate(modelIndex: number, isAdmitted: boolean, forgotten: number): void {
    this.#slab.rate(modelIndex, isAdmitted, forgotten)
  }

  /** What a request with an idempotency key was, or what became of its answer. */
  repeat(modelIndex: number, word: Exclude<RepeatWord, 'bytes'>): void {
    this.#slab.repeat(modelIndex, word)
  }

  cache(modelIndex: number, word: Exclude<CacheWord, 'bytes'>): void {
    this.#slab.cache(modelIndex, word)
  }

  /** `bytes`: of the answers kept now. `isForgotten`: one had to leave before its time. */
  kept(store: 'repeats' | 'cache', modelIndex: number, bytes: number, isForgotten: boolean): void {
    this.#slab.keptBytes(modelIndex, store, bytes)
    if (!isForgotten) return
    if (store === 'cache') this.#slab.cache(modelIndex, 'forgotten')
    else this.#slab.repeat(modelIndex, 'forgotten')
  }

  /** A client connection came, was turned away, or ended; one that was turned away ends, too. */
  connection(what: 'opened' | 'refused' | 'closed'): void {
    if (what === 'closed') this.#slab.connectionClosed()
    else this.#slab.connectionCame(what === 'opened')
  }

  /** A connection ended before a request of it could be read. */
  connectionUnread(): void {
    this.#slab.connectionUnused()
  }

  /** How short of time and memory this lane is, from now on. */
  pressure(level: PressureLevel): void {
    this.#slab.pressure(level)
  }

  /** Somebody asked about the gateway itself: live, ready, metadata. */
  serverQuestion(): void {
    this.#slab.serverQuestion()
  }

  #rowOf({ model, served }: Exchange): number {
    if (model === null) return this.#slab.layout.rowWithoutVersion(-1)
    const version = served === '' ? undefined : model.versions.get(served)
    return version === undefined ? this.#slab.layout.rowWithoutVersion(model.index) : version.index
  }

  #consequence({ fault, degraded }: Exchange, modelIndex: number): void {
    const of = fault === null ? null : traitsOf(fault.code).consequence
    if (of !== null) this.#slab.consequence(modelIndex, of, actionOf(degraded))
  }

  #attempts(exchange: Exchange, model: Model): void {
    let version: Version | undefined
    let role: Role = 'primary'
    for (const attempt of exchange.attempts) {
      const tried = model.versions.get(attempt.version)
      if (tried === undefined) continue
      this.#attempt(attempt, tried)
      if (version?.name === exchange.served) continue
      version = tried
      role = attempt.role
    }
    if (version !== undefined) {
      const overheadMs = exchange.endedAt - exchange.startedAt - coveredMs(exchange.attempts)
      this.#histograms.record(versionSeries(version.index, role, 'overhead'), Math.max(0, overheadMs))
    }
  }

  /** Phases are kept of attempts that reached an endpoint or the pool and were not cut short by a leaving caller. */
  #attempt(attempt: Attempt, version: Version): void {
    const { role, result } = attempt
    const refused = result.fault?.code === 'breaker-open'
    this.#slab.attempt(version.index, role, refused ? 'refused' : attempt.verdict)
    if (result.hedge !== undefined) this.#slab.hedge(version.index, HEDGE_OUTCOMES[result.hedge.won])
    if (result.endpoint === '' || result.fault?.code === 'client-gone') return
    const { queueMs, connectMs, firstByteMs, totalMs } = result.phases
    const first = versionSeries(version.index, role, 'queue')
    const histograms = this.#histograms
    histograms.record(first, queueMs)
    if (!result.reused) histograms.record(first + 1, connectMs)
    histograms.record(first + 2, firstByteMs)
    histograms.record(first + 3, totalMs)
  }
}

/** Of the second copy. */
const HEDGE_OUTCOMES: Readonly<Record<HedgeWinner, HedgeOutcome>> = {
  first: 'lost',
  second: 'won',
  none: 'failed',
}

function actionOf(degraded: string): ConsequenceAction {
  if (degraded.startsWith('version:')) return 'version'
  return degraded.startsWith('reply:') ? 'reply' : 'fail'
}

/** Time during which at least one attempt was under way; attempts are in the order they began. */
function coveredMs(attempts: readonly Attempt[]): number {
  let covered = 0
  let until = Number.NEGATIVE_INFINITY
  for (const { startedAt, result } of attempts) {
    const endedAt = startedAt + Math.max(0, result.phases.totalMs)
    if (endedAt <= until) continue
    covered += endedAt - Math.max(startedAt, until)
    until = endedAt
  }
  return covered
}
