/** Active health, over a real gateway and endpoints that change their mood. */
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.ts'
import {
  type Call,
  load,
  type MoodyEndpoint,
  modelOver,
  moodyEndpoint,
  moodyEndpoints,
  READY,
} from '../support/moody-endpoint.ts'
import { PATIENCE, PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const [INTERVAL_MS, HEALTHY_AFTER] = [200, 2]
/** A stall may delay one question and its answer, hardly four in a row. */
const HEALTH = `interval = "${INTERVAL_MS}ms", unhealthy = 4`

const spoilt = {
  refused: await moodyEndpoints(t, 4),
  failing: await moodyEndpoints(t, 4),
  hanging: await moodyEndpoints(t, 4),
}
const all = await moodyEndpoints(t, 4)
const coy = await Promise.all([moodyEndpoint(t, 'coy'), moodyEndpoint(t, 'coy')])

const gateway = await startTestGateway(t, {
  toml: [
    ...Object.entries(spoilt).map(([name, endpoints]) =>
      modelOver(endpoints, {
        name,
        of: `timeouts = { ${PATIENCE} }\nbreaker = { enforce = false }\nretry = { attempts = 2, on = ["connect", "reset", "500"] }`,
        version: `balance = "round-robin"
health = { ${HEALTH} }`,
      }),
    ),
    modelOver(all, {
      name: 'all',
      of: `timeouts = { ${PATIENCE} }
breaker = { open_for = "100ms", open_for_max = "200ms", probes = 1, slow_after = "20s" }
retry = { attempts = 2, on = ["connect", "reset", "500"] }`,
      version: `health = { ${HEALTH}, healthy = ${HEALTHY_AFTER} }\nslow_start = "5s"`,
    }),
    modelOver(coy, { name: 'coy', of: PATIENT, version: 'health = { interval = "10m", timeout = "10m" }' }),
  ].join(''),
})

const healthy = (model: string, { upstream }: MoodyEndpoint, value: 0 | 1) =>
  eventually(
    async () => {
      const metrics = await metricsOf(gateway)
      const labels = { endpoint: upstream.url, model, version: 'v1' }
      const isKnown = metrics.series.some(
        (one) => one.startsWith('modelgate_endpoint_healthy\n') && one.includes(upstream.url),
      )
      return isKnown && metrics.value('modelgate_endpoint_healthy', labels) === value
    },
    { withinMs: 60_000, until: `${upstream.url} is ${value === 1 ? 'healthy' : 'unhealthy'}` },
  )

const failed = (told: readonly Call[]) => told.filter(({ status }) => status !== 200)

t.test(
  'whichever way one of four endpoints fails, callers see nothing of it, and soon it gets nothing',
  async (t) => {
    const ways: readonly (readonly [
      way: keyof typeof spoilt,
      spoil: (endpoint: MoodyEndpoint) => unknown,
    ])[] = [
      ['refused', ({ upstream }) => upstream.close()],
      ['failing', (endpoint) => Object.assign(endpoint, { mood: 'failing' })],
      ['hanging', (endpoint) => Object.assign(endpoint, { mood: 'hanging' })],
    ]
    const runs = ways.map(async ([way, spoil]) => {
      const ill = spoilt[way][2]!
      for (const endpoint of spoilt[way]) await healthy(way, endpoint, 1)
      const { more, stop, turnover } = load(gateway, way)
      await more(20)
      await spoil(ill)
      await healthy(way, ill, 0)
      // Whoever waits for it still would wait as long as the model may take: it dies in the end.
      ill.mood = 'resetting'
      for (const { socket } of ill.upstream.connections) socket.destroy()
      await turnover()
      const { asked } = ill
      await more(30)
      t.equal(ill.asked, asked, `${way}: once it is unhealthy it gets no requests`)
      t.same(failed(await stop()), [], `${way}: no caller saw a failure`)
      t.match(
        gateway.log.join('\n'),
        `${ill.upstream.url} of model ${way}, version v1 is unhealthy (${READY} `,
        way,
      )
      const records = await recordsIn(gateway.dataDir)
      const [note] = records.flatMap((one) =>
        one.type === 'endpoint' && one.note.lane === -1 && one.note.endpoint === ill.upstream.url
          ? [one.note]
          : [],
      )
      const sieves = records.flatMap((one) =>
        one.type === 'decision' && one.decision.model === way ? [one.decision.attempts.at(-1)?.sieve] : [],
      )
      t.ok(
        sieves.some((sieve) => sieve?.eligible === 3 && sieve.endpoints === 4 && !sieve.isHealthIgnored),
        `${way}: ${JSON.stringify(sieves.at(-1))}`,
      )
      t.match(note, { endpoint: ill.upstream.url, out: true, model: way, version: 'v1' })
      t.ok(String(note?.cause).startsWith(READY), String(note?.cause))
      await eventually(
        async () => {
          const { status, text } = await gateway.admin('/readyz?verbose')
          return status === 200 && text.includes(`model ${way}: 3 of 4 endpoints of the primary are healthy`)
        },
        { until: `readiness tells of ${way}` },
      )
    })
    await Promise.all(runs)
  },
)

const probes = () => all.reduce((sum, { probed }) => sum + probed, 0)
const requests = () => all.reduce((sum, { asked }) => sum + asked, 0)

/** All endpoints fail for a while. Resolves to how long it took after that until a caller was served. */
async function outage(t: Test): Promise<number> {
  const { told, more, stop, turnover } = load(gateway, 'all')
  await more(20)
  const [probedBefore, askedBefore] = [probes(), requests()]
  const downAt = performance.now()
  for (const endpoint of all) endpoint.mood = 'resetting'
  for (const endpoint of all) await healthy('all', endpoint, 0)
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_endpoint_health_ignored', { model: 'all', version: 'v1' }), 1)
  const counts = all.map(({ probed }) => probed)
  await eventually(() => all.every(({ probed }, index) => probed >= counts[index]! + 5))
  for (const endpoint of all) endpoint.mood = 'well'
  const backAt = performance.now()
  const downMs = backAt - downAt
  const [probed, asked] = [probes() - probedBefore, requests() - askedBefore]
  const probesMax = all.length * (downMs / (0.9 * INTERVAL_MS) + 2)
  t.ok(probed <= probesMax, `${probed} questions in ${Math.round(downMs)} ms, at most ${probesMax}`)
  // Until the breaker opens: five that fail and three more callers, each at two endpoints; then one trial each time.
  const trialsMax = 2 * (5 + 3 + 1 + downMs / 100)
  t.ok(asked <= trialsMax, `${asked} requests in ${Math.round(downMs)} ms, at most ${trialsMax}`)
  const served = () => told.find(({ at, status }) => at > backAt && status === 200)
  const first = await eventually(served, { until: 'a caller is served again' })
  for (const endpoint of all) await healthy('all', endpoint, 1)
  await turnover()
  const done = told.length
  await more(20)
  await stop()
  t.ok(failed(told.slice(done)).length === 0, 'and then all are')
  return first.at - backAt
}

t.test(
  'when all endpoints were down, traffic returns soon, and asking them never became a load',
  async (t) => {
    for (const endpoint of all) await healthy('all', endpoint, 1)
    const limitMs = INTERVAL_MS * HEALTHY_AFTER + 1000
    let bestMs = Number.POSITIVE_INFINITY
    // No machine makes it return sooner than it does; a stall makes it later.
    for (let round = 0; round < 5 && bestMs > limitMs; round += 1) bestMs = Math.min(bestMs, await outage(t))
    t.ok(bestMs <= limitMs, `the first answer after ${bestMs} ms`)
    t.match(
      gateway.log.join('\n'),
      /model all, version v1: 1 of 4 endpoints healthy, fewer than half: HEALTH IS IGNORED, all endpoints are used/,
    )
  },
)

t.test('endpoints that never say whether they are well delay no request, and no stop', async (t) => {
  await eventually(() => coy.every(({ probed }) => probed > 0))
  const { more, stop } = load(gateway, 'coy')
  await more(40)
  const told = await stop()
  t.same(failed(told), [])
  const slowest = Math.max(...told.map(({ tookMs }) => tookMs))
  t.ok(slowest < 30_000, `the slowest took ${slowest} ms, a question 10 min`)
  const stoppingAt = performance.now()
  await gateway.stop()
  t.ok(performance.now() - stoppingAt < 30_000, 'it stops while questions are open')
  t.same(
    coy.map(({ probed }) => probed),
    [1, 1],
  )
  await eventually(() => coy.every(({ upstream }) => upstream.openCount === 0), {
    until: 'nothing is connected to the endpoints',
  })
})
