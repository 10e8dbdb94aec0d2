import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, recordsIn } from '../support/read-records.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

type Mood = 'well' | 'failing' | 'resetting' | 'later'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

interface Endpoint {
  mood: Mood
  asked: number
  readonly upstream: ScriptedUpstream
}

async function endpointOf(t: Test, mood: Mood): Promise<Endpoint> {
  const state = { mood, asked: 0 }
  const script: Script = async (connection) => {
    for (;;) {
      await connection.request()
      state.asked += 1
      if (state.mood === 'failing') connection.send(plainAnswer(503, 'ill'))
      else if (state.mood === 'later') connection.send(plainAnswer(503, 'later', ['retry-after: 1']))
      else if (state.mood === 'resetting') return connection.reset()
      else connection.send(WELL)
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return Object.assign(state, { upstream })
}

const urls = (endpoints: readonly Endpoint[]) => JSON.stringify(endpoints.map(({ upstream }) => upstream.url))
const model = (endpoints: string, more: string, protocol = 'open-inference') => `
[models.m]
protocol = "${protocol}"
breaker = { enforce = false }
${more}
[models.m.versions.v1]
endpoints = ${endpoints}
`
const ask = (gateway: TestGateway) => gateway.infer('m', tensorOf('x', [1]))

async function failuresOf(gateway: TestGateway, requests: number): Promise<number> {
  let failures = 0
  for (let count = 0; count < requests; count += 1) if ((await ask(gateway)).status !== 200) failures += 1
  return failures
}

t.test('with one of four endpoints failing, callers see nothing of it', async (t) => {
  for (const mood of ['failing', 'resetting'] as const) {
    const endpoints = await Promise.all(
      [0, 1, 2, 3].map((index) => endpointOf(t, index === 1 ? mood : 'well')),
    )
    const gateway = await startTestGateway(t, { toml: model(urls(endpoints), 'retry = { attempts = 2 }') })
    t.equal(await failuresOf(gateway, 300), 0, mood)
    const ill = endpoints[1]!
    t.ok(ill.asked >= 1 && ill.asked <= 6, `${mood}: ${ill.asked} found out`)
    const records = await recordsIn(gateway.dataDir)
    const retried = records.flatMap((one) =>
      one.type === 'decision' && one.decision.attempts.length === 2 ? [one.decision] : [],
    )
    t.equal(retried.length, ill.asked, 'each is told in its record')
    for (const { attempts, served, degraded } of retried) {
      t.match([served, degraded], ['v1', ''])
      t.equal(attempts[0]?.endpoint, ill.upstream.url)
      t.not(attempts[1]?.endpoint, ill.upstream.url, 'and went elsewhere')
    }
    const metrics = await metricsOf(gateway)
    t.equal(metrics.value('modelgate_retries_total', { model: 'm', result: 'sent' }), ill.asked)
    await gateway.stop()
  }
})

t.test(
  'an endpoint that keeps failing is passed over, in metrics, log and record, and comes back when it is well',
  async (t) => {
    const endpoints = await Promise.all([endpointOf(t, 'failing'), endpointOf(t, 'well')])
    const [ill] = endpoints
    const balanced = `${model(urls(endpoints), '')}balance = "round-robin"\n`
    const gateway = await startTestGateway(t, { toml: balanced })
    t.equal(await failuresOf(gateway, 60), 5, 'without retries callers find out')
    t.equal(ill!.asked, 5)
    const metrics = await metricsOf(gateway)
    t.equal(metrics.value('modelgate_endpoints_out', { model: 'm', version: 'v1' }), 1)
    t.equal(metrics.value('modelgate_endpoint_ejections_total', { model: 'm', version: 'v1' }), 1)
    t.match(
      gateway.log.join('\n'),
      `endpoint ${ill!.upstream.url} of model m, version v1 keeps failing: others are preferred for 5 s`,
    )
    ill!.mood = 'well'
    await pause(5_100)
    t.equal(await failuresOf(gateway, 20), 0)
    t.ok(ill!.asked >= 10, `${ill!.asked}: it has its share again`)
    t.match(gateway.log.join('\n'), `${ill!.upstream.url} of model m, version v1 is used again`)
    const notes = (await recordsIn(gateway.dataDir)).flatMap((one) =>
      one.type === 'endpoint' ? [one.note] : [],
    )
    t.match(notes, [
      { endpoint: ill!.upstream.url, model: 'm', version: 'v1', out: true, forMs: 5000 },
      { endpoint: ill!.upstream.url, model: 'm', version: 'v1', out: false, forMs: 0 },
    ])
  },
)

t.test('what must not be sent twice is tried again only where nobody listens', async (t) => {
  const dead = await endpointOf(t, 'well')
  await dead.upstream.close()
  const [ill, well] = await Promise.all([endpointOf(t, 'failing'), endpointOf(t, 'well')])
  const send = (gateway: TestGateway) =>
    gateway.ask('/models/m/x', { method: 'POST', headers: JSON_TYPE, body: '{}' })
  const failing = await startTestGateway(t, { toml: model(urls([ill]), 'retry = { attempts = 3 }', 'raw') })
  t.equal((await send(failing)).status, 503)
  t.equal(ill.asked, 1)
  const refusing = await startTestGateway(t, {
    toml: model(urls([dead, well]), 'retry = { attempts = 3 }', 'raw'),
  })
  for (let count = 0; count < 20; count += 1) t.equal((await send(refusing)).status, 200)
  t.equal(well.asked, 20)
})

t.test('when everything fails, retries add no more than their budget', async (t) => {
  const endpoints = await Promise.all([endpointOf(t, 'failing'), endpointOf(t, 'failing')])
  const gateway = await startTestGateway(t, {
    toml: model(urls(endpoints), 'retry = { attempts = 3, budget = 0.1 }'),
  })
  const requests = 1500
  const startedAt = performance.now()
  t.equal(await failuresOf(gateway, requests), requests)
  const seconds = (performance.now() - startedAt) / 1000
  const asked = endpoints.reduce((sum, one) => sum + one.asked, 0)
  // The reserve of ten a second is there whatever the traffic: that of ten seconds at the start, then as time goes by.
  t.ok(asked <= requests * 1.1 + 100 + 10 * seconds + 1, `${asked} for ${requests} in ${seconds} s`)
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_retries_total', { model: 'm', result: 'sent' }), asked - requests)
  t.ok(metrics.value('modelgate_retries_total', { model: 'm', result: 'over-budget' }) > 0)
})

t.test('the only endpoint is asked again after a pause, and not before the time it named', async (t) => {
  const only = await endpointOf(t, 'failing')
  const gateway = await startTestGateway(t, { toml: model(urls([only]), 'retry = { attempts = 3 }') })
  const told = await ask(gateway)
  t.equal(told.status, 503)
  t.equal(only.asked, 3)
  t.equal((await decisionOf(gateway.dataDir, told.headers['modelgate-request-id'])).attempts.length, 3)
  only.mood = 'later'
  const asked = only.asked
  const startedAt = performance.now()
  setTimeout(() => {
    only.mood = 'well'
  }, 300)
  t.equal((await ask(gateway)).status, 200)
  t.ok(performance.now() - startedAt >= 1000, 'it said one second')
  t.equal(only.asked, asked + 2)
  only.mood = 'later'
  const soon = await gateway.infer('m', tensorOf('x', [1]), { 'modelgate-deadline-ms': '500' })
  t.equal(soon.status, 503, 'whoever cannot wait so long is told at once')
  t.ok(soon.tookMs < 400, `${soon.tookMs} ms`)
})
