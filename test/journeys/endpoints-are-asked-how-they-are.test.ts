/** Active health, over real gateways and endpoints that change their mood. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
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
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

const healthy = (gateway: TestGateway, { upstream }: MoodyEndpoint, value: 0 | 1) =>
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
    const ways: readonly (readonly [way: string, spoil: (endpoint: MoodyEndpoint) => unknown])[] = [
      ['refused', ({ upstream }) => upstream.close()],
      ['failing', (endpoint) => Object.assign(endpoint, { mood: 'failing' })],
      ['hanging', (endpoint) => Object.assign(endpoint, { mood: 'hanging' })],
    ]
    const runs = ways.map(async ([way, spoil]) => {
      const endpoints = await moodyEndpoints(t, 4)
      const ill = endpoints[2]!
      const gateway = await startTestGateway(t, {
        toml: modelOver(endpoints, {
          of: `timeouts = { connect = "1s", first_byte = "1s", total = "10s" }
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
      await more(30)
      t.equal(ill.asked, asked, `${way}: once it is unhealthy it gets no requests`)
      t.same(failed(await stop()), [], `${way}: no caller saw a failure`)
      t.match(
        gateway.log.join('\n'),
        `${ill.upstream.url} of model m, version v1 is unhealthy (${READY} `,
        way,
      )
      const records = await recordsIn(gateway.dataDir)
      const [note] = records.flatMap((one) =>
        one.type === 'endpoint' && one.note.lane === -1 ? [one.note] : [],
      )
      // One that had to be tried again may have begun before.
      const last = records.findLast((one) => one.type === 'decision' && one.decision.attempts.length === 1)
      const sieve = { eligible: 3, endpoints: 4, isHealthIgnored: false }
      t.match(last?.type === 'decision' ? last.decision.attempts : [], [{ sieve }], way)
      t.match(note, { endpoint: ill.upstream.url, out: true, model: 'm', version: 'v1' })
      t.ok(String(note?.cause).startsWith(READY), String(note?.cause))
      const ready = await gateway.admin('/readyz?verbose')
      t.match([ready.status, ready.text], [200, /model m: 3 of 4 endpoints of the primary are healthy/])
    })
    await Promise.all(runs)
  },
)

t.test(
  'when all endpoints were down, traffic returns soon, and asking them never became a load',
  async (t) => {
    const endpoints = await moodyEndpoints(t, 4)
    const [intervalMs, healthyAfter] = [100, 2]
    const gateway = await startTestGateway(t, {
      toml: modelOver(endpoints, {
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
    await pause(700)
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
  const endpoints = await Promise.all([moodyEndpoint(t, 'coy'), moodyEndpoint(t, 'coy')])
  const gateway = await startTestGateway(t, {
    toml: modelOver(endpoints, { version: 'health = { interval = "10s", timeout = "10s" }' }),
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
