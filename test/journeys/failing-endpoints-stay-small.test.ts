/** Outliers, retries and their budget, over a real gateway: one model for each case. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { OUT_MS } from '../../src/forward/balance/outlier.ts'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { PATIENCE } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, recordsIn } from '../support/read-records.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'

// One of them waits for five seconds to pass.
t.jobs = 4

/** `later`: once, and is well then; `much-later`: always. */
type Mood = 'well' | 'failing' | 'resetting' | 'later' | 'much-later'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

interface Endpoint {
  mood: Mood
  asked: number
  readonly url: string
}

async function endpointOf(mood: Mood): Promise<Endpoint> {
  const state = { mood, asked: 0 }
  const script: Script = async (connection) => {
    for (;;) {
      await connection.request()
      state.asked += 1
      if (state.mood === 'resetting') return connection.reset()
      if (state.mood === 'well') connection.send(WELL)
      else if (state.mood === 'failing') connection.send(plainAnswer(503, 'ill'))
      else {
        connection.send(plainAnswer(503, 'later', [`retry-after: ${state.mood === 'later' ? 1 : 50}`]))
        if (state.mood === 'later') state.mood = 'well'
      }
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return Object.assign(state, { url: upstream.url })
}

const endpointsOf = (...moods: readonly Mood[]) => Promise.all(moods.map(endpointOf))
const model = (name: string, endpoints: readonly { readonly url: string }[], more = '') => `
[models.${name}]
breaker = { enforce = false }
timeouts = { ${PATIENCE} }
${more}
[models.${name}.versions.v1]
endpoints = ${JSON.stringify(endpoints.map(({ url }) => url))}
`

const one = {
  failing: await endpointsOf('well', 'failing', 'well', 'well'),
  resetting: await endpointsOf('well', 'resetting', 'well', 'well'),
}
const two = await endpointsOf('failing', 'well')
const [lonely, alive, only] = await endpointsOf('failing', 'well', 'failing')
const dead = { url: `http://127.0.0.1:${await unusedPort(t)}` }
const hopeless = await endpointsOf('failing', 'failing')

const gateway = await startTestGateway(t, {
  toml: [
    model('failing', one.failing, 'retry = { attempts = 2 }'),
    model('resetting', one.resetting, 'retry = { attempts = 2 }'),
    `${model('two', two)}balance = "round-robin"\n`,
    model('lonely', [lonely!], 'protocol = "raw"\nretry = { attempts = 3 }'),
    model('refusing', [dead, alive!], 'protocol = "raw"\nretry = { attempts = 3 }'),
    model('hopeless', hopeless, 'retry = { attempts = 3, budget = 0.1 }'),
    model('only', [only!], 'retry = { attempts = 3 }'),
  ].join(''),
})

const ask = (name: string) => gateway.infer(name, tensorOf('x', [1]))

async function failuresOf(name: string, requests: number): Promise<number> {
  let failures = 0
  for (let count = 0; count < requests; count += 1) if ((await ask(name)).status !== 200) failures += 1
  return failures
}

for (const mood of ['failing', 'resetting'] as const) {
  t.test(`with one of four endpoints ${mood}, callers see nothing of it`, { buffered: true }, async (t) => {
    const ill = one[mood][1]!
    const startedAt = performance.now()
    t.equal(await failuresOf(mood, 120), 0)
    const trials = Math.floor((performance.now() - startedAt) / OUT_MS)
    t.ok(ill.asked >= 1 && ill.asked <= 5 + trials, `${ill.asked} found out`)
    const records = await recordsIn(gateway.dataDir)
    const retried = records.flatMap((one) =>
      one.type === 'decision' && one.decision.model === mood && one.decision.attempts.length === 2
        ? [one.decision]
        : [],
    )
    t.equal(retried.length, ill.asked, 'each is told in its record')
    for (const { attempts, served, degraded } of retried) {
      t.match([served, degraded], ['v1', ''])
      t.equal(attempts[0]?.endpoint, ill.url)
      t.not(attempts[1]?.endpoint, ill.url, 'and went elsewhere')
    }
    const metrics = await metricsOf(gateway)
    t.equal(metrics.value('modelgate_retries_total', { model: mood, result: 'sent' }), ill.asked)
  })
}

t.test(
  'an endpoint that keeps failing is passed over, in metrics, log and record, and comes back when it is well',
  { buffered: true },
  async (t) => {
    const ill = two[0]!
    let outAfter = 0
    let failures = 0
    for (let count = 0; count < 10 && ill.asked < 5; count += 1) {
      outAfter = performance.now()
      if ((await ask('two')).status !== 200) failures += 1
    }
    t.equal(failures, 5, 'without retries callers find out')
    t.equal(ill.asked, 5)
    const metrics = await metricsOf(gateway)
    t.equal(metrics.value('modelgate_endpoints_out', { model: 'two', version: 'v1' }), 1)
    t.equal(metrics.value('modelgate_endpoint_ejections_total', { model: 'two', version: 'v1' }), 1)
    t.match(
      gateway.log.join('\n'),
      `endpoint ${ill.url} of model two, version v1 keeps failing: others are preferred for 5 s`,
    )
    ill.mood = 'well'
    let passedOver = 0
    for (; ill.asked === 5; passedOver += 1) {
      t.equal((await ask('two')).status, 200)
      if (passedOver > 50) await pause(20)
    }
    t.ok(performance.now() - outAfter >= OUT_MS, `not before its time was up: ${passedOver} went elsewhere`)
    t.equal(await failuresOf('two', 20), 0)
    t.ok(ill.asked >= 5 + 10, `${ill.asked}: it has its share again`)
    t.match(gateway.log.join('\n'), `${ill.url} of model two, version v1 is used again`)
    const notes = (await recordsIn(gateway.dataDir)).flatMap((one) =>
      one.type === 'endpoint' && one.note.model === 'two' ? [one.note] : [],
    )
    t.match(notes, [
      { endpoint: ill.url, model: 'two', version: 'v1', out: true, forMs: 5000 },
      { endpoint: ill.url, model: 'two', version: 'v1', out: false, forMs: 0 },
    ])
  },
)

t.test(
  'what must not be sent twice is tried again only where nobody listens',
  { buffered: true },
  async (t) => {
    const send = (name: string) =>
      gateway.ask(`/models/${name}/x`, { method: 'POST', headers: JSON_TYPE, body: '{}' })
    t.equal((await send('lonely')).status, 503)
    t.equal(lonely!.asked, 1)
    for (let count = 0; count < 20; count += 1) t.equal((await send('refusing')).status, 200)
    t.equal(alive!.asked, 20)
  },
)

t.test('when everything fails, retries add no more than their budget', { buffered: true }, async (t) => {
  const requests = 400
  const startedAt = performance.now()
  const failures = await Promise.all(Array.from({ length: 4 }, () => failuresOf('hopeless', requests / 4)))
  t.same(failures, Array(4).fill(requests / 4))
  const seconds = (performance.now() - startedAt) / 1000
  const asked = hopeless.reduce((sum, one) => sum + one.asked, 0)
  // The reserve of ten a second is there whatever the traffic: that of ten seconds at the start, then as time goes by.
  const most = requests * 1.1 + 100 + 10 * seconds + 1
  t.ok(asked <= most, `${asked} for ${requests} in ${seconds} s`)
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_retries_total', { model: 'hopeless', result: 'sent' }), asked - requests)
  if (most < 3 * requests) {
    t.ok(metrics.value('modelgate_retries_total', { model: 'hopeless', result: 'over-budget' }) > 0)
  }
})

t.test(
  'the only endpoint is asked again after a pause, and not before the time it named',
  { buffered: true },
  async (t) => {
    const told = await ask('only')
    t.equal(told.status, 503)
    t.equal(only!.asked, 3)
    t.equal((await decisionOf(gateway.dataDir, told.headers['modelgate-request-id'])).attempts.length, 3)
    only!.mood = 'later'
    const { asked } = only!
    const startedAt = performance.now()
    t.equal((await ask('only')).status, 200)
    t.ok(performance.now() - startedAt >= 1000, 'it said one second')
    t.equal(only!.asked, asked + 2)
    only!.mood = 'much-later'
    const soon = await gateway.infer('only', tensorOf('x', [1]), { 'modelgate-deadline-ms': '40000' })
    t.equal(soon.status, 503, 'whoever cannot wait so long is told at once')
    t.ok(soon.tookMs < 20_000, `${soon.tookMs} ms`)
    t.equal(only!.asked, asked + 3)
  },
)
