/**
 * The rules of the breaker without any cleverness: it remembers everything and counts anew each time. What it says is
 * held against the machine (breaker-reference.test.ts) and against the breaker that lanes share (breaker-model.ts).
 */
import type { BreakerSettings } from '../../src/domain/routes.ts'
import type { Verdict } from '../../src/observe/breaker-rules.ts'
import { WINDOW_BUCKETS } from '../../src/observe/rolling-window.ts'

/** How a request ended, and how long it took, in ms. */
export type Ending = readonly [Verdict, number]

export interface Result {
  readonly bucket: number
  readonly failed: boolean
  readonly slow: boolean
}

interface Probe {
  readonly number: number
  readonly expiresAt: number
}

export class PlainBreaker {
  name: 'closed' | 'open' | 'half-open' = 'closed'
  epoch = 0
  since = 0
  level = 0
  until = 0
  results: readonly Result[] = []
  streak = 0
  probes: readonly Probe[] = []
  issued = 0
  succeeded = 0
  readonly settings: BreakerSettings
  readonly leaseMs: number

  constructor(settings: BreakerSettings, leaseMs: number) {
    this.settings = settings
    this.leaseMs = leaseMs
  }

  copy(): PlainBreaker {
    return Object.assign(new PlainBreaker(this.settings, this.leaseMs), this)
  }

  look(now: number): void {
    if (this.name === 'open' && now >= this.until) this.#enter('half-open', now)
    this.probes = this.probes.filter(({ expiresAt }) => expiresAt > now)
  }

  /** The probe's number, 0 for none, null when refused. */
  admit(now: number): number | null {
    this.look(now)
    if (this.name === 'closed') return 0
    if (this.name === 'open' || this.succeeded + this.probes.length >= this.settings.probes) return null
    this.issued += 1
    this.probes = [...this.probes, { number: this.issued, expiresAt: now + this.leaseMs }]
    return this.issued
  }

  end(epoch: number, probe: number, result: Ending, now: number): void {
    if (this.name === 'closed') {
      if (this.count(epoch, result, now) && this.isCrossed(now)) this.trip(now)
    } else this.endProbe(epoch, probe, result, now)
  }

  /** The first half of an end while it is closed; false: it says nothing. */
  count(epoch: number, [verdict, totalMs]: Ending, now: number): boolean {
    if (this.name !== 'closed' || epoch !== this.epoch || verdict === 'neutral') return false
    const failed = verdict === 'failure'
    this.streak = failed ? this.streak + 1 : 0
    const slow = totalMs > this.settings.slowAfterMs
    this.results = [...this.#recent(now), { bucket: this.#bucketOf(now), failed, slow }]
    return true
  }

  get isStreakCrossed(): boolean {
    return this.streak >= this.settings.consecutive
  }

  /** Of these results, or of all. */
  isCrossed(now: number, results: readonly Result[] = this.#recent(now)): boolean {
    if (this.isStreakCrossed) return true
    const { minRequests, failureRate, slowRate } = this.settings
    if (results.length < minRequests) return false
    const failed = results.filter((one) => one.failed).length
    const slow = results.filter((one) => one.slow).length
    return (
      (failed > 0 && failed >= failureRate * results.length) ||
      (slow > 0 && slow >= slowRate * results.length)
    )
  }

  trip(now: number): void {
    this.#open(Math.max(0, this.level - Math.floor((now - this.since) / this.settings.windowMs)), now)
  }

  endProbe(epoch: number, probe: number, [verdict, totalMs]: Ending, now: number): void {
    if (this.name !== 'half-open' || epoch !== this.epoch) return
    if (!this.probes.some(({ number }) => number === probe)) return
    this.probes = this.probes.filter(({ number }) => number !== probe)
    if (verdict === 'neutral') return
    if (verdict === 'failure' || totalMs > this.settings.slowAfterMs) return this.#open(this.level + 1, now)
    this.succeeded += 1
    if (this.succeeded === this.settings.probes) {
      this.level += 1
      this.#enter('closed', now)
    }
  }

  #recent(now: number): readonly Result[] {
    return this.results.filter(({ bucket }) => bucket > this.#bucketOf(now) - WINDOW_BUCKETS)
  }

  #bucketOf(at: number): number {
    return Math.floor(at / (this.settings.windowMs / WINDOW_BUCKETS))
  }

  #open(level: number, now: number): void {
    this.level = level
    this.until = now + Math.min(this.settings.openForMs * 2 ** level, this.settings.openForMaxMs)
    this.#enter('open', now)
  }

  #enter(name: PlainBreaker['name'], now: number): void {
    this.name = name
    this.epoch += 1
    this.since = now
    this.results = []
    this.streak = 0
    this.probes = []
    this.issued = 0
    this.succeeded = 0
  }
}
