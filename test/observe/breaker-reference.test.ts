/**
 * The breaker against a plain reference that remembers everything, over random courses of requests,
 * results and pauses: same admissions, same states, same epochs, same open times.
 */
import fc from 'fast-check'
import t from 'tap'
import type { BreakerSettings } from '../../src/domain/routes.ts'
import {
  admits,
  type Breaker,
  type BreakerEvent,
  closedBreaker,
  step,
  type Terms,
  type Verdict,
} from '../../src/observe/breaker.ts'
import { WINDOW_BUCKETS } from '../../src/observe/rolling-window.ts'

const SETTINGS: BreakerSettings = {
  windowMs: 1000,
  minRequests: 4,
  failureRate: 0.5,
  slowAfterMs: 800,
  slowRate: 0.5,
  consecutive: 3,
  openForMs: 200,
  openForMaxMs: 900,
  probes: 2,
  enforce: true,
}
const TERMS: Terms = { settings: SETTINGS, jitter: 0.5, leaseMs: 3000 }
const LOOK: BreakerEvent = { kind: 'look' }
const START: BreakerEvent = { kind: 'start' }

/** The same rules without any cleverness: it remembers everything and counts anew each time. */
class Reference {
  name: 'closed' | 'open' | 'half-open' = 'closed'
  epoch = 0
  since = 0
  level = 0
  until = 0
  results: { at: number; failed: boolean; slow: boolean }[] = []
  probes: { number: number; expiresAt: number }[] = []
  issued = 0
  succeeded = 0
  readonly settings: BreakerSettings

  constructor(settings: BreakerSettings) {
    this.settings = settings
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
    this.probes.push({ number: this.issued, expiresAt: now + TERMS.leaseMs })
    return this.issued
  }

  end(epoch: number, probe: number, [verdict, totalMs]: readonly [Verdict, number], now: number): void {
    if (epoch !== this.epoch || this.name === 'open') return
    const slow = totalMs > this.settings.slowAfterMs
    if (this.name === 'closed') {
      if (verdict === 'neutral') return
      this.results.push({ at: now, failed: verdict === 'failure', slow })
      if (this.#trips(now))
        this.#open(Math.max(0, this.level - Math.floor((now - this.since) / this.settings.windowMs)), now)
      return
    }
    if (!this.probes.some(({ number }) => number === probe)) return
    this.probes = this.probes.filter(({ number }) => number !== probe)
    if (verdict === 'neutral') return
    if (verdict === 'failure' || slow) return this.#open(this.level + 1, now)
    this.succeeded += 1
    if (this.succeeded === this.settings.probes) {
      this.level += 1
      this.#enter('closed', now)
    }
  }

  #trips(now: number): boolean {
    const { settings, results } = this
    const lastGood = results.findLastIndex(({ failed }) => !failed)
    if (results.length - 1 - lastGood >= settings.consecutive) return true
    const bucketOf = (at: number): number => Math.floor(at / (settings.windowMs / WINDOW_BUCKETS))
    const recent = results.filter(({ at }) => bucketOf(at) > bucketOf(now) - WINDOW_BUCKETS)
    if (recent.length < settings.minRequests) return false
    const failed = recent.filter((one) => one.failed).length
    const slow = recent.filter((one) => one.slow).length
    const { failureRate, slowRate } = settings
    return (
      (failed > 0 && failed >= failureRate * recent.length) || (slow > 0 && slow >= slowRate * recent.length)
    )
  }

  #open(level: number, now: number): void {
    this.level = level
    this.until = now + Math.min(this.settings.openForMs * 2 ** level, this.settings.openForMaxMs)
    this.#enter('open', now)
  }

  #enter(name: Reference['name'], now: number): void {
    this.name = name
    this.epoch += 1
    this.since = now
    this.results = []
    this.probes = []
    this.issued = 0
    this.succeeded = 0
  }
}

t.test('over any course of requests and results it does what the plain reference does', async (t) => {
  const settings = SETTINGS
  const terms = TERMS
  const verdict = fc.constantFrom<readonly [Verdict, number]>(
    ['success', 5],
    ['success', 5],
    ['success', 900],
    ['failure', 5],
    ['failure', 900],
    ['neutral', 5],
  )
  const action = fc.oneof(
    fc.record({ kind: fc.constant('pause' as const), ms: fc.oneof(fc.nat(150), fc.nat(4000)) }),
    fc.record({ kind: fc.constant('admit' as const) }),
    fc.record({ kind: fc.constant('end' as const), which: fc.nat(20), result: verdict }),
    fc.record({ kind: fc.constant('end' as const), which: fc.constant(0), result: verdict }),
  )
  const reached = new Set<string>()
  const law = () =>
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 150 }), (actions) => {
        let now = 0
        let state: Breaker = closedBreaker(settings, now)
        const reference = new Reference(settings)
        const underway: { epoch: number; probe: number }[] = []
        for (const one of actions) {
          if (one.kind === 'pause') now += one.ms
          else if (one.kind === 'admit') {
            state = step(state, LOOK, now, terms)
            const admitted = admits(state, settings)
            if (admitted) state = step(state, START, now, terms)
            const probe = reference.admit(now)
            if (admitted !== (probe !== null)) throw new Error(`admitted ${admitted} at ${now}`)
            if (probe !== null)
              underway.push({ epoch: state.epoch, probe: state.kind === 'half-open' ? state.issued : 0 })
          } else {
            const ticket = underway.splice(one.which % Math.max(1, underway.length), 1)[0]
            if (ticket === undefined) continue
            const [how, totalMs] = one.result
            state = step(state, { kind: 'end', ...ticket, verdict: how, totalMs }, now, terms)
            reference.end(ticket.epoch, ticket.probe, one.result, now)
          }
          reached.add(state.kind)
          const until = state.kind === 'open' ? state.until : reference.until
          const mine = [state.kind, state.epoch, state.level, until].join()
          const theirs = [reference.name, reference.epoch, reference.level, reference.until].join()
          if (mine !== theirs) throw new Error(`${mine} is not ${theirs} at ${now}`)
        }
      }),
      { numRuns: 400 },
    )
  t.doesNotThrow(law)
  t.same([...reached].sort(), ['closed', 'half-open', 'open'], 'the courses reach every state')
})
