/**
 * What breakers do to traffic, through one gateway: each test has a model and an endpoint of its own. Nothing here
 * depends on how fast anything is: what has to stay open stays open for a minute, what has to end soon is asked until it does.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, recordsIn } from '../support/read-records.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway } from '../support/start-gateway.ts'

type Mood = 'well' | 'failing' | 'slow' | 'busy' | 'refusing' | 'silent'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

/** Far more than what counts as slow: a timer may be early by as long as a turn of the loop took. */
const SLOW_MS = 500

/** An endpoint whose mood a test changes, and which counts what it is asked. */
async function moody() {
  const state = { mood: 'well' as Mood, asked: 0 }
  const script: Script = async (connection) => {
    for (;;) {
      await connection.request()
      state.asked += 1
      if (state.mood === 'slow') await connection.pause(SLOW_MS)
      if (state.mood === 'failing') connection.send(plainAnswer(500, 'ill'))
      else if (state.mood === 'busy') connection.send(plainAnswer(429, 'later'))
      else if (state.mood === 'refusing') connection.send(plainAnswer(422, 'no'))
      else if (state.mood !== 'silent') connection.send(WELL)
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return { upstream, state }
}

interface Breaker {
  readonly state: string
  readonly why: string
  readonly enforced: boolean
  readonly opens: number
  readonly refusals: number
  readonly changes: readonly { readonly from: string; readonly to: string; readonly why: string }[]
}

/** Breakers by model. Where slowness is not the subject nothing is slow. */
const BREAKERS = {
  row: 'consecutive = 3, min_requests = 1000, open_for = "1m"',
  back: 'consecutive = 3, min_requests = 1000, open_for = "300ms", open_for_max = "300ms", probes = 2',
  again: 'consecutive = 1, open_for = "50ms", open_for_max = "10s", probes = 1',
  slow: 'consecutive = 1000, min_requests = 6, slow_after = "50ms", slow_rate = 0.5, open_for = "1m"',
  share: 'consecutive = 1000, min_requests = 8, failure_rate = 0.5, open_for = "1m"',
  silent: 'consecutive = 2, min_requests = 2, failure_rate = 0.1, open_for = "1m"',
  abandoned: 'consecutive = 1, open_for = "30ms", open_for_max = "30ms", probes = 1',
  fallback: 'consecutive = 1, open_for = "1m"',
  lenient: 'consecutive = 2, open_for = "1m", enforce = false',
} as const

type Name = keyof typeof BREAKERS

const model = (name: Name, url: string) => `
[models.${name}]
timeouts = { connect = "20s", first_byte = "20s", total = "20s" }
breaker = { window = "1m", ${name === 'slow' ? '' : 'slow_after = "20s", '}${BREAKERS[name]} }
[models.${name}.versions.v1]
endpoints = ["${url}"]
`

const names = Object.keys(BREAKERS) as Name[]
const endpoints = new Map(await Promise.all(names.map(async (name) => [name, await moody()] as const)))
const gateway = await startTestGateway(t, {
  files: { 'plain.js': javascriptModel('1') },
  toml: `${names.map((name) => model(name, endpoints.get(name)!.upstream.url)).join('')}
[models.fallback.on_failure]
error = ["version:v2"]
breaker_open = ["version:v2"]
[models.fallback.versions.v2]
runtime = "javascript"
file = "plain.js"
[models.fallback.route]
primary = "v1"
`,
})

const stateOf = (name: Name) => endpoints.get(name)!.state
const ask = (name: Name) => gateway.infer(name, tensorOf('x', [1]))

async function breakerOf(name: Name): Promise<Breaker> {
  const told = (await gateway.admin('/api/v1/breakers')).json() as {
    breakers: readonly (Breaker & { readonly model: string; readonly version: string })[]
  }
  return told.breakers.find(({ model, version }) => model === name && version === 'v1')!
}

/** What the log tells of the breaker of a model, in order. */
async function changesOf(name: Name) {
  const notes = (await recordsIn(gateway.dataDir)).flatMap((one) =>
    one.type === 'breaker' ? [one.note] : [],
  )
  return notes.filter(({ model }) => model === name)
}

/** A caller whose request has reached the endpoint, which says nothing. */
async function waiting(name: Name): Promise<RawClient> {
  const state = stateOf(name)
  const askedBefore = state.asked
  const client = await RawClient.open(gateway.port)
  const body = tensorOf('x', [1])
  client.send(
    `POST /v2/models/${name}/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  await eventually(() => state.asked > askedBefore, { until: 'the request reached the endpoint' })
  return client
}

async function callersGone(name: Name, count: number): Promise<void> {
  const gone = async () =>
    (await metricsOf(gateway)).value('modelgate_faults_total', { model: name, code: 'client-gone' })
  await eventually(async () => (await gone()) === count, { until: `${count} callers gone` })
}

t.test('failures in a row open it, and the endpoint is left alone', async (t) => {
  const state = stateOf('row')
  t.equal((await ask('row')).status, 200)
  state.mood = 'failing'
  for (let count = 0; count < 3; count += 1)
    t.match((await ask('row')).headers, { 'modelgate-error': 'endpoint-error' })
  const askedBefore = state.asked
  const refused = await ask('row')
  t.equal(refused.status, 503)
  t.match(refused.json(), { error: /circuit breaker of version 'v1' of model 'row' is open/ })
  t.match(refused.headers, { 'modelgate-error': 'breaker-open', 'retry-after': /^[1-7]\d?$/ })
  for (let count = 0; count < 5; count += 1) await ask('row')
  t.equal(state.asked, askedBefore, 'the endpoint is not touched')
  const record = await decisionOf(gateway.dataDir, refused.headers['modelgate-request-id'])
  t.match(record, {
    status: 503,
    fault: { code: 'breaker-open' },
    attempts: [{ version: 'v1', endpoint: '', faultCode: 'breaker-open', verdict: 'neutral' }],
    plan: { candidates: [{ version: 'v1', passed: 'chosen', breaker: 'open' }] },
  })
  t.match(await breakerOf('row'), {
    state: 'open',
    enforced: true,
    opens: 1,
    refusals: 6,
    why: /3 requests failed in a row \(limit 3\)/,
  })
})

t.test('when it has been open for its time, probes find out and close it', async (t) => {
  const state = stateOf('back')
  state.mood = 'failing'
  for (let count = 0; count < 2; count += 1) await ask('back')
  const beforeOpening = performance.now()
  t.equal((await ask('back')).headers['modelgate-error'], 'endpoint-error')
  state.mood = 'well'
  const refused: unknown[] = []
  const closed = await eventually(
    async () => {
      const { status, headers } = await ask('back')
      if (status !== 200) refused.push(headers['retry-after'])
      const breaker = await breakerOf('back')
      return breaker.state === 'closed' && breaker
    },
    { until: 'probes closed the breaker' },
  )
  t.ok(performance.now() - beforeOpening >= 240, 'not before it had been open for 300 ms less 20 %')
  t.ok(
    refused.every((seconds) => seconds === '1'),
    `retry-after is at least a second: ${refused}`,
  )
  t.same(
    closed.changes.map(({ from, to }) => `${from} ${to}`),
    ['half-open closed', 'open half-open', 'closed open'],
  )
  t.match(closed.changes[0]!.why, /2 of 2 probes succeeded/)
  t.ok(openedMs(closed.changes[1]!.why) >= 240, closed.changes[1]!.why)
  t.equal((await ask('back')).status, 200)
  t.match(await changesOf('back'), [
    { version: 'v1', from: 'closed', to: 'open', enforced: true, cause: /failed in a row/ },
    { from: 'open', to: 'half-open' },
    { from: 'half-open', to: 'closed', cause: /probes succeeded/ },
  ])
})

/** As its reasons tell it: `open for 290 ms` or, of long ones, `open for 1.2 s`. */
function openedMs(why: string): number {
  const [, figure, unit] = /open for ([\d.]+) (ms|s)/.exec(why) ?? []
  return Number(figure) * (unit === 's' ? 1000 : 1)
}

t.test('a failed probe opens it again, for longer', async (t) => {
  stateOf('again').mood = 'failing'
  await ask('again')
  const again = await eventually(async () => {
    await ask('again')
    const breaker = await breakerOf('again')
    return breaker.opens >= 3 && breaker
  })
  const opened = again.changes.filter(({ to }) => to === 'open').map(({ why }) => openedMs(why))
  t.match(again.changes.find(({ from }) => from === 'half-open')!.why, /a probe failed/)
  t.ok(opened[0]! >= 160 && opened[0]! <= 240, `the third time 200 ms ± 20 %: ${opened[0]}`)
  t.ok(opened[1]! >= 80 && opened[1]! <= 120, `the second time 100 ms ± 20 %: ${opened[1]}`)
})

t.test('answers that are good but slow open it by their rate', async (t) => {
  const startedAt = performance.now()
  stateOf('slow').mood = 'slow'
  // What the gateway's own loop took is not the version's doing: on a machine that stands still fewer of six may count.
  const open = await eventually(async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask('slow')))
    const odd = answers.filter(
      ({ status, headers }) => status !== 200 && headers['modelgate-error'] !== 'breaker-open',
    )
    t.same(odd, [], 'slow is not an error for the callers who got it')
    const breaker = await breakerOf('slow')
    return breaker.state === 'open' && breaker
  })
  const [, slow, all] =
    /^(\d+) of (\d+) requests took longer than 50 ms in 60 s \(limit 0\.5\)/.exec(open.why) ?? []
  t.ok(Number(all) >= 6 && Number(slow) >= Number(all) / 2, open.why)
  const refused = await ask('slow')
  t.equal(refused.headers['modelgate-error'], 'breaker-open')
  const wait = Number(refused.headers['retry-after'])
  const passed = (performance.now() - startedAt) / 1000
  t.ok(wait >= 48 - passed - 1 && wait <= 73, `retry-after says what is left of a minute ± 20 %: ${wait}`)
})

t.test('a share of failures opens it, with the numbers in its reason', async (t) => {
  for (let count = 0; count < 4; count += 1) await ask('share')
  stateOf('share').mood = 'failing'
  for (let count = 0; count < 3; count += 1) await ask('share')
  t.equal((await breakerOf('share')).state, 'closed', '7 requests are too few to judge')
  await ask('share')
  t.match(await breakerOf('share'), {
    state: 'open',
    why: /4 of 8 requests failed in 60 s \(limit 0\.5\)/,
  })
})

t.test('429, other 4xx, callers who leave and metadata say nothing about a version', async (t) => {
  const state = stateOf('silent')
  state.mood = 'busy'
  for (let count = 0; count < 4; count += 1) t.equal((await ask('silent')).status, 429)
  state.mood = 'refusing'
  for (let count = 0; count < 4; count += 1) t.equal((await ask('silent')).status, 422)
  state.mood = 'failing'
  for (let count = 0; count < 4; count += 1)
    t.equal((await gateway.ask('/v2/models/silent/ready')).status, 500)
  state.mood = 'silent'
  for (let count = 1; count <= 4; count += 1) {
    const client = await waiting('silent')
    client.close()
    await callersGone('silent', count)
  }
  t.match(await breakerOf('silent'), { state: 'closed', opens: 0 })
  state.mood = 'well'
  t.equal((await ask('silent')).status, 200)
})

t.test('a probe that the caller abandons gives its place to another', async (t) => {
  const state = stateOf('abandoned')
  state.mood = 'failing'
  await ask('abandoned')
  state.mood = 'silent'
  await pause(60)
  const client = await waiting('abandoned')
  t.equal((await ask('abandoned')).headers['modelgate-error'], 'breaker-open', 'one probe at a time')
  client.close()
  await callersGone('abandoned', 1)
  state.mood = 'well'
  t.equal((await ask('abandoned')).status, 200, 'the next is the probe, at once')
  t.match(await breakerOf('abandoned'), { state: 'closed' })
})

t.test('with a declared fallback nobody notices, and the record tells why', async (t) => {
  stateOf('fallback').mood = 'failing'
  const first = await ask('fallback')
  t.equal(first.status, 200)
  const second = await ask('fallback')
  t.equal(second.status, 200)
  t.match(second.headers, {
    'modelgate-version': 'v2',
    'modelgate-reason': 'fallback',
    'modelgate-degraded': 'version:v2',
    'modelgate-error': 'breaker-open',
  })
  t.equal(stateOf('fallback').asked, 1, 'the broken version saw one request only')
  const record = await decisionOf(gateway.dataDir, second.headers['modelgate-request-id'])
  t.match(record.attempts, [
    { version: 'v1', faultCode: 'breaker-open', endpoint: '' },
    { version: 'v2', role: 'fallback', verdict: 'success', endpoint: 'pool' },
  ])
})

t.test('with enforce = false it decides, tells and lets everything through', async (t) => {
  stateOf('lenient').mood = 'failing'
  for (let count = 0; count < 6; count += 1) {
    const { headers } = await ask('lenient')
    t.equal(headers['modelgate-error'], 'endpoint-error', 'its own error, not ours')
  }
  t.equal(stateOf('lenient').asked, 6)
  t.match(await breakerOf('lenient'), { state: 'open', enforced: false, opens: 1, refusals: 4 })
  const events = await changesOf('lenient')
  t.match(events, [{ from: 'closed', to: 'open', enforced: false }])
  t.equal(events.length, 1)
})
