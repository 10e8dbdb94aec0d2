/** Active health, slow start, and what lanes know together, over real gateways and endpoints that change their mood. */
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

/** `coy`: answers requests, and not the question whether it is well. */
type Mood = 'well' | 'failing' | 'hanging' | 'resetting' | 'coy'

const READY = '/v2/health/ready'
const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

interface Endpoint {
  mood: Mood
  /** Requests; and questions whether it is well. */
  asked: number
  probed: number
  readonly upstream: ScriptedUpstream
}

async function endpointOf(t: Test, mood: Mood = 'well'): Promise<Endpoint> {
  const state = { mood, asked: 0, probed: 0 }
  const script: Script = async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      const isProbe = target === READY
      state[isProbe ? 'probed' : 'asked'] += 1
      if (state.mood === 'hanging' || (state.mood === 'coy' && isProbe)) return connection.closed
      if (state.mood === 'resetting') return connection.reset()
      connection.send(state.mood === 'failing' ? plainAnswer(500, 'ill') : WELL)
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return Object.assign(state, { upstream })
}

const endpointsOf = (t: Test, count: number) =>
  Promise.all(Array.from({ length: count }, () => endpointOf(t)))

const model = (endpoints: readonly Endpoint[], { of = '', version = '' } = {}) => `
[models.m]
${of}
[models.m.versions.v1]
endpoints = ${JSON.stringify(endpoints.map(({ upstream }) => upstream.url))}
${version}
`
const ask = (gateway: TestGateway) => gateway.infer('m', tensorOf('x', [1]))

interface Call {
  readonly status: number
  readonly at: number
  readonly tookMs: number
}

/** Four callers, each one request after the other, until they are told to stop; what they were told, as it comes. */
function load(gateway: TestGateway) {
  const told: Call[] = []
  let isOver = false
  const call = async () => {
    while (!isOver) {
      const { status, tookMs } = await ask(gateway)
      told.push({ status, at: performance.now(), tookMs })
    }
  }
  const calls = Promise.all([call(), call(), call(), call()])
  const stop = async () => {
    isOver = true
    await calls
    return told
  }
  const more = async (count: number) => {
    const enough = told.length + count
    await eventually(() => told.length >= enough, { withinMs: 20_000, until: `${count} more answers` })
  }
  return { told, stop, more }
}

const healthy = (gateway: TestGateway, { upstream }: Endpoint, value: 0 | 1) =>
  eventually(
    async () => {
      const metrics = await metricsOf(gateway)
      const labels = { endpoint: upstream.url, model: 'm', version: 'v1' }
      const isKnown = metrics.series.some(
        (one) => one.startsWith('modelgate_endpoint_healthy\n') && one.includes(upstream.url),
      )
      return isKnown && metrics.value('modelgate_endpoint_healthy', labels) === value
    },
    { withinMs: 10_000, until: `${upstream.url} is ${value === 1 ? 'healthy' : 'unhealthy'}` },
  )

const failed = (told: readonly Call[]) => told.filter(({ status }) => status !== 200)

t.test(
  'whichever way one of four endpoints fails, callers see nothing of it, and soon it gets nothing',
  async (t) => {
    const ways: readonly (readonly [way: string, spoil: (endpoint: Endpoint) => unknown])[] = [
      ['refused', ({ upstream }) => upstream.close()],
      ['failing', (endpoint) => Object.assign(endpoint, { mood: 'failing' })],
      ['hanging', (endpoint) => Object.assign(endpoint, { mood: 'hanging' })],
    ]
    const runs = ways.map(async ([way, spoil]) => {
      const endpoints = await endpointsOf(t, 4)
      const ill = endpoints[2]!
      const gateway = await startTestGateway(t, {
        toml: model(endpoints, {
          of: `timeouts = { connect = "2s", first_byte = "2s", total = "10s" }
retry = { attempts = 2, on = ["connect", "reset", "timeout", "500"] }`,
          version: 'balance = "round-robin"\nhealth = { interval = "100ms", unhealthy = 2 }',
        }),
      })
      await healthy(gateway, ill, 1)
      const { more, stop } = load(gateway)
      await more(20)
      await spoil(ill)
      await healthy(gateway, ill, 0)
      await more(8)
      const { asked } = ill
      await more(60)
      t.equal(ill.asked, asked, `${way}: once it is unhealthy it gets no requests`)
      t.same(failed(await stop()), [], `${way}: no caller saw a failure`)
      t.match(
        gateway.log.join('\n'),
        `${ill.upstream.url} of model m, version v1 is unhealthy (${READY} `,
        way,
      )
      const [note] = (await recordsIn(gateway.dataDir)).flatMap((one) =>
        one.type === 'endpoint' && one.note.lane === -1 ? [one.note] : [],
      )
      t.match(note, { endpoint: ill.upstream.url, out: true, model: 'm', version: 'v1' })
      t.ok(String(note?.cause).startsWith(READY), String(note?.cause))
      const ready = await gateway.admin('/readyz?verbose')
      t.match([ready.status, ready.text], [200, /model m: primary can answer; 3 of its 4 endpoints healthy/])
    })
    await Promise.all(runs)
  },
)

t.test(
  'when all endpoints were down, traffic returns soon, and asking them never became a load',
  async (t) => {
    const endpoints = await endpointsOf(t, 4)
    const [intervalMs, healthyAfter] = [200, 2]
    const gateway = await startTestGateway(t, {
      toml: model(endpoints, {
        of: `breaker = { open_for = "100ms", open_for_max = "200ms", probes = 1 }
retry = { attempts = 2, on = ["connect", "reset", "500"] }`,
        version: `health = { interval = "${intervalMs}ms", healthy = ${healthyAfter} }\nslow_start = "5s"`,
      }),
    })
    const { more, stop } = load(gateway)
    await more(20)
    const before = endpoints.map(({ probed, asked }) => ({ probed, asked }))
    const downAt = performance.now()
    for (const endpoint of endpoints) endpoint.mood = 'resetting'
    for (const endpoint of endpoints) await healthy(gateway, endpoint, 0)
    t.match(
      gateway.log.join('\n'),
      /1 of 4 endpoints healthy, fewer than half: HEALTH IS IGNORED, all endpoints are used/,
    )
    const metrics = await metricsOf(gateway)
    t.equal(metrics.value('modelgate_endpoint_health_ignored', { model: 'm', version: 'v1' }), 1)
    await pause(1000)
    for (const endpoint of endpoints) endpoint.mood = 'well'
    const backAt = performance.now()
    const limitMs = intervalMs * healthyAfter + 1000
    const sums = { probed: 0, asked: 0 }
    for (const [index, { probed, asked }] of endpoints.entries()) {
      sums.probed += probed - before[index]!.probed
      sums.asked += asked - before[index]!.asked
    }
    const downMs = backAt - downAt
    const probesMax = endpoints.length * (downMs / (0.9 * intervalMs) + 2)
    t.ok(
      sums.probed <= probesMax,
      `${sums.probed} questions in ${Math.round(downMs)} ms, at most ${probesMax}`,
    )
    await pause(limitMs)
    await more(20)
    const told = await stop()
    const down = told.filter(({ at }) => at >= downAt && at < backAt).length
    t.ok(sums.asked <= 1.1 * down + 10, `${sums.asked} requests were sent for ${down}`)
    const first = told.find(({ at, status }) => at > backAt && status === 200)
    t.ok(
      first !== undefined && first.at - backAt <= limitMs,
      `the first answer after ${first && first.at - backAt} ms`,
    )
    t.same(failed(told.filter(({ at }) => at > backAt + limitMs)), [])
    for (const endpoint of endpoints) await healthy(gateway, endpoint, 1)
  },
)

t.test('endpoints that never say whether they are well delay no request, and no stop', async (t) => {
  const endpoints = await Promise.all([endpointOf(t, 'coy'), endpointOf(t, 'coy')])
  const gateway = await startTestGateway(t, {
    toml: model(endpoints, { version: 'health = { interval = "10s", timeout = "10s" }' }),
  })
  await eventually(() => endpoints.every(({ probed }) => probed > 0))
  const { more, stop } = load(gateway)
  await more(40)
  const told = await stop()
  t.same(failed(told), [])
  const slowest = Math.max(...told.map(({ tookMs }) => tookMs))
  t.ok(slowest < 2000, `the slowest took ${slowest} ms, a question 10 s`)
  const stoppingAt = performance.now()
  await gateway.stop()
  t.ok(performance.now() - stoppingAt < 5000, 'it stops while questions are open')
  t.same(
    endpoints.map(({ probed }) => probed),
    [1, 1],
  )
  await eventually(() => endpoints.every(({ upstream }) => upstream.openCount === 0), {
    until: 'nothing is connected to the endpoints',
  })
})

t.test('two lanes find out together that an endpoint fails, and one request tries it for both', async (t) => {
  const endpoints = await endpointsOf(t, 2)
  const [ill] = endpoints
  ill!.mood = 'failing'
  const lanes = `[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
data_dir = "data"
`
  const gateway = await startTestGateway(t, {
    toml:
      lanes + model(endpoints, { of: 'breaker = { enforce = false }', version: 'balance = "round-robin"' }),
  })
  const told: number[] = []
  const startedAt = performance.now()
  // Each on a connection of its own, which the kernel gives to either lane.
  for (let count = 0; count < 40; count += 1) told.push((await ask(gateway)).status)
  t.ok(performance.now() - startedAt < 4_500, 'all while the endpoint was out')
  t.equal(told.filter((status) => status !== 200).length, 5, 'five failures, over both lanes')
  t.equal(ill!.asked, 5)
  const metrics = await metricsOf(gateway)
  const labels = { model: 'm', version: 'v1' }
  t.equal(metrics.value('modelgate_endpoints_out', labels), 1)
  t.equal(metrics.value('modelgate_endpoint_ejections_total', labels), 1)
  const { versions } = (await gateway.admin('/api/v1/endpoints')).json() as {
    versions: readonly {
      readonly endpoints: readonly { readonly standing: { readonly state: string } }[]
    }[]
  }
  t.same(
    versions[0]?.endpoints.map(({ standing }) => standing.state),
    ['out', 'in'],
  )
  const lanesUsed = new Set(
    (await recordsIn(gateway.dataDir)).flatMap(({ type, origin }) =>
      type === 'decision' ? [origin.lane] : [],
    ),
  )
  t.equal(lanesUsed.size, 2, 'both lanes had requests')
  await pause(5_100)
  await Promise.all(Array.from({ length: 40 }, () => ask(gateway)))
  t.equal(ill!.asked, 6, 'its time was up, and one of forty requests tried it')
  const lines = gateway.log.filter((line) => line.includes('keeps failing'))
  t.equal(lines.length, 1, lines.join('\n'))
})

t.test('an endpoint that is well again gets its share little by little', async (t) => {
  const endpoints = await endpointsOf(t, 2)
  const [ill, other] = endpoints
  ill!.mood = 'failing'
  const slowStartMs = 2000
  const gateway = await startTestGateway(t, {
    toml: model(endpoints, {
      version: `balance = "round-robin"
slow_start = "${slowStartMs}ms"
health = { interval = "100ms", healthy = 1 }`,
    }),
  })
  await healthy(gateway, ill!, 0)
  const { more, stop } = load(gateway)
  ill!.mood = 'well'
  await eventually(() => gateway.log.some((line) => line.includes('is healthy again')))
  const backAt = performance.now()
  const before = [ill!.asked, other!.asked]
  await eventually(() => performance.now() > backAt + slowStartMs / 2)
  const [came, others] = [ill!.asked - before[0]!, other!.asked - before[1]!]
  // A tenth of its half of the requests at first, half of it now: a sixth of all on average. By chance it may be more.
  const share = (came + others) / 6
  t.ok(came <= share + 4 * Math.sqrt(share) + 2, `${came} of the first ${came + others}`)
  await eventually(() => performance.now() > backAt + slowStartMs + 50)
  await more(8)
  const warm = [ill!.asked, other!.asked]
  await more(40)
  const [late, lateOthers] = [ill!.asked - warm[0]!, other!.asked - warm[1]!]
  t.ok(Math.abs(late - lateOthers) <= 2, `${late} and ${lateOthers} in the end`)
  t.same(failed(await stop()), [])
})
