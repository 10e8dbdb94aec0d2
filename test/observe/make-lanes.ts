/** Lanes that observe, exchanges to observe, and a strict reader of the page: for tests of the counts. */
import type { Exchange } from '../../src/domain/exchange.ts'
import { type FaultCode, fault } from '../../src/domain/fault.ts'
import type { Attempt, HedgeWinner, Phases, Role } from '../../src/domain/outcome.ts'
import { NO_PRESSURE } from '../../src/domain/pressure.ts'
import type { Snapshot } from '../../src/domain/routes.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { BreakerMemory } from '../../src/observe/breaker-memory.ts'
import { GlobalPlaces, makePlaces } from '../../src/observe/global-places.ts'
import { Limiter } from '../../src/observe/limiter.ts'
import { Observatory } from '../../src/observe/observatory.ts'
import { Observer } from '../../src/observe/observer.ts'
import { Vitals } from '../../src/observe/vitals.ts'
import { LoadedChance } from '../support/loaded-chance.ts'
import { makeHead, makeIntent } from '../support/make-model.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeSnapshot } from './make-snapshot.ts'

export function makeLanes(count: number, snapshot: Snapshot = makeSnapshot()) {
  const clock = new ManualClock()
  const limits = [...snapshot.models.values()].map((model) => model.limits.concurrent)
  const memory = makePlaces(limits, count)
  const breakers = new BreakerMemory(snapshot).create()
  const observatory = new Observatory({ snapshot: () => snapshot, breakers, clock, version: '1.2.3' })
  const lanes = Array.from({ length: count }, (_, lane) => {
    const vitals = new Vitals({
      snapshot,
      breakers,
      seat: lane,
      clock,
      chance: new LoadedChance(0.5),
      announce: (announcement) => observatory.take(lane, structuredClone(announcement)),
    })
    const places = new GlobalPlaces(memory, { models: snapshot.models.size, lanes: count }, lane)
    const sweep = new Sweep(clock)
    const limiter = new Limiter({ places, adaptive: null, pressure: NO_PRESSURE, sweep, slab: vitals.slab })
    return { vitals, limiter, sweep, observer: new Observer(vitals) }
  })
  return { clock, observatory, lanes, snapshot }
}

export function makeAttempt(
  version: string,
  more: {
    role?: Role
    phases?: Partial<Phases>
    code?: FaultCode
    startedAt?: number
    endpoint?: string
    hedgeWon?: HedgeWinner
  } = {},
): Attempt {
  const { role = 'primary', phases = {}, code, startedAt = 1000, endpoint = 'http://10.0.0.1' } = more
  const { hedgeWon: won } = more
  return {
    version,
    role,
    startedAt,
    verdict: code === undefined ? 'success' : 'failure',
    result: {
      endpoint,
      phases: { queueMs: -1, connectMs: 2, firstByteMs: 8, totalMs: 10, ...phases },
      reused: false,
      answer: code === undefined ? { status: 200, headers: [], body: new Uint8Array(7) } : null,
      fault: code === undefined ? null : fault(code, 'x'),
      hedge: won === undefined ? undefined : { first: endpoint, second: 'http://10.0.0.2', afterMs: 5, won },
    },
  }
}

export function makeExchange(snapshot: Snapshot, more: Partial<Exchange> = {}): Exchange {
  return {
    id: 'x',
    generation: 3,
    configHash: '',
    auditMode: 'batched',
    receivedAt: 0,
    startedAt: 999,
    endedAt: 1010.5,
    head: makeHead(),
    model: snapshot.models.get('fraud')!,
    intent: makeIntent(snapshot.models.get('fraud')!),
    plan: null,
    attempts: [makeAttempt('v1')],
    served: 'v1',
    reason: 'primary',
    degraded: '',
    status: 200,
    fault: null,
    requestBody: new Uint8Array(5),
    asides: [],
    kept: null,
    answer: { status: 200, headers: [], body: new Uint8Array(7) },
    passed: null,
    summary: null,
    ...more,
  }
}

/** Prometheus text as samples; throws on a line that is none. */
export function parse(text: string) {
  const values = new Map<string, number>()
  const types = new Map<string, string>()
  for (const line of text.split('\n')) {
    if (line === '' || line === '# EOF') continue
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line)
    if (comment !== null) {
      if (comment[1] === 'TYPE') types.set(comment[2]!, comment[3]!)
      continue
    }
    const sample = /^([a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})?) (-?[0-9.e+-]+|\+Inf|NaN)$/.exec(
      line,
    )
    if (sample === null) throw new Error(`not a sample: ${line}`)
    if (values.has(sample[1]!)) throw new Error(`twice: ${line}`)
    values.set(sample[1]!, Number(sample[2]))
  }
  return { values, types }
}

export async function scrape(observatory: Observatory) {
  return parse((await observatory.metrics('')).text)
}
