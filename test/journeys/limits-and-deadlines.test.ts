import t, { type Test } from 'tap'
import { type Told, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn } from '../support/read-records.ts'
import {
  plainAnswer,
  type ReceivedRequest,
  type Script,
  type ScriptedConnection,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

const WELL = plainAnswer(200, '{"outputs":[]}', ['content-type: application/json'])

/** An endpoint that answers only when the test lets it. */
async function holding(t: Test) {
  const waiting: ScriptedConnection[] = []
  const requests: ReceivedRequest[] = []
  const script: Script = async (connection) => {
    for (;;) {
      requests.push(await connection.request())
      waiting.push(connection)
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  const answerAll = () => {
    for (const connection of waiting.splice(0)) connection.send(WELL)
  }
  return { upstream, waiting, requests, answerAll }
}

const model = (url: string, more: string) => `
[models.m]
${more}
[models.m.versions.v1]
endpoints = ["${url}"]
`
const ask = (gateway: TestGateway, headers: Readonly<Record<string, string>> = {}) =>
  gateway.infer('m', tensorOf('x', [1]), headers)

const load = async (gateway: TestGateway) => {
  const metrics = await metricsOf(gateway)
  return {
    running: metrics.value('modelgate_requests_running', { model: 'm' }),
    queued: metrics.value('modelgate_requests_queued', { model: 'm' }),
  }
}
const loadIs = (gateway: TestGateway, running: number, queued: number) =>
  eventually(
    async () => {
      const now = await load(gateway)
      return now.running === running && now.queued === queued
    },
    { until: `${running} running, ${queued} queued` },
  )

t.test('beyond the places and the queue callers are told at once to come back', async (t) => {
  const { upstream, waiting, answerAll } = await holding(t)
  const gateway = await startTestGateway(t, {
    toml: model(
      upstream.url,
      'limits = { concurrent = 2, queue = 3 }\ntimeouts = { queue = "4s", first_byte = "5s", total = "5s" }',
    ),
  })
  const first = Array.from({ length: 5 }, () => ask(gateway))
  await loadIs(gateway, 2, 3)
  const refused = await ask(gateway)
  t.equal(refused.status, 503)
  t.match(refused.headers, { 'modelgate-error': 'overloaded', 'retry-after': '1' })
  t.match(refused.json(), { error: /at its limits \(limits\.concurrent 2, limits\.queue 3/ })
  t.match(await decisionOf(gateway.dataDir, refused.headers['modelgate-request-id']), {
    attempts: [],
    fault: { code: 'overloaded' },
  })
  t.equal(waiting.length, 2, 'no more than two reached the endpoint')
  let answered = false
  const all = Promise.all(first).then((told) => {
    answered = true
    return told
  })
  await eventually(() => {
    answerAll()
    return answered
  })
  const told: readonly Told[] = await all
  t.ok(
    told.every(({ status }) => status === 200),
    'whoever waited was served',
  )
  await loadIs(gateway, 0, 0)
  const records = await decisionsIn(gateway.dataDir)
  const waits = records.flatMap(({ attempts }) => attempts.map(({ queueMs }) => queueMs))
  t.equal(waits.filter((ms) => ms > 1).length, 3, 'the wait of three of them is told in their records')
})

t.test('a wait for a place ends with timeouts.queue', async (t) => {
  const { upstream, answerAll, waiting } = await holding(t)
  const gateway = await startTestGateway(t, {
    toml: model(
      upstream.url,
      'limits = { concurrent = 1, queue = 8 }\ntimeouts = { queue = "80ms", first_byte = "5s", total = "5s" }',
    ),
  })
  const holder = ask(gateway)
  await eventually(() => waiting.length === 1)
  const late = await Promise.all([ask(gateway), ask(gateway)])
  for (const told of late) {
    t.equal(told.status, 503)
    t.match(told.headers, { 'modelgate-error': 'queue-timeout', 'retry-after': '1' })
    t.match(told.json(), { error: /no free place for \d+ ms/ })
    t.ok(told.tookMs >= 80, `${told.tookMs}`)
  }
  answerAll()
  t.equal((await holder).status, 200)
  await loadIs(gateway, 0, 0)
})

t.test('the caller’s deadline caps every wait, and what is left of it is passed on', async (t) => {
  const { upstream, requests, answerAll, waiting } = await holding(t)
  const gateway = await startTestGateway(t, {
    toml: model(
      upstream.url,
      'limits = { concurrent = 1, queue = 8 }\ntimeouts = { queue = "5s", first_byte = "5s", total = "5s" }',
    ),
  })
  const told = await ask(gateway, { 'modelgate-deadline-ms': '120' })
  t.equal(told.status, 504)
  t.match(told.headers, { 'modelgate-error': 'deadline-exceeded' })
  t.ok(told.tookMs >= 119 && told.tookMs < 600, `answered about then: ${told.tookMs}`)
  const left = Number(requests[0]!.headers.get('modelgate-deadline-ms'))
  t.ok(left > 20 && left <= 120, `the endpoint knows how long it has: ${left}`)
  t.notOk(requests[0]!.headers.has('grpc-timeout'))
  await eventually(() => waiting[0]!.isClosed, { until: 'the endpoint’s connection was closed' })
  const record = await decisionOf(gateway.dataDir, told.headers['modelgate-request-id'])
  t.match(record.attempts, [{ faultCode: 'deadline-exceeded', verdict: 'neutral' }])
  t.ok(record.durationMs >= 119 && record.durationMs < 400, `${record.durationMs}`)

  const grpc = await ask(gateway, { 'grpc-timeout': '90m' })
  t.match(grpc.headers, { 'modelgate-error': 'deadline-exceeded' })
  t.ok(Number(requests[1]!.headers.get('modelgate-deadline-ms')) <= 90, 'in our own header')

  waiting.length = 0
  const holder = ask(gateway)
  await eventually(() => waiting.length === 1)
  const queued = await ask(gateway, { 'modelgate-deadline-ms': '60' })
  t.equal(queued.status, 504, 'it also ends a wait for a place')
  t.match(queued.json(), { error: /deadline passed while waiting for a place/ })
  answerAll()
  t.equal((await holder).status, 200)

  const sent = requests.length
  const none = await ask(gateway, { 'modelgate-deadline-ms': '0' })
  t.equal(none.status, 504)
  t.match(await decisionOf(gateway.dataDir, none.headers['modelgate-request-id']), { attempts: [] })
  t.equal(requests.length, sent, 'a deadline of 0 touches nobody')
  const generous = ask(gateway, { 'modelgate-deadline-ms': '9999999999' })
  await eventually(() => requests.length > sent)
  answerAll()
  t.equal((await generous).status, 200, 'a far deadline is none')
  await loadIs(gateway, 0, 0)
})

t.test('a fallback is told what is left of the deadline; a shadow’s time is its own', async (t) => {
  const told: Record<string, number> = {}
  const after = async (name: string, ms: number, answer: string) => {
    const upstream = await ScriptedUpstream.start(async (connection) => {
      for (;;) {
        const { headers } = await connection.request()
        told[name] = Number(headers.get('modelgate-deadline-ms'))
        await connection.pause(ms)
        connection.send(answer)
      }
    })
    t.teardown(() => upstream.close())
    return upstream.url
  }
  const failing = await after('primary', 300, plainAnswer(503, 'ill'))
  const gateway = await startTestGateway(t, {
    toml: `${model(
      failing,
      'timeouts = { first_byte = "9s", total = "9s" }\non_failure = { error = ["version:v2"] }\nroute = { primary = "v1", shadows = [{ version = "v3", timeout = "9s" }] }',
    )}[models.m.versions.v2]\nendpoints = ["${await after('fallback', 0, WELL)}"]\n[models.m.versions.v3]\nendpoints = ["${await after('shadow', 0, WELL)}"]\n`,
  })
  const answer = await ask(gateway, { 'modelgate-deadline-ms': '5000', 'grpc-timeout': '9S' })
  t.equal(answer.status, 200, answer.text)
  t.equal(answer.headers['modelgate-degraded'], 'version:v2')
  const { primary = 0, fallback = 0 } = told
  t.ok(primary > 4_000 && primary <= 5_000, `the primary is told ${primary} ms`)
  t.ok(fallback <= primary - 299 && fallback > 2_000, `the fallback ${fallback} ms, 300 later`)
  const shadow = await eventually(() => told.shadow, { until: 'the copy is out' })
  t.ok(Number.isNaN(shadow), `no deadline is told to a shadow: ${shadow}`)
})

t.test('a deadline nobody can meet is a timeout with its own consequence', async (t) => {
  const { upstream } = await holding(t)
  const gateway = await startTestGateway(t, {
    files: { 'late.json': '{"outputs":[]}' },
    toml: model(upstream.url, 'on_failure = { timeout = ["reply:late.json"] }'),
  })
  const told = await ask(gateway, { 'modelgate-deadline-ms': '60' })
  t.equal(told.status, 200)
  t.match(told.headers, { 'modelgate-error': 'deadline-exceeded', 'modelgate-degraded': 'reply:late.json' })
})

/** A caller who asks and can leave. */
async function caller(gateway: TestGateway): Promise<RawClient> {
  const client = await RawClient.open(gateway.port)
  client.send(inferBytes('m'))
  return client
}

const gone = async (gateway: TestGateway) =>
  (await decisionsIn(gateway.dataDir)).filter(({ fault }) => fault?.code === 'client-gone')

t.test('a caller who leaves, in whatever phase, frees everything it held', async (t) => {
  const { upstream, answerAll, waiting, requests } = await holding(t)
  const gateway = await startTestGateway(t, {
    toml: model(
      upstream.url,
      'limits = { concurrent = 2, queue = 4 }\ntimeouts = { queue = "5s", first_byte = "5s", total = "5s" }',
    ),
  })
  const atWork = await Promise.all([caller(gateway), caller(gateway)])
  await eventually(() => waiting.length === 2)
  const queued = await Promise.all([caller(gateway), caller(gateway)])
  await loadIs(gateway, 2, 2)
  queued[0]!.close()
  await loadIs(gateway, 2, 1)
  t.equal(requests.length, 2, 'the place in the queue is gone, nothing was sent for it')
  atWork[0]!.reset()
  await eventually(() => waiting[0]!.isClosed, {
    withinMs: 1_000,
    until: 'the endpoint’s connection was closed',
  })
  await eventually(() => requests.length === 3, { until: 'the next in the queue took the place' })
  t.equal(requests.length, 3)
  const half = await RawClient.open(gateway.port)
  half.send(inferBytes('m').slice(0, -10))
  atWork[1]!.close()
  queued[1]!.close()
  half.close()
  const records = await eventually(async () => {
    const found = await gone(gateway)
    return found.length === 5 && found
  })
  for (const record of records) t.match(record, { status: 499, served: '', answer: null })
  t.same(
    records.map(({ attempts }) => attempts.length).sort(),
    [0, 0, 1, 1, 1],
    'whose request had been sent has one attempt',
  )
  t.ok(records.every(({ attempts }) => attempts.every(({ verdict }) => verdict === 'neutral')))
  await loadIs(gateway, 0, 0)
  const after = [ask(gateway), ask(gateway)]
  await eventually(() => requests.length === 5, { until: 'both places are free again' })
  answerAll()
  for (const told of await Promise.all(after)) t.equal(told.status, 200)
})

t.test('a caller who leaves while a local model scores disturbs nobody', async (t) => {
  const gateway = await startTestGateway(t, {
    files: {
      'slow.js': `
export const metadata = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'score', datatype: 'FP32', shape: [-1] }],
}
export async function score({ x }) {
  await new Promise((resolve) => setTimeout(resolve, 800))
  return { score: { datatype: 'FP32', shape: [1], data: new Float32Array([x.data[0] + 1]) } }
}`,
    },
    toml: `
[models.m]
limits = { concurrent = 1, queue = 4 }
timeouts = { queue = "5s", first_byte = "5s", total = "5s" }
[models.m.versions.v1]
runtime = "javascript"
file = "slow.js"
`,
  })
  const leaver = await caller(gateway)
  await loadIs(gateway, 1, 0)
  const next = ask(gateway)
  await loadIs(gateway, 1, 1)
  leaver.close()
  const told = await next
  t.equal(told.status, 200, told.text)
  t.match(told.json(), { outputs: [{ data: [2] }] })
  const [record] = await gone(gateway)
  t.match(record, { status: 499, attempts: [{ verdict: 'neutral', faultCode: 'client-gone' }] })
  await loadIs(gateway, 0, 0)
})

t.test('many callers leaving at random leave nothing behind', async (t) => {
  const { upstream, answerAll } = await holding(t)
  const gateway = await startTestGateway(t, {
    toml: model(
      upstream.url,
      'limits = { concurrent = 5, queue = 20 }\ntimeouts = { queue = "5s", first_byte = "5s", total = "5s" }',
    ),
  })
  const clients: RawClient[] = []
  for (let count = 0; count < 60; count += 1) {
    clients.push(await caller(gateway))
    if (count % 3 === 0) clients[Math.floor(count / 2)]!.close()
    if (count % 7 === 0) clients[Math.floor(count / 3)]!.reset()
    if (count % 10 === 0) answerAll()
  }
  for (const client of clients) client.close()
  // A busy gateway accepts late, and a reset overtakes the request before it: it never sees some of them.
  await eventually(async () => {
    const metrics = await metricsOf(gateway)
    const accepted = metrics.value('modelgate_connections_total') ?? 0
    return accepted > 30 && metrics.value('modelgate_open_connections') === 0
  })
  await loadIs(gateway, 0, 0)
  const seen = (await metricsOf(gateway)).sum('modelgate_requests_total', { model: 'm' })
  t.ok(seen > 0 && seen <= 60, `${seen} of 60 requests came to the gateway`)
  const records = await decisionsIn(gateway.dataDir)
  t.equal(records.length, seen)
  t.equal(new Set(records.map(({ id }) => id)).size, seen, 'each told once')
  await eventually(() => upstream.openCount <= 5, { until: 'no connection of a caller who left is kept' })
})
