/**
 * The breaker as a machine: every state × every event in one table, then its limits one by one.
 * breaker-reference.test.ts holds it against a plain reference over long courses.
 */
import fc from 'fast-check'
import t from 'tap'
import type { BreakerSettings } from '../../src/domain/routes.ts'
import {
  admits,
  type Breaker,
  type BreakerEvent,
  closedBreaker,
  type HalfOpen,
  nameAt,
  type Open,
  step,
  type Terms,
} from '../../src/observe/breaker.ts'
import type { Verdict } from '../../src/observe/breaker-rules.ts'
import { RollingWindow, WINDOW_BUCKETS } from '../../src/observe/rolling-window.ts'

const SETTINGS: BreakerSettings = {
  windowMs: 10_000,
  minRequests: 10,
  failureRate: 0.5,
  slowAfterMs: 800,
  slowRate: 0.5,
  consecutive: 5,
  openForMs: 1000,
  openForMaxMs: 60_000,
  probes: 3,
  enforce: true,
}
/** Jitter of one half: exactly the nominal open time. */
const TERMS: Terms = { settings: SETTINGS, jitter: 0.5, leaseMs: 3000 }
const LOOK: BreakerEvent = { kind: 'look' }
const START: BreakerEvent = { kind: 'start' }

function ended(
  state: Breaker,
  verdict: Verdict,
  more: { probe?: number; totalMs?: number } = {},
): BreakerEvent {
  return { kind: 'end', epoch: state.epoch, probe: 0, totalMs: 5, verdict, ...more }
}

function feed(state: Breaker, verdicts: string, now: number, terms = TERMS): Breaker {
  const meanings: Record<string, [Verdict, number]> = {
    s: ['success', 5],
    S: ['success', 900],
    f: ['failure', 5],
    F: ['failure', 900],
    n: ['neutral', 5],
  }
  let after = state
  for (const letter of verdicts) {
    const [verdict, totalMs] = meanings[letter]!
    after = step(after, ended(after, verdict, { totalMs }), now, terms)
  }
  return after
}

function opened(now = 1000, terms = TERMS): Open {
  const state = feed(closedBreaker(terms.settings, now), 'fffff', now, terms)
  if (state.kind !== 'open') throw new Error('expected open')
  return state
}

/** Half-open with `probes` requests under way; the time is 2000. */
function halfOpened(probes: number, terms = TERMS): HalfOpen {
  let state = step(opened(1000, terms), LOOK, 2000, terms)
  for (let probe = 0; probe < probes; probe += 1) state = step(state, START, 2000, terms)
  if (state.kind !== 'half-open') throw new Error('expected half-open')
  return state
}

t.test('every state meets every event as the table says', async (t) => {
  const states = {
    closed: () => closedBreaker(SETTINGS, 1000),
    'closed, one failure before the limit': () => feed(closedBreaker(SETTINGS, 1000), 'ffff', 1000),
    open: () => opened(),
    'half-open, idle': () => halfOpened(0),
    'half-open, one probe': () => halfOpened(1),
    'half-open, full': () => halfOpened(3),
    'half-open, last probe': () => {
      let state: Breaker = halfOpened(3)
      state = step(state, ended(state, 'success', { probe: 1 }), 2000, TERMS)
      return step(state, ended(state, 'success', { probe: 2 }), 2000, TERMS)
    },
  }
  const events: Record<string, (state: Breaker) => readonly [BreakerEvent, number]> = {
    'look at once': () => [LOOK, 1999],
    'look when due': () => [LOOK, 2000],
    'look much later': () => [LOOK, 900_000],
    start: () => [START, 2000],
    success: (state) => [ended(state, 'success', { probe: latest(state) }), 2000],
    'slow success': (state) => [ended(state, 'success', { probe: latest(state), totalMs: 900 }), 2000],
    failure: (state) => [ended(state, 'failure', { probe: latest(state) }), 2000],
    neutral: (state) => [ended(state, 'neutral', { probe: latest(state) }), 2000],
    'success of an earlier epoch': (state) => [
      { kind: 'end', epoch: state.epoch - 1, probe: latest(state), verdict: 'success', totalMs: 5 },
      2000,
    ],
    'failure of an earlier epoch': (state) => [
      { kind: 'end', epoch: state.epoch - 1, probe: latest(state), verdict: 'failure', totalMs: 5 },
      2000,
    ],
    'failure that is no probe': (state) => [ended(state, 'failure', { probe: 0 }), 2000],
  }
  const idle = 'half-open 0+0'
  const table: Record<keyof typeof states, readonly string[]> = {
    closed: [
      'closed 0',
      'closed 0',
      'closed 0',
      'closed 0',
      'closed 0',
      'closed 0',
      'closed 1',
      'closed 0',
      'closed 0',
      'closed 0',
      'closed 1',
    ],
    'closed, one failure before the limit': [
      'closed 4',
      'closed 4',
      'closed 4',
      'closed 4',
      'closed 0',
      'closed 0',
      'open',
      'closed 4',
      'closed 4',
      'closed 4',
      'open',
    ],
    open: ['open', idle, idle, 'open', 'open', 'open', 'open', 'open', 'open', 'open', 'open'],
    'half-open, idle': [idle, idle, idle, 'half-open 0+1', idle, idle, idle, idle, idle, idle, idle],
    'half-open, one probe': [
      'half-open 0+1',
      'half-open 0+1',
      idle,
      'half-open 0+2',
      'half-open 1+0',
      'open',
      'open',
      idle,
      'half-open 0+1',
      'half-open 0+1',
      'half-open 0+1',
    ],
    'half-open, full': [
      'half-open 0+3',
      'half-open 0+3',
      idle,
      'half-open 0+3',
      'half-open 1+2',
      'open',
      'open',
      'half-open 0+2',
      'half-open 0+3',
      'half-open 0+3',
      'half-open 0+3',
    ],
    'half-open, last probe': [
      'half-open 2+1',
      'half-open 2+1',
      'half-open 2+0',
      'half-open 2+1',
      'closed 0',
      'open',
      'open',
      'half-open 2+0',
      'half-open 2+1',
      'half-open 2+1',
      'half-open 2+1',
    ],
  }
  for (const [stateName, make] of Object.entries(states)) {
    for (const [index, [eventName, eventOf]] of Object.entries(events).entries()) {
      const before = make()
      const [event, now] = eventOf(before)
      const { epoch, kind } = before
      const after = step(before, event, now, TERMS)
      t.equal(shown(after), table[stateName as keyof typeof states][index], `${stateName}: ${eventName}`)
      t.equal(after.epoch, after.kind === kind ? epoch : epoch + 1, `${stateName}: ${eventName}: epoch`)
    }
  }

  function latest(state: Breaker): number {
    return state.kind === 'half-open' ? state.issued : 0
  }
  function shown(state: Breaker): string {
    if (state.kind === 'closed') return `closed ${state.streak}`
    return state.kind === 'open' ? 'open' : `half-open ${state.succeeded}+${state.leases.length}`
  }
})

t.test('what opens a closed breaker, and the sentence it gives', async (t) => {
  const cases: readonly [string, string, string | null][] = [
    ['four failures in a row are one too few', 'ffff', null],
    ['five failures in a row', 'fffff', '5 requests failed in a row (limit 5); open for 1 s'],
    [
      'a neutral result neither adds to a row nor breaks it',
      'ffffnf',
      '5 requests failed in a row (limit 5); open for 1 s',
    ],
    ['a success breaks a row', 'ffffsff', null],
    ['rates wait for the minimum of requests', 'ffsffsffs', null],
    ['half of ten failed', 'sfsfsfsfsf', '5 of 10 requests failed in 10 s (limit 0.5); open for 1 s'],
    ['neutral results are not among the ten', 'nnnnnnnnnnsfsfsf', null],
    [
      'slow successes are no failures but slow',
      'SsSsSsSsSs',
      '5 of 10 requests took longer than 800 ms in 10 s (limit 0.5); open for 1 s',
    ],
    ['four slow of ten are below the limit', 'SsSsSsSsss', null],
    [
      'a slow failure is both',
      'FssFssSsSS',
      '5 of 10 requests took longer than 800 ms in 10 s (limit 0.5); open for 1 s',
    ],
  ]
  for (const [name, verdicts, why] of cases) {
    const state = feed(closedBreaker(SETTINGS, 1000), verdicts, 1000)
    t.equal(state.kind === 'open' ? state.why : null, why, name)
  }
})

t.test('failures older than the window are forgotten', async (t) => {
  let state: Breaker = closedBreaker(SETTINGS, 0)
  state = feed(state, 'fsfsfsfs', 500)
  t.equal(feed(state, 'sf', 9_999).kind, 'open', 'inside the window they count')
  state = feed(feed(closedBreaker(SETTINGS, 0), 'fsfsfsfs', 500), 'sf', 10_500)
  t.equal(state.kind, 'closed', 'a window later they do not')
})

t.test('the open time doubles with each failed probe up to its maximum, and decays with calm', async (t) => {
  const settings = { ...SETTINGS, openForMaxMs: 6000 }
  const terms = { ...TERMS, settings }
  let state: Breaker = opened(0, terms)
  const durations: number[] = []
  for (let round = 0; round < 5; round += 1) {
    if (state.kind !== 'open') throw new Error('expected open')
    durations.push(state.until - state.since)
    const now = state.until
    state = step(step(state, LOOK, now, terms), START, now, terms)
    state = step(state, ended(state, 'failure', { probe: 1 }), now, terms)
  }
  t.same(durations, [1000, 2000, 4000, 6000, 6000])

  const recovered = (now: number): Breaker => {
    let probing: Breaker = step(state, LOOK, 1e6, terms)
    for (let probe = 1; probe <= 3; probe += 1) {
      probing = step(probing, START, 1e6, terms)
      probing = step(probing, ended(probing, 'success', { probe }), 1e6, terms)
    }
    t.equal(probing.kind, 'closed')
    return feed(probing, 'fffff', now, terms)
  }
  const openFor = (after: Breaker): number => (after.kind === 'open' ? after.until - after.since : 0)
  t.equal(openFor(recovered(1e6 + 100)), 6000, 'trips again at once: no credit')
  t.equal(openFor(recovered(1e6 + 40_000)), 4000, 'four calm windows: four steps back')
  t.equal(openFor(recovered(1e6 + 500_000)), 1000, 'long calm: as at the start')
})

t.test('jitter spreads the open time by a fifth to both sides, never above the maximum', async (t) => {
  const openFor = (jitter: number, openForMaxMs = 60_000): number => {
    const state = opened(0, { ...TERMS, jitter, settings: { ...SETTINGS, openForMaxMs } })
    return Math.round(state.until - state.since)
  }
  t.equal(openFor(0), 800)
  t.equal(openFor(0.999999), 1200)
  t.equal(openFor(0.999999, 1000), 1000)
})

t.test('half-open lets exactly as many in as probes are missing', async (t) => {
  let state: Breaker = halfOpened(0)
  for (let probe = 0; probe < 3; probe += 1) {
    t.equal(admits(state, SETTINGS), true)
    state = step(state, START, 2000, TERMS)
  }
  t.equal(admits(state, SETTINGS), false, 'all slots are taken')
  state = step(state, ended(state, 'success', { probe: 2 }), 2000, TERMS)
  t.equal(admits(state, SETTINGS), false, 'a success keeps its slot: two more are needed and under way')
  state = step(state, ended(state, 'neutral', { probe: 1 }), 2000, TERMS)
  t.equal(admits(state, SETTINGS), true, 'a neutral probe releases its slot')
  t.equal(step(state, ended(state, 'neutral', { probe: 1 }), 2000, TERMS), state, 'and only once')
})

t.test('a probe that never comes back loses its slot when its lease ends', async (t) => {
  let state: Breaker = halfOpened(3)
  t.equal(admits(step(state, LOOK, 4999, TERMS), SETTINGS), false)
  state = step(state, LOOK, 5000, TERMS)
  t.equal(admits(state, SETTINGS), true)
  const late = step(state, ended(state, 'failure', { probe: 1 }), 5001, TERMS)
  t.equal(late, state, 'what comes after the lease says nothing')
})

t.test('an open breaker that is due shows what a request would meet', async (t) => {
  const state = opened(1000)
  t.equal(nameAt(state, 1999), 'open')
  t.equal(nameAt(state, 2000), 'half-open')
})

t.test('the rolling window counts what a list of all events counts', async (t) => {
  const events = fc.array(fc.tuple(fc.nat(3000), fc.boolean(), fc.boolean()), { maxLength: 80 })
  const law = () =>
    fc.assert(
      fc.property(events, fc.integer({ min: 10, max: 5000 }), (steps, windowMs) => {
        const window = new RollingWindow(windowMs)
        const all: { bucket: number; failed: boolean; slow: boolean }[] = []
        let now = 0
        for (const [pause, failed, slow] of steps) {
          now += pause
          const bucket = Math.floor(now / (windowMs / WINDOW_BUCKETS))
          all.push({ bucket, failed, slow })
          window.count(now, failed, slow)
          const inside = all.filter((one) => one.bucket > bucket - WINDOW_BUCKETS)
          const counted = [window.requests, window.failures, window.slow]
          const expected = [
            inside.length,
            ...[inside.filter((one) => one.failed), inside.filter((one) => one.slow)].map(
              (list) => list.length,
            ),
          ]
          if (counted.join() !== expected.join())
            throw new Error(`${counted.join()} is not ${expected.join()}`)
        }
      }),
      { numRuns: 60 },
    )
  t.doesNotThrow(law)
})
