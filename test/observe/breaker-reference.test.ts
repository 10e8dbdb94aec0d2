/**
 * The breaker against a plain reference that remembers everything, over random courses of requests,
 * results and pauses: same admissions, same states, same epochs, same open times.
 */
import fc from 'fast-check'
import t from 'tap'
import {
  admits,
  type Breaker,
  type BreakerEvent,
  closedBreaker,
  step,
  type Terms,
} from '../../src/observe/breaker.ts'
import type { Verdict } from '../../src/observe/breaker-rules.ts'
import { LEASE_MS, SETTINGS } from '../support/breaker-model.ts'
import { PlainBreaker } from '../support/plain-breaker.ts'

const TERMS: Terms = { settings: SETTINGS, jitter: 0.5, leaseMs: LEASE_MS }
const LOOK: BreakerEvent = { kind: 'look' }
const START: BreakerEvent = { kind: 'start' }

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
        const reference = new PlainBreaker(settings, TERMS.leaseMs)
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
