/**
 * All orders of events that two copies can meet, over a transport that does what it is told: whatever happens, whoever
 * receives the answer gets one head, one body of one copy, one end, and nothing is left open.
 */
import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import type { AnswerHead, AttemptResult } from '../../src/domain/outcome.ts'
import type { Receiver } from '../../src/domain/wire.ts'
import { Peers } from '../../src/forward/balance/peers.ts'
import type { Connection } from '../../src/forward/connection.ts'
import { HedgedAttempt } from '../../src/forward/hedge.ts'
import { InFlight } from '../../src/forward/in-flight.ts'
import type { Pool, Taker } from '../../src/forward/pool.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { endpointAt } from '../support/endpoint-at.ts'
import { LoadedChance } from '../support/loaded-chance.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { POST, TIMEOUTS, versionOf } from './carry.ts'

type Step =
  | { readonly of: 0 | 1; readonly what: 'granted' | 'sent' | 'body' | 'whole' | 'lost' }
  | { readonly of: 0 | 1; readonly what: 'head'; readonly status: number }
  | { readonly what: 'pass-time'; readonly ms: number }
  | { readonly what: 'cancel' | 'resume' }

/** Stands for pool and connection of one copy; obeys the contract of `Carried` and checks the other side's. */
class Line {
  readonly name: string
  taker: Taker | undefined
  isOpen = false
  isSent = false
  hasHead = false
  isPaused = false
  readonly #clock: ManualClock

  constructor(name: string, clock: ManualClock) {
    this.name = name
    this.#clock = clock
  }

  get pool(): Pool {
    const pool = {
      acquire: (taker: Taker) => {
        this.taker = taker
        return 'waiting'
      },
      again: (taker: Taker) => {
        this.taker = taker
      },
      stopWaiting: () => {
        if (!this.isOpen) this.taker = undefined
      },
    }
    return pool as unknown as Pool
  }

  get #connection(): Connection {
    const connection = {
      isConnecting: false,
      send: () => {},
      resume: () => {
        this.isPaused = false
      },
      leave: () => this.#gone(),
      fail: (code: 'answer-too-large') => this.#lose(code),
    }
    return connection as unknown as Connection
  }

  /** What cannot happen now does not. */
  play(step: Extract<Step, { of: 0 | 1 }>): void {
    const { taker } = this
    const now = this.#clock.now()
    if (taker === undefined) return
    if (step.what === 'granted') {
      if (this.isOpen) return
      this.isOpen = true
      taker.granted(this.#connection, now)
    } else if (!this.isOpen) return
    else if (step.what === 'sent') {
      if (!this.isSent) taker.sent(now)
      this.isSent = true
    } else if (step.what === 'lost') this.#lose('closed-before-answer')
    else if (step.what === 'head') {
      if (this.hasHead) return
      this.hasHead = true
      taker.head({ status: step.status, headers: [], bodyBytes: -1 })
      if (this.isOpen) taker.progressed(now, false)
    } else if (!this.hasHead || this.isPaused) return
    else if (step.what === 'body') {
      if (!taker.body(Buffer.from(this.name))) this.isPaused = true
      if (this.isOpen) taker.progressed(now, false)
    } else {
      this.#gone()
      taker.answered(now)
    }
  }

  #lose(code: 'closed-before-answer' | 'answer-too-large'): void {
    const { taker } = this
    const isUnanswered = !this.hasHead
    this.#gone()
    taker?.failed({ code, detail: '', isUnanswered, isBehind: false }, this.#clock.now())
  }

  #gone(): void {
    this.isOpen = false
    this.isPaused = false
    this.taker = undefined
  }
}

class Told implements Receiver {
  awaitsContent = false
  bodyBytesMax = Number.POSITIVE_INFINITY
  readonly heads: AnswerHead[] = []
  readonly results: AttemptResult[] = []
  bytes = ''
  isCancelled = false
  /** Asks to wait after so many bytes. */
  readonly #pausesAt: number

  constructor(pausesAt: number) {
    this.#pausesAt = pausesAt
  }

  head(head: AnswerHead): void {
    this.#isListening('head')
    this.heads.push(head)
  }

  body(bytes: Uint8Array): boolean {
    this.#isListening('body')
    if (this.heads.length !== 1) throw new Error('a body without a head')
    this.bytes += Buffer.from(bytes).toString()
    return this.bytes.length !== this.#pausesAt
  }

  done(result: AttemptResult): void {
    this.#isListening('done')
    this.results.push(result)
  }

  #isListening(what: string): void {
    if (this.isCancelled || this.results.length > 0) throw new Error(`${what} after the end`)
  }
}

const of = fc.constantFrom<0 | 1>(0, 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ of, what: fc.constantFrom('granted', 'sent', 'body', 'whole', 'lost') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      of,
      what: fc.constant('head' as const),
      status: fc.constantFrom(200, 200, 404, 429, 503),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constant('pass-time' as const), ms: fc.constantFrom(1, 20, 300) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('cancel' as const, 'resume' as const) }) },
) as fc.Arbitrary<Step>

const AFTER_MS = 30
/** Both copies are under way. */
const BEGIN: readonly Step[] = [
  { of: 0, what: 'granted' },
  { of: 0, what: 'sent' },
  { what: 'pass-time', ms: AFTER_MS },
  { of: 1, what: 'granted' },
]

/** Plays all of it, then lets time end what is left; throws when a promise is broken. */
function play(steps: readonly Step[], pausesAt: number, isAllowed: boolean): AttemptResult | undefined {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  const version = versionOf(endpointAt('a', 1), endpointAt('b', 1))
  const peers = new Peers(version, { chance: new LoadedChance(0.5) })
  const lines = [new Line('A', clock), new Line('B', clock)] as const
  const told = new Told(pausesAt)
  const limits = { timeouts: TIMEOUTS, deadlineAt: Number.POSITIVE_INFINITY }
  let copies = 0
  const attempt = new HedgedAttempt(
    { afterMs: () => AFTER_MS, mayStart: () => isAllowed, began: () => {} },
    {
      clock,
      sweep,
      limits,
      receiver: told,
      isOnly: false,
      launch: (receiver, avoid, sinceMs) => {
        const peer = peers.choose({ key: '', avoid }, clock.now())
        const mission = {
          version,
          peers,
          peer,
          request: POST,
          head: '',
          limits,
          receiver,
          sinceMs,
          isAlone: true,
        }
        const flight = new InFlight(mission, clock, sweep)
        flight.start(lines[copies]!.pool)
        copies += 1
        return flight
      },
    },
  )
  try {
    for (const one of steps) {
      if ('of' in one) lines[one.of].play(one)
      else if ('ms' in one) {
        clock.advance(one.ms)
        sweep.run()
      } else if (one.what === 'resume') attempt.resume()
      else {
        if (told.results.length === 0) told.isCancelled = true
        attempt.cancel()
      }
      attempt.soFar()
    }
    // Nobody answers any more: every clock runs out, and so does that of a receiver that waits.
    for (let tick = 0; tick < 4; tick += 1) {
      attempt.resume()
      clock.advance(TIMEOUTS.totalMs)
      sweep.run()
    }
    check(told, copies, peers, lines)
    if (sweep.size !== 0) throw new Error(`${sweep.size} still watched`)
  } finally {
    sweep.stop()
  }
  return told.results[0]
}

function check(told: Told, copies: number, peers: Peers, lines: readonly Line[]): void {
  if (!told.isCancelled && told.results.length !== 1) throw new Error(`${told.results.length} ends`)
  if (told.isCancelled && told.results.length > 0) throw new Error('an end after a cancel')
  if (/A/.test(told.bytes) && /B/.test(told.bytes)) throw new Error(`mixed: ${told.bytes}`)
  for (const line of lines) if (line.taker !== undefined) throw new Error(`${line.name} is still open`)
  for (const { load } of peers.all) if (load.outstanding !== 0) throw new Error('load is still counted')
  const [result] = told.results
  if (result === undefined) return
  if ((result.hedge !== undefined) !== (copies === 2)) throw new Error('a second copy and no word of it')
  if (result.fault === null && told.heads.length !== 1) throw new Error('complete without a head')
  const winner = result.hedge?.won ?? 'none'
  const isTold = result.endpoint === peers.all[told.bytes.startsWith('B') ? 1 : 0]!.endpoint.url
  if (told.bytes !== '' && !isTold) throw new Error('the answer of one endpoint under the name of the other')
  if (winner === 'second' && result.endpoint !== result.hedge?.second) throw new Error('won and not named')
}

t.test('in every order of events there is one end, no mixture, and nothing left open', async (t) => {
  let hedged = 0
  let won = 0
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        fc.integer({ min: 0, max: 4 }),
        fc.boolean(),
        (steps, pausesAt, isBoth) => {
          const result = play(isBoth ? [...BEGIN, ...steps] : steps, pausesAt, isBoth || steps.length % 2 > 0)
          if (result?.hedge !== undefined) hedged += 1
          if (result?.hedge?.won === 'second') won += 1
        },
      ),
      { numRuns: 4000 },
    ),
  )
  t.ok(
    hedged > 400 && won > 40,
    `the orders are not trivial: ${hedged} hedged, ${won} won by the second copy`,
  )
})

t.test('the shortest orders, all of them', async (t) => {
  const whats = ['granted', 'head', 'body', 'whole', 'lost'] as const
  const events: Step[] = [
    ...([0, 1] as const).flatMap((of) =>
      whats.map(
        (what): Step => (what === 'head' ? { of, what, status: of === 0 ? 200 : 503 } : { of, what }),
      ),
    ),
    { what: 'pass-time', ms: AFTER_MS },
    { what: 'cancel' },
  ]
  let orders = 0
  for (const one of events)
    for (const two of events)
      for (const three of events)
        for (const four of events) {
          play([...BEGIN, one, two, three, four], 2, true)
          orders += 1
        }
  t.equal(orders, events.length ** 4)
})
