/**
 * Counting finished requests and reading the counts back: what the pages say equals what was observed,
 * over lanes, and whatever callers send the number of series stays what the configuration made it.
 */
import fc from 'fast-check'
import t from 'tap'
import type { Exchange, ShadowOutcome } from '../../src/domain/exchange.ts'
import { fault } from '../../src/domain/fault.ts'
import type { AnswerSummary, Attempt } from '../../src/domain/outcome.ts'
import { TOKENS_MAX } from '../../src/observe/vitals-slab.ts'
import { makeHead } from '../support/make-model.ts'
import { makeAttempt, makeExchange, makeLanes, scrape } from './make-lanes.ts'
import { NEVER } from './make-limiters.ts'

t.test('counts on the page equal what was observed, added up over lanes', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(2)
  const [one, two] = lanes as [(typeof lanes)[0], (typeof lanes)[0]]
  one.observer.exchange(makeExchange(snapshot))
  two.observer.exchange(makeExchange(snapshot))
  two.observer.exchange(
    makeExchange(snapshot, {
      attempts: [
        makeAttempt('v2', { role: 'canary', code: 'first-byte-timeout' }),
        makeAttempt('v1', { role: 'fallback', startedAt: 1010, phases: { totalMs: 4 } }),
      ],
      reason: 'fallback',
      degraded: 'version:v1',
      fault: fault('first-byte-timeout', 'x'),
      endedAt: 1016,
    }),
  )
  one.observer.exchange(
    makeExchange(snapshot, {
      attempts: [makeAttempt('v1', { code: 'breaker-open', endpoint: '', phases: { totalMs: 0 } })],
      served: '',
      reason: '',
      status: 503,
      fault: fault('breaker-open', 'x'),
      answer: null,
    }),
  )
  one.observer.exchange(
    makeExchange(snapshot, {
      model: null,
      intent: null,
      attempts: [],
      served: '',
      reason: '',
      status: 404,
      fault: fault('unknown-model', 'x'),
      answer: null,
    }),
  )
  one.observer.exchange(
    makeExchange(snapshot, {
      intent: null,
      attempts: [],
      served: '',
      reason: '',
      status: 400,
      fault: fault('malformed-json', 'x'),
      answer: null,
    }),
  )
  const { values } = await scrape(observatory)
  const get = (name: string) => values.get(name)
  t.equal(get('modelgate_requests_total{model="fraud",version="v1",reason="primary",class="2xx"}'), 2)
  t.equal(get('modelgate_requests_total{model="fraud",version="v1",reason="fallback",class="2xx"}'), 1)
  t.equal(get('modelgate_requests_total{model="fraud",version="(none)",reason="none",class="5xx"}'), 1)
  t.equal(get('modelgate_requests_total{model="(unknown)",version="(none)",reason="none",class="4xx"}'), 1)
  t.equal(
    get('modelgate_requests_total{model="fraud",version="(none)",reason="none",class="4xx"}'),
    1,
    'a refusal belongs to the model that was asked',
  )
  t.equal(
    get('modelgate_requests_total{model="price",version="(none)",reason="none",class="5xx"}'),
    0,
    'zero from the start',
  )
  t.equal(get('modelgate_faults_total{model="fraud",code="first-byte-timeout"}'), 1)
  t.equal(get('modelgate_faults_total{model="(unknown)",code="unknown-model"}'), 1)
  t.equal(get('modelgate_attempts_total{model="fraud",version="v1",role="primary",verdict="success"}'), 2)
  t.equal(get('modelgate_attempts_total{model="fraud",version="v1",role="primary",verdict="refused"}'), 1)
  t.equal(get('modelgate_attempts_total{model="fraud",version="v2",role="canary",verdict="failure"}'), 1)
  t.equal(get('modelgate_consequences_total{model="fraud",class="timeout",action="version"}'), 1)
  t.equal(get('modelgate_consequences_total{model="fraud",class="breaker_open",action="fail"}'), 1)
  t.equal(get('modelgate_request_body_bytes_total'), 30)
  t.equal(get('modelgate_answer_body_bytes_total'), 21)
  t.equal(get('modelgate_request_duration_seconds_count{model="fraud"}'), 5)
  t.equal(get('modelgate_request_duration_seconds_count{model="(unknown)"}'), 1)
  t.equal(get('modelgate_attempt_duration_seconds_count{model="fraud",version="v1",role="primary"}'), 2)
  t.equal(
    get('modelgate_overhead_duration_seconds_bucket{le="0.0025",model="fraud",version="v1",role="primary"}'),
    2,
  )
  t.equal(
    get('modelgate_overhead_duration_seconds_bucket{le="0.001",model="fraud",version="v1",role="primary"}'),
    0,
  )
  const total = [...values]
    .filter(([name]) => name.startsWith('modelgate_requests_total{'))
    .reduce((sum, [, value]) => sum + value, 0)
  t.equal(total, 6, 'every request is in exactly one series')
  const traffic = observatory.traffic()[0]!
  t.same(
    [traffic.model, traffic.requests, [...traffic.served]],
    [
      'fraud',
      5,
      [
        ['v1', 3],
        ['v2', 0],
      ],
    ],
  )
})

t.test('overhead is the time in which no attempt was under way, for the version that answered', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(1)
  const attempts = [
    makeAttempt('v2', { role: 'canary', startedAt: 1001, phases: { totalMs: 10 }, code: 'endpoint-error' }),
    makeAttempt('v1', { role: 'fallback', startedAt: 1005, phases: { totalMs: 10 } }),
    makeAttempt('v1', { role: 'fallback', startedAt: 1017, phases: { totalMs: 2 } }),
  ]
  lanes[0]!.observer.exchange(makeExchange(snapshot, { attempts, startedAt: 1000, endedAt: 1020 }))
  const overhead = observatory.stats().filter(({ phase }) => phase === 'overhead')
  t.equal(overhead.length, 1)
  t.match(overhead[0], { version: 'v1', role: 'fallback', count: 1 })
  t.ok(Math.abs(overhead[0]!.max_ms - 4) < 0.01, '20 ms less [1001, 1015] and [1017, 1019]')
})

t.test('phases that were not reached, reused connections and refusals leave no durations', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(1)
  const reused = { ...makeAttempt('v1', { phases: { connectMs: 0 } }) }
  const attempts = [
    { ...reused, result: { ...reused.result, reused: true } },
    makeAttempt('v2', { code: 'connect-timeout', phases: { firstByteMs: -1, connectMs: -1 } }),
    makeAttempt('v2', { role: 'fallback', code: 'breaker-open', endpoint: '' }),
  ]
  lanes[0]!.observer.exchange(makeExchange(snapshot, { attempts, endedAt: 1020 }))
  t.same(
    observatory.stats().map(({ version, role, phase, count }) => [version, role, phase, count]),
    [
      ['v1', 'primary', 'first_byte', 1],
      ['v1', 'primary', 'total', 1],
      ['v1', 'primary', 'overhead', 1],
      ['v2', 'primary', 'total', 1],
      ['', '', 'request', 1],
    ],
  )
})

t.test('each shadow copy is counted once, sent or not, with how its answer compared', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(1)
  const { observer } = lanes[0]!
  const version = snapshot.versions[1]!
  const outcome: ShadowOutcome = {
    id: 'x',
    model: 'fraud',
    version: 'v2',
    fate: 'answered',
    attempt: makeAttempt('v2', { role: 'shadow' }),
    agreement: 'differ',
    differences: [0.2],
    endedAt: 1,
    receivedAt: 1,
  }
  observer.shadowEnded(outcome, version)
  observer.shadowEnded(
    { ...outcome, fate: 'cap', attempt: null, agreement: 'not-compared', differences: [] },
    version,
  )
  observer.shadowEnded(
    { ...outcome, fate: 'too_large', attempt: null, agreement: 'not-compared', differences: [] },
    version,
  )
  observer.shadowSkipped(version, 'sampled_out')
  observer.serverQuestion()
  const { values } = await scrape(observatory)
  const fates = [...values].filter(([name, value]) => name.startsWith('modelgate_shadows_total') && value > 0)
  t.same(
    fates.map(([name, value]) => [/fate="(\w+)"/.exec(name)?.[1], value]),
    [
      ['answered', 1],
      ['too_large', 1],
      ['cap', 1],
      ['sampled_out', 1],
    ],
  )
  t.equal(values.get('modelgate_shadow_agreements_total{model="fraud",version="v2",agreement="differ"}'), 1)
  t.equal(values.get('modelgate_attempt_duration_seconds_count{model="fraud",version="v2",role="shadow"}'), 1)
  t.equal(
    values.get('modelgate_requests_total{model="fraud",version="v2",reason="canary",class="2xx"}'),
    0,
    'a shadow is no request',
  )
  t.equal(values.get('modelgate_server_questions_total'), 1)
})

/** An answer of v1 that was passed on and has ended. */
function passedOn(bodyBytes: number, more: Partial<Exchange> & Partial<AnswerSummary> = {}) {
  const { finishReason = 'stop', usage = null, events = 3, problem = '', ...rest } = more
  const whole = makeAttempt('v1', { phases: { firstByteMs: 120, totalMs: 900 } })
  const passed = { status: 200, headers: [], bodyBytes, isOpen: false }
  const attempt: Attempt = { ...whole, result: { ...whole.result, answer: null, passed } }
  const summary: AnswerSummary = { finishReason, usage, events, problem }
  const exchange = { attempts: [attempt], answer: null, passed, summary, endedAt: 1900, ...rest }
  return exchange
}

t.test('a streamed answer is counted once, at its end, and is open until then', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(2)
  const [v1, v2] = snapshot.versions as [(typeof snapshot.versions)[0], (typeof snapshot.versions)[0]]
  const [one, two] = lanes.map(({ observer }) => observer) as [
    (typeof lanes)[0]['observer'],
    (typeof lanes)[0]['observer'],
  ]
  for (const observer of [one, one, one, two]) observer.streamOpened(v1)
  two.streamOpened(v2)
  two.streamOpened(v2)
  two.streamEnded(v2, null)
  const streams = async () => {
    const { values } = await scrape(observatory)
    const get = (version: string, fate: string) =>
      values.get(`modelgate_streams_total{model="fraud",version="${version}",fate="${fate}"}`)
    return {
      values,
      open: ['v1', 'v2'].map((name) => values.get(`modelgate_streams_open{model="fraud",version="${name}"}`)),
      ended: ['complete', 'broken', 'client-gone'].map((fate) => get('v1', fate)),
    }
  }
  const before = await streams()
  t.same(
    [before.open, before.ended],
    [
      [4, 1],
      [0, 0, 0],
    ],
  )
  t.equal(before.values.get('modelgate_answer_body_bytes_total'), 0, 'what is open has no end to count')

  const complete = passedOn(1000, { usage: { prompt: 12, completion: 30, total: 42 } })
  one.exchange(makeExchange(snapshot, complete))
  one.streamEnded(v1, 'complete')
  const cut = fault('truncated-answer', 'x')
  const broken = passedOn(200, { finishReason: '', fault: cut })
  one.exchange(makeExchange(snapshot, { ...broken, fault: cut }))
  one.streamEnded(v1, 'broken')
  const left = passedOn(50, {
    finishReason: 'a"} 1\nevil 1',
    usage: { prompt: 5, completion: -1, total: -1 },
  })
  two.exchange(makeExchange(snapshot, { ...left, status: 200, fault: fault('client-gone', 'x') }))
  two.streamEnded(v1, 'client-gone')

  const { values, open, ended } = await streams()
  t.same(
    [open, ended],
    [
      [1, 1],
      [1, 1, 1],
    ],
  )
  const get = (name: string) => values.get(`modelgate_${name}`)
  t.equal(get('answer_body_bytes_total'), 1250)
  t.equal(get('requests_total{model="fraud",version="v1",reason="primary",class="2xx"}'), 3)
  t.equal(get('faults_total{model="fraud",code="truncated-answer"}'), 1)
  t.equal(get('faults_total{model="fraud",code="client-gone"}'), 1)
  t.same(
    ['prompt', 'completion'].map((kind) => get(`tokens_total{model="fraud",version="v1",kind="${kind}"}`)),
    [17, 30],
  )
  const finished = (reason: string) =>
    get(`finish_reasons_total{model="fraud",version="v1",reason="${reason}"}`)
  t.same(
    [finished('stop'), finished('length'), finished('other')],
    [1, 0, 1],
    'what was not said counts nowhere',
  )
  const first = observatory.stats().find(({ phase }) => phase === 'first_byte')
  t.match(first, { version: 'v1', role: 'primary', count: 3 })
  t.ok(Math.abs(first!.p50_ms - 120) < 0.2, 'the first content, not the first byte of a head')
})

t.test(
  'tokens of a held answer count too; numbers that are none do not, and nobody else’s are taken',
  async (t) => {
    const { observatory, lanes, snapshot } = makeLanes(1)
    const { observer } = lanes[0]!
    const told = (prompt: number, completion: number, more: Partial<Exchange> = {}) => {
      const usage = { prompt, completion, total: prompt + completion }
      const summary = { finishReason: 'length', usage, events: -1, problem: '' }
      observer.exchange(makeExchange(snapshot, { summary, ...more }))
    }
    told(3, 4)
    for (const nonsense of [-1, Number.NaN, Infinity, TOKENS_MAX + 1]) told(nonsense, nonsense)
    told(TOKENS_MAX, 0)
    told(100, 100, { served: '', reason: '', answer: null })
    told(100, 100, { model: null, attempts: [], served: 'v1' })
    const { values } = await scrape(observatory)
    const found = [...values].filter(([name, value]) => /_tokens_|_finish_/.test(name) && value > 0)
    t.same(found, [
      ['modelgate_tokens_total{model="fraud",version="v1",kind="prompt"}', TOKENS_MAX + 3],
      ['modelgate_tokens_total{model="fraud",version="v1",kind="completion"}', 4],
      ['modelgate_finish_reasons_total{model="fraud",version="v1",reason="length"}', 6],
    ])
  },
)

t.test('load, breaker states, openings and refusals are on the page', async (t) => {
  const { clock, observatory, lanes, snapshot } = makeLanes(2)
  const model = snapshot.models.get('fraud')!
  const version = snapshot.versions[0]!
  const { vitals, limiter, sweep } = lanes[1]!
  t.teardown(() => sweep.stop())
  for (let count = 0; count < 3; count += 1) limiter.enter(model, { proceed() {} }, clock.now(), NEVER)
  for (let time = 0; time < 6; time += 1) {
    const ticket = vitals.admit(version, clock.now())
    if (ticket !== null) vitals.settle(ticket, 'failure', 5, clock.now())
  }
  const { values } = await scrape(observatory)
  const get = (name: string) => values.get(`modelgate_${name}`)
  t.same([get('requests_running{model="fraud"}'), get('requests_queued{model="fraud"}')], [2, 1])
  const state = (name: string) => get(`breaker_state{model="fraud",version="v1",state="${name}"}`)
  t.same([state('closed'), state('half-open'), state('open')], [0, 0, 1], 'one breaker for both lanes')
  t.equal(get('breaker_opens_total{model="fraud",version="v1"}'), 1)
  t.equal(get('breaker_refusals_total{model="fraud",version="v1"}'), 1)
  const report = observatory.breakers()[0]!
  t.match(report, { model: 'fraud', version: 'v1', state: 'open', enforced: true, opens: 1, refusals: 1 })
  t.match(report.why, /^5 requests failed in a row/)
  t.equal(lanes[0]!.vitals.admit(version, clock.now()), null, 'what one lane found out the other knows')
  t.equal(report.since, new Date(clock.wall()).toISOString())
  t.match(report.changes, [{ from: 'closed', to: 'open' }])
})

t.test('connections are counted as they come, are turned away and end', async (t) => {
  const { observatory, lanes } = makeLanes(2)
  for (const what of ['opened', 'opened', 'refused', 'closed', 'closed'] as const)
    lanes[0]!.observer.connection(what)
  lanes[1]!.observer.connection('opened')
  const { values } = await scrape(observatory)
  t.equal(values.get('modelgate_open_connections'), 2)
  t.equal(values.get('modelgate_connections_total'), 3)
  t.equal(values.get('modelgate_connections_refused_total'), 1)
})

t.test('hostile names make no series and no error: the page has the size it had', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(1)
  const { observer } = lanes[0]!
  observer.exchange(makeExchange(snapshot))
  observer.exchange(
    makeExchange(snapshot, {
      model: null,
      intent: null,
      attempts: [],
      served: '',
      reason: '',
      status: 404,
      fault: fault('unknown-model', 'x'),
    }),
  )
  const before = await scrape(observatory)
  const hostile = fc.oneof(
    fc.string(),
    fc.constantFrom('__proto__', 'constructor', 'a"} 1\nevil 1', '\n', '\\'),
  )
  fc.assert(
    fc.property(hostile, hostile, (name, version) => {
      observer.exchange(
        makeExchange(snapshot, {
          model: null,
          intent: null,
          head: makeHead({ target: `/v2/models/${name}/infer`, path: `/v2/models/${name}/infer` }),
          served: version,
          reason: '',
          status: 404,
          fault: fault('unknown-model', `no model '${name}'`, version),
          attempts: [],
        }),
      )
      observer.exchange(makeExchange(snapshot, { attempts: [makeAttempt(version)], served: 'v1' }))
    }),
  )
  const after = await scrape(observatory)
  t.same([...after.values.keys()], [...before.values.keys()])
  t.equal(after.values.get('modelgate_faults_total{model="(unknown)",code="unknown-model"}'), 101)
})
