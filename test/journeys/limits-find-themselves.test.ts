import t from 'tap'
import { tensorOf } from '../support/ask.ts'
import { BusyEndpoint } from '../support/busy-endpoint.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { OpenLoop } from '../support/open-loop.ts'
import { PATIENCE } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf } from '../support/read-records.ts'
import { startTestGateway } from '../support/start-gateway.ts'

t.test(
  'limits.adaptive grows while the endpoint keeps its pace, and shrinks when it slows down',
  async (t) => {
    const endpoint = await BusyEndpoint.start(t, { places: 1_000, serviceMs: 120 })
    const gateway = await startTestGateway(t, {
      toml: `
[models.m]
limits = { concurrent = 200, queue = 400, adaptive = true }
timeouts = { ${PATIENCE.replace('queue = "20s"', 'queue = "1s"')} }
breaker = { enforce = false }
[models.m.versions.v1]
endpoints = ["${endpoint.upstream.url}"]
`,
    })
    const limit = async () => (await metricsOf(gateway)).value('modelgate_concurrency_limit', { model: 'm' })
    t.equal(await limit(), 20, 'it starts low')
    const callers = await OpenLoop.start(gateway.port, inferBytes('m'))
    callers.perSecond = 250
    // Where the machine stalls the limit shrinks with good reason, and grows again from there.
    let lowest = 20
    const grown = await eventually(
      async () => {
        const now = await limit()
        lowest = Math.min(lowest, now)
        return now >= lowest + 2 && now
      },
      { withinMs: 60_000, until: 'the limit has grown' },
    )
    const stats = (await gateway.admin('/api/v1/stats')).json() as {
      limits: readonly Record<string, unknown>[]
    }
    t.match(stats.limits, [{ model: 'm', concurrent: 200, adaptive: true }])
    const baseline = Number(stats.limits[0]!.baseline_ms)
    // No timer of the endpoint ends early; how much later its answers are seen is the machine's.
    t.ok(baseline > 60, `what it takes is known: ${baseline} ms`)
    endpoint.serviceMs = 4 * Math.max(baseline, 150)
    await eventually(async () => (await limit()) < grown, {
      withinMs: 40_000,
      until: 'it has shrunk again',
    })
    // Some are let in line and wait in vain; those refused at the door are told the limit.
    const refused = await eventually(
      async () => {
        const told = await gateway.infer('m', tensorOf('x', [1]))
        return told.headers['modelgate-error'] === 'overloaded' && told
      },
      { withinMs: 40_000, until: 'one is refused at the door' },
    )
    await callers.stop()
    t.equal(refused.status, 503)
    t.match(
      refused.json(),
      { error: /limits\.adaptive found \d+, over all lanes\)/ },
      'a refusal says which limit was in force',
    )
    const { fault } = await decisionOf(gateway.dataDir, refused.headers['modelgate-request-id'])
    t.match(
      fault?.detail,
      /^\d+ of \d+ places held, \d+ waiting: .*limits\.concurrent 200.*limits\.adaptive found \d+/,
    )
  },
)
