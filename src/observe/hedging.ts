/**
 * Whether and when a second copy of a request is sent to a version, as one lane sees it: after a fixed time or after a
 * quantile of what its answers took lately, within a budget, and only while the version's breaker is closed: an ill version
 * gets no additional load.
 */
import type { HedgeSettings } from '../domain/routes.ts'
import type { HedgeTerms } from '../domain/wire.ts'
import { HedgeBudget } from './hedge-budget.ts'
import { UsualWait } from './usual-wait.ts'

export interface HedgingParts {
  readonly settings: HedgeSettings
  /** The version may get additional load. */
  isWell(now: number): boolean
  /** It would have been sent, but for the budget. */
  onRefused(): void
  /** From now on copies are sent after so many ms. */
  onDelay(ms: number): void
}

/** A shorter wait is no sign that anything is late. */
export const AFTER_MS_MIN = 1

export class Hedging implements HedgeTerms {
  readonly #parts: HedgingParts
  readonly #budget: HedgeBudget
  /** Null: after a fixed time. */
  readonly #usual: UsualWait | null
  #afterMs = Number.POSITIVE_INFINITY

  constructor(parts: HedgingParts) {
    const { after, budget } = parts.settings
    this.#parts = parts
    this.#budget = new HedgeBudget(budget)
    this.#usual = after.is === 'quantile' ? new UsualWait(after.quantile) : null
    if (after.is === 'fixed') this.#waitsFor(after.ms)
  }

  /** A request came that may be sent twice; not told of its retries. */
  came(): void {
    this.#budget.deposit()
  }

  afterMs(): number {
    if (this.#usual !== null) this.#waitsFor(this.#usual.ms)
    return this.#afterMs
  }

  mayStart(now: number): boolean {
    if (!this.#parts.isWell(now)) return false
    const isAllowed = this.#budget.withdraw()
    if (!isAllowed) this.#parts.onRefused()
    return isAllowed
  }

  began(ms: number, isOvertaken: boolean): void {
    this.#usual?.observe(ms, isOvertaken)
  }

  #waitsFor(ms: number): void {
    const afterMs = Math.max(AFTER_MS_MIN, ms)
    if (afterMs === this.#afterMs) return
    this.#afterMs = afterMs
    this.#parts.onDelay(afterMs)
  }
}
