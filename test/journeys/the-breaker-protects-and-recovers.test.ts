import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import { decisionOf, recordsIn } from '../support/read-records.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway, type TestGateway } from '../support/start-gateway.ts'

type Mood = 'well' | 'failing' | 'slow' | 'busy' | 'refusing' | 'silent'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

/** An endpoint whose mood a test changes, and which counts what it is asked. */
async function moody(t: Test) {
  const state = { mood: 'well' as Mood, asked: 0, slowMs: 60 }
  const script: Script = async (connection) => {
    for (;;) {
      await connection.request()
      state.asked += 1
      if (state.mood === 'slow') await connection.pause(state.slowMs)
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

async function breakerOf(gateway: TestGateway, version = 'v1'): Promise<Breaker> {
  const told = (await gateway.admin('/api/v1/breakers')).json() as {
    breakers: readonly (Breaker & { readonly version: string })[]
  }
  return told.breakers.find((one) => one.version === version)!
}

const model = (url: string, breaker: string, more = '') => `
[models.m]
timeouts = { first_byte = "2s", total = "3s" }
breaker = { ${breaker} }
[models.m.versions.v1]
endpoints = ["${url}"]
${more}
`
const ask = (gateway: TestGateway) => gateway.infer('m', tensorOf('x', [1]))

t.test('failures in a row open it, the endpoint is left alone, probes find out and close it', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    toml: model(
      upstream.url,
      'consecutive = 3, min_requests = 1000, open_for = "300ms", open_for_max = "300ms", probes = 2',
    ),
  })
  t.equal((await ask(gateway)).status, 200)
  state.mood = 'failing'
  for (let count = 0; count < 3; count += 1)
    t.match((await ask(gateway)).headers, { 'modelgate-error': 'endpoint-error' })
  const openedAt = performance.now()
  const askedBefore = state.asked
  const refused = await ask(gateway)
  t.equal(refused.status, 503)
  t.match(refused.json(), { error: /circuit breaker of version 'v1' of model 'm' is open/ })
  t.match(refused.headers, { 'modelgate-error': 'breaker-open', 'retry-after': '1' })
  for (let count = 0; count < 5; count += 1) await ask(gateway)
  if (performance.now() - openedAt < 200) t.equal(state.asked, askedBefore, 'the endpoint is not touched')
  const record = await decisionOf(gateway.dataDir, refused.headers['modelgate-request-id'])
  t.match(record, {
    status: 503,
    fault: { code: 'breaker-open' },
    attempts: [{ version: 'v1', endpoint: '', faultCode: 'breaker-open', verdict: 'neutral' }],
    plan: { candidates: [{ version: 'v1', passed: 'chosen', breaker: 'open' }] },
  })
  const open = await breakerOf(gateway)
  t.match(open, { state: 'open', enforced: true, opens: 1, why: /3 requests failed in a row \(limit 3\)/ })
  t.ok(open.refusals >= 1)
  state.mood = 'well'
  const closed = await eventually(
    async () => {
      await ask(gateway)
      const breaker = await breakerOf(gateway)
      return breaker.state === 'closed' && breaker
    },
    { until: 'probes closed the breaker' },
  )
  t.ok(performance.now() - openedAt >= 235, 'not before it had been open for about 300 ms (less 20 %)')
  t.same(
    closed.changes.map(({ from, to }) => `${from} ${to}`),
    ['half-open closed', 'open half-open', 'closed open'],
  )
  t.match(closed.changes[0]!.why, /2 of 2 probes succeeded/)
  t.equal((await ask(gateway)).status, 200)
  const events = (await recordsIn(gateway.dataDir)).flatMap((one) =>
    one.type === 'breaker' ? [one.note] : [],
  )
  t.match(events, [
    { model: 'm', version: 'v1', from: 'closed', to: 'open', enforced: true, cause: /failed in a row/ },
    { from: 'open', to: 'half-open' },
    { from: 'half-open', to: 'closed', cause: /probes succeeded/ },
  ])
})

t.test('a failed probe opens it again, for longer', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    toml: model(upstream.url, 'consecutive = 1, open_for = "50ms", open_for_max = "10s", probes = 1'),
  })
  state.mood = 'failing'
  await ask(gateway)
  const again = await eventually(async () => {
    await ask(gateway)
    const breaker = await breakerOf(gateway)
    return breaker.opens >= 3 && breaker
  })
  const opened = again.changes
    .filter(({ to }) => to === 'open')
    .map(({ why }) => Number(/open for (\d+) ms/.exec(why)?.[1]))
  t.match(again.changes.find(({ from }) => from === 'half-open')!.why, /a probe failed/)
  t.ok(opened[0]! >= 160 && opened[0]! <= 240, `the third time 200 ms ± 20 %: ${opened[0]}`)
  t.ok(opened[1]! >= 80 && opened[1]! <= 120, `the second time 100 ms ± 20 %: ${opened[1]}`)
})

t.test('answers that are good but slow open it by their rate', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    toml: model(
      upstream.url,
      'consecutive = 1000, min_requests = 6, slow_after = "50ms", slow_rate = 0.5, open_for = "20s"',
    ),
  })
  state.mood = 'slow'
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask(gateway)))
  t.ok(
    answers.every(({ status }) => status === 200),
    'slow is not an error for the callers who got it',
  )
  t.match(await breakerOf(gateway), { state: 'open', why: /6 of 6 requests took longer than 50 ms/ })
  const refused = await ask(gateway)
  t.equal(refused.headers['modelgate-error'], 'breaker-open')
  const wait = Number(refused.headers['retry-after'])
  t.ok(wait >= 15 && wait <= 24, `retry-after says what is left of 20 s ± 20 %: ${wait}`)
})

t.test('a share of failures opens it, with the numbers in its reason', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    toml: model(upstream.url, 'consecutive = 1000, min_requests = 8, failure_rate = 0.5, open_for = "20s"'),
  })
  for (let count = 0; count < 4; count += 1) await ask(gateway)
  state.mood = 'failing'
  for (let count = 0; count < 3; count += 1) await ask(gateway)
  t.equal((await breakerOf(gateway)).state, 'closed', '7 requests are too few to judge')
  await ask(gateway)
  t.match(await breakerOf(gateway), { state: 'open', why: /4 of 8 requests failed in 10 s \(limit 0\.5\)/ })
})

t.test('429, other 4xx, callers who leave and metadata say nothing about a version', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    toml: model(upstream.url, 'consecutive = 2, min_requests = 2, failure_rate = 0.1, open_for = "20s"'),
  })
  state.mood = 'busy'
  for (let count = 0; count < 4; count += 1) t.equal((await ask(gateway)).status, 429)
  state.mood = 'refusing'
  for (let count = 0; count < 4; count += 1) t.equal((await ask(gateway)).status, 422)
  state.mood = 'failing'
  for (let count = 0; count < 4; count += 1) t.equal((await gateway.ask('/v2/models/m/ready')).status, 500)
  state.mood = 'silent'
  for (let count = 0; count < 4; count += 1) {
    const askedBefore = state.asked
    const client = await RawClient.open(gateway.port)
    const body = tensorOf('x', [1])
    client.send(
      `POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await eventually(() => state.asked > askedBefore)
    client.close()
    const gone = count + 1
    await eventually(async () => (await countOf(gateway, 'client-gone')) === gone, {
      until: `${gone} callers gone`,
    })
  }
  t.match(await breakerOf(gateway), { state: 'closed', opens: 0 })
  state.mood = 'well'
  t.equal((await ask(gateway)).status, 200)
})

t.test('a probe that the caller abandons gives its place to another', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    toml: model(upstream.url, 'consecutive = 1, open_for = "30ms", open_for_max = "30ms", probes = 1'),
  })
  state.mood = 'failing'
  await ask(gateway)
  state.mood = 'silent'
  await pause(60)
  const askedBefore = state.asked
  const client = await RawClient.open(gateway.port)
  const body = tensorOf('x', [1])
  client.send(
    `POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  await eventually(() => state.asked > askedBefore, { until: 'the probe reached the endpoint' })
  t.equal((await ask(gateway)).headers['modelgate-error'], 'breaker-open', 'one probe at a time')
  client.close()
  await eventually(async () => (await countOf(gateway, 'client-gone')) === 1)
  state.mood = 'well'
  t.equal((await ask(gateway)).status, 200, 'the next is the probe, at once')
  t.match(await breakerOf(gateway), { state: 'closed' })
})

t.test('with a declared fallback nobody notices, and the record tells why', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    files: { 'plain.js': javascriptModel('1') },
    toml: `${model(upstream.url, 'consecutive = 1, open_for = "20s"')}
[models.m.on_failure]
error = ["version:v2"]
breaker_open = ["version:v2"]
[models.m.versions.v2]
runtime = "javascript"
file = "plain.js"
[models.m.route]
primary = "v1"
`,
  })
  state.mood = 'failing'
  const first = await ask(gateway)
  t.equal(first.status, 200)
  const second = await ask(gateway)
  t.equal(second.status, 200)
  t.match(second.headers, {
    'modelgate-version': 'v2',
    'modelgate-reason': 'fallback',
    'modelgate-degraded': 'version:v2',
    'modelgate-error': 'breaker-open',
  })
  t.equal(state.asked, 1, 'the broken version saw one request only')
  const record = await decisionOf(gateway.dataDir, second.headers['modelgate-request-id'])
  t.match(record.attempts, [
    { version: 'v1', faultCode: 'breaker-open', endpoint: '' },
    { version: 'v2', role: 'fallback', verdict: 'success', endpoint: 'pool' },
  ])
})

t.test('with enforce = false it decides, tells and lets everything through', async (t) => {
  const { upstream, state } = await moody(t)
  const gateway = await startTestGateway(t, {
    toml: model(upstream.url, 'consecutive = 2, open_for = "20s", enforce = false'),
  })
  state.mood = 'failing'
  for (let count = 0; count < 6; count += 1) {
    t.equal((await ask(gateway)).headers['modelgate-error'], 'endpoint-error', 'its own error, not ours')
  }
  t.equal(state.asked, 6)
  t.match(await breakerOf(gateway), { state: 'open', enforced: false, opens: 1, refusals: 4 })
  const events = (await recordsIn(gateway.dataDir)).flatMap((one) =>
    one.type === 'breaker' ? [one.note] : [],
  )
  t.match(events, [{ from: 'closed', to: 'open', enforced: false }])
  t.equal(events.length, 1)
})

async function countOf(gateway: TestGateway, code: string): Promise<number> {
  const { text } = await gateway.admin('/metrics')
  const line = new RegExp(`^modelgate_faults_total\\{model="m",code="${code}"\\} (\\d+)$`, 'm').exec(text)
  return Number(line?.[1])
}
