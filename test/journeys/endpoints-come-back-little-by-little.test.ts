/** What lanes know of endpoints together, and how those that were away come back. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { OUT_MS } from '../../src/forward/balance/outlier.ts'
import { eventually } from '../support/eventually.ts'
import { askM, load, type MoodyEndpoint, modelOver, moodyEndpoints } from '../support/moody-endpoint.ts'
import { PATIENCE, PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { startTestGateway } from '../support/start-gateway.ts'

// They wait for times to pass, and do it together.
t.jobs = 4

const SLOW_START_MS = 60_000
const health = (slowStartMs: number) => `balance = "round-robin"
slow_start = "${slowStartMs}ms"
health = { interval = "200ms", healthy = 1, unhealthy = 20 }`

const failing = await moodyEndpoints(t, 2)
const slow = await moodyEndpoints(t, 2)
const soon = await moodyEndpoints(t, 2)
const hanging = await moodyEndpoints(t, 4)
failing[0]!.mood = 'failing'
slow[0]!.mood = 'failing'
soon[0]!.mood = 'failing'
hanging[1]!.mood = 'hanging'

const gateway = await startTestGateway(t, {
  toml: [
    '[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 2\ndata_dir = "data"\n',
    modelOver(failing, {
      name: 'failing',
      of: `timeouts = { ${PATIENCE} }\nbreaker = { enforce = false }`,
      version: 'balance = "round-robin"',
    }),
    modelOver(slow, { name: 'slow', of: PATIENT, version: health(SLOW_START_MS) }),
    modelOver(soon, { name: 'soon', of: PATIENT, version: health(300) }),
    // Five times as long as a stall; what hangs has to end within it.
    modelOver(hanging, {
      name: 'hanging',
      of: `timeouts = { queue = "60s", connect = "10s", first_byte = "5s", total = "60s" }
breaker = { slow_after = "60s" }
retry = { attempts = 2, on = ["timeout"] }`,
      version: 'balance = "round-robin"',
    }),
  ].join(''),
})

t.test(
  'two lanes find out together that an endpoint fails, and one request tries it for both',
  { buffered: true },
  async (t) => {
    const [ill] = failing
    const told: number[] = []
    let outAfter = 0
    // Two at a time, each on a connection of its own: the second goes to the lane that has none.
    while (told.length < 40) {
      if (ill!.asked < 5) outAfter = performance.now()
      const both = await Promise.all([askM(gateway, 'failing'), askM(gateway, 'failing')])
      told.push(...both.map(({ status }) => status))
    }
    // So often its time was up since then: not once, where the machine takes less than five seconds for this.
    const trials = () => Math.floor((performance.now() - outAfter) / OUT_MS)
    const failures = told.filter((status) => status !== 200).length
    // One more may be under way when the fifth is known.
    t.ok(failures >= 5 && failures <= 6 + trials(), `${failures} failures, over both lanes`)
    t.equal(ill!.asked, failures)
    const metrics = await metricsOf(gateway)
    const labels = { model: 'failing', version: 'v1' }
    t.equal(metrics.value('modelgate_endpoints_out', labels), 1)
    const ejections = metrics.value('modelgate_endpoint_ejections_total', labels)
    t.ok(ejections >= 1 && ejections <= 1 + trials(), `${ejections} ejections`)
    const { versions } = (await gateway.admin('/api/v1/endpoints')).json() as {
      versions: readonly {
        readonly model: string
        readonly endpoints: readonly { readonly standing: { readonly state: string } }[]
      }[]
    }
    t.same(
      versions.find(({ model }) => model === 'failing')?.endpoints.map(({ standing }) => standing.state),
      ['out', 'in'],
    )
    const lanesUsed = new Set(
      (await recordsIn(gateway.dataDir)).flatMap((one) =>
        one.type === 'decision' && one.decision.model === 'failing' ? [one.origin.lane] : [],
      ),
    )
    t.equal(lanesUsed.size, 2, 'both lanes had requests')
    await isToldOf(ill!, 'keeps failing')
    const lines = gateway.log.filter(
      (line) => line.includes('keeps failing') && line.includes(ill!.upstream.url),
    )
    t.ok(lines.length <= ejections, lines.join('\n'))
    while (ill!.asked === failures) {
      await Promise.all(Array.from({ length: 40 }, () => askM(gateway, 'failing')))
      await pause(100)
    }
    const tried = ill!.asked - failures
    t.ok(trials() >= 1, 'not before its time was up')
    t.ok(tried <= trials(), `${tried} of forty requests tried it`)
  },
)

const isToldOf = ({ upstream }: MoodyEndpoint, what: string) =>
  eventually(() => gateway.log.some((line) => line.includes(upstream.url) && line.includes(what)), {
    withinMs: 60_000,
    until: what,
  })

t.test('an endpoint that is well again gets its share little by little', { buffered: true }, async (t) => {
  const [ill, other] = slow
  await isToldOf(ill!, 'is unhealthy')
  const { more, stop } = load(gateway, 'slow')
  const backAfter = performance.now()
  ill!.mood = 'well'
  await isToldOf(ill!, 'is healthy again')
  const [asked, others] = [ill!.asked, other!.asked]
  await more(200)
  const backMs = performance.now() - backAfter
  const [came, cameToOther] = [ill!.asked - asked, other!.asked - others]
  // A tenth of its half of the requests at first, all of it in the end: never more than it has by now. By chance it may be more.
  const warmth = Math.min(1, 0.1 + (0.9 * backMs) / SLOW_START_MS)
  const most = ((came + cameToOther) * warmth) / 2
  const told = `${came} of the first ${came + cameToOther} in ${backMs.toFixed(0)} ms`
  t.ok(came <= most + 4 * Math.sqrt(most) + 2, told)
  t.same(
    (await stop()).filter(({ status }) => status !== 200),
    [],
  )
})

t.test('and in the end all of it', { buffered: true }, async (t) => {
  const [ill, other] = soon
  await isToldOf(ill!, 'is unhealthy')
  ill!.mood = 'well'
  await isToldOf(ill!, 'is healthy again')
  let apart = Number.POSITIVE_INFINITY
  // It is asked how it is all the while, and a stalled machine may delay so many answers that it warms up again.
  for (let round = 0; round < 10 && apart > 2; round += 1) {
    await pause(350)
    const [asked, others] = [ill!.asked, other!.asked]
    for (let count = 0; count < 40; count += 1) t.equal((await askM(gateway, 'soon')).status, 200)
    apart = Math.abs(ill!.asked - asked - (other!.asked - others))
  }
  t.ok(apart <= 2, `${apart} more or less than half: in each lane in turn`)
})

t.test('an endpoint that hangs under many callers takes no others along', { buffered: true }, async (t) => {
  for (let round = 0; round < 2; round += 1) {
    const told = await Promise.all(Array.from({ length: 40 }, () => askM(gateway, 'hanging')))
    const bad = told.filter(({ status }) => status !== 200)
    t.same(
      bad.map(({ status, text }) => [status, text]),
      [],
      `round ${round + 1}`,
    )
  }
  t.ok(hanging[1]!.asked >= 8, `${hanging[1]!.asked} requests waited for it at once`)
  const metrics = await metricsOf(gateway)
  const labels = { model: 'hanging', version: 'v1' }
  t.equal(metrics.value('modelgate_breaker_opens_total', labels), 0)
  t.equal(metrics.value('modelgate_endpoint_ejections_total', labels), 1)
})
