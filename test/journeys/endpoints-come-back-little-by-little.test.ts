/** What lanes know of endpoints together, and how those that were away come back. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { eventually } from '../support/eventually.ts'
import { askM, load, modelOver, moodyEndpoints } from '../support/moody-endpoint.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { startTestGateway } from '../support/start-gateway.ts'

// They wait for times to pass, and do it together.
t.jobs = 3

t.test(
  'two lanes find out together that an endpoint fails, and one request tries it for both',
  { buffered: true },
  async (t) => {
    const endpoints = await moodyEndpoints(t, 2)
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
        lanes +
        modelOver(endpoints, { of: 'breaker = { enforce = false }', version: 'balance = "round-robin"' }),
    })
    const told: number[] = []
    const startedAt = performance.now()
    // Each on a connection of its own, which the kernel gives to either lane; all of them while the endpoint is out.
    while (told.length < 40 && performance.now() - startedAt < 4_000) told.push((await askM(gateway)).status)
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
    await Promise.all(Array.from({ length: 40 }, () => askM(gateway)))
    t.equal(ill!.asked, 6, 'its time was up, and one of forty requests tried it')
    const lines = gateway.log.filter((line) => line.includes('keeps failing'))
    t.equal(lines.length, 1, lines.join('\n'))
  },
)

t.test('an endpoint that is well again gets its share little by little', { buffered: true }, async (t) => {
  const endpoints = await moodyEndpoints(t, 2)
  const [ill, other] = endpoints
  ill!.mood = 'failing'
  const slowStartMs = 1500
  const gateway = await startTestGateway(t, {
    toml: modelOver(endpoints, {
      version: `balance = "round-robin"
slow_start = "${slowStartMs}ms"
health = { interval = "100ms", healthy = 1 }`,
    }),
  })
  await eventually(() => gateway.log.some((line) => line.includes('is unhealthy')))
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
  t.same(
    (await stop()).filter(({ status }) => status !== 200),
    [],
  )
})

t.test('an endpoint that hangs under many callers takes no others along', { buffered: true }, async (t) => {
  const endpoints = await moodyEndpoints(t, 4)
  endpoints[1]!.mood = 'hanging'
  const gateway = await startTestGateway(t, {
    toml: modelOver(endpoints, {
      of: `timeouts = { connect = "1s", first_byte = "1s", total = "5s" }
retry = { attempts = 2, on = ["timeout"] }`,
      version: 'balance = "round-robin"',
    }),
  })
  for (let round = 0; round < 2; round += 1) {
    const told = await Promise.all(Array.from({ length: 40 }, () => askM(gateway)))
    const bad = told.filter(({ status }) => status !== 200)
    t.same(
      bad.map(({ status, text }) => [status, text]),
      [],
      `round ${round + 1}`,
    )
  }
  t.ok(endpoints[1]!.asked >= 8, `${endpoints[1]!.asked} requests waited for it at once`)
  const metrics = await metricsOf(gateway)
  const labels = { model: 'm', version: 'v1' }
  t.equal(metrics.value('modelgate_breaker_opens_total', labels), 0)
  t.equal(metrics.value('modelgate_endpoint_ejections_total', labels), 1)
})
