import t from 'tap'
import { tensorOf } from '../support/ask.ts'
import { BusyEndpoint } from '../support/busy-endpoint.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { OpenLoop } from '../support/open-loop.ts'
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
timeouts = { queue = "1s" }
breaker = { enforce = false }
[models.m.versions.v1]
endpoints = ["${endpoint.upstream.url}"]
`,
    })
    const limit = async () => (await metricsOf(gateway)).value('modelgate_concurrency_limit', { model: 'm' })
    t.equal(await limit(), 20, 'it starts low')
    const callers = await OpenLoop.start(gateway.port, inferBytes('m'))
    callers.perSecond = 250
    const grown = await eventually(
      async () => {
        const now = await limit()
        return now >= 22 && now
      },
      { withinMs: 12_000, until: 'the limit has grown' },
    )
    const stats = (await gateway.admin('/api/v1/stats')).json() as {
      limits: readonly Record<string, unknown>[]
    }
    t.match(stats.limits, [{ model: 'm', concurrent: 200, adaptive: true }])
    const baseline = Number(stats.limits[0]!.baseline_ms)
    // 120 ms, or a little off where the lane itself was held up.
    t.ok(baseline > 60 && baseline < 600, `what it takes is known: ${baseline} ms`)
    endpoint.serviceMs = 1_000
    await eventually(async () => (await limit()) < grown - 1, {
      withinMs: 12_000,
      until: 'it has shrunk again',
    })
    // Some are let in line and wait in vain; those refused at the door are told the limit.
    const refused = await eventually(
      async () => {
        const told = await gateway.infer('m', tensorOf('x', [1]))
        return told.headers['modelgate-error'] === 'overloaded' && told
      },
      { withinMs: 15_000, until: 'one is refused at the door' },
    )
    await callers.stop()
    t.equal(refused.status, 503)
    t.match(
      refused.json(),
      { error: /limits\.adaptive found \d\d, over all lanes\)/ },
      'a refusal says which limit was in force',
    )
    const { fault } = await decisionOf(gateway.dataDir, refused.headers['modelgate-request-id'])
    t.match(
      fault?.detail,
      /^\d+ of \d\d places held, \d+ waiting: .*limits\.concurrent 200.*limits\.adaptive found \d\d/,
    )
  },
)
