/** What comes of asking: shared memory, log, records, metrics, the admin API. Real endpoints, no gateway. */
import t, { type Test } from 'tap'
import { endpoints } from '../../../src/control/admin/resources/endpoints.ts'
import { EndpointHealth } from '../../../src/control/probes/endpoint-health.ts'
import { endpointMetrics } from '../../../src/control/probes/endpoint-metrics.ts'
import type { RemoteVersion, Snapshot } from '../../../src/domain/routes.ts'
import { boardShapeOf, EndpointBoard } from '../../../src/forward/balance/endpoint-board.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { BreakerMemory } from '../../../src/observe/breaker-memory.ts'
import { Reading } from '../../../src/observe/reading.ts'
import { makeSnapshot } from '../../observe/make-snapshot.ts'
import { eventually } from '../../support/eventually.ts'
import { LoadedChance } from '../../support/loaded-chance.ts'
import { makeRemoteVersion } from '../../support/make-model.ts'
import { plainAnswer, ScriptedUpstream } from '../../support/scripted-upstream.ts'

const HEALTH = { path: '/ready', intervalMs: 20, timeoutMs: 5000, healthy: 1, unhealthy: 1, expect: [] }

interface Asked {
  isWell: boolean
  questions: number
  readonly upstream: ScriptedUpstream
}

async function askedEndpoint(t: Test): Promise<Asked> {
  const state = { isWell: true, questions: 0 }
  const upstream = await ScriptedUpstream.start(async (connection) => {
    await connection.request()
    state.questions += 1
    connection.send(plainAnswer(state.isWell ? 200 : 503, ''))
  })
  t.teardown(() => upstream.close())
  return Object.assign(state, { upstream })
}

/** Versions v0, v1, … of one model, each with these endpoints. */
function watching(t: Test, ...versions: readonly (readonly Asked[])[]) {
  let firstEndpoint = 0
  const remote = versions.map((asked, index): RemoteVersion => {
    const of = asked.map(({ upstream }) => upstream.endpoint)
    const version = makeRemoteVersion(80, {
      index,
      name: `v${index}`,
      firstEndpoint,
      endpoints: of,
      health: HEALTH,
    })
    firstEndpoint += of.length
    return version
  })
  const snapshot: Snapshot = { ...makeSnapshot(), versions: remote }
  const board = new EndpointBoard(boardShapeOf(snapshot))
  const log: string[] = []
  const records: object[] = []
  const health = new EndpointHealth({
    snapshot,
    board,
    clock: systemClock,
    chance: new LoadedChance(0),
    addressesOf: (host, told) => told(`${host} is not asked for here`, []),
    record: (note) => records.push(note),
    log: (line) => log.push(line),
  })
  health.start()
  t.teardown(() => health.stop())
  const metric = (name: string) => {
    const found = endpointMetrics({ snapshot, board, health }).find((one) => one.name === name)
    if (found === undefined || found.type === 'histogram') throw new Error(`no ${name}`)
    return [
      ...found.samples(
        new Reading(snapshot, [], { breakers: new BreakerMemory(snapshot).create(), changes: [] }),
      ),
    ].map(({ labels, value }) => [...labels, value])
  }
  const told = async () => {
    const { get } = endpoints({ snapshot, board, health, clock: systemClock })
    const { body } = await get({
      parameters: new Map(),
      query: new URLSearchParams(),
      accept: '',
      client: '',
    })
    return JSON.parse(String(body)).versions
  }
  return { snapshot, board, log, records, health, metric, told, remote }
}

t.test('an endpoint that is not well is so in memory, log, records, metrics and the admin API', async (t) => {
  const [good, ill] = await Promise.all([askedEndpoint(t), askedEndpoint(t)])
  const { board, log, records, metric, told, health, remote } = watching(t, [good, ill])
  await eventually(() => board.healthOf(0) === 'healthy' && board.healthOf(1) === 'healthy')
  t.same(log, [], 'nobody is told that all is well')
  t.same(records, [])
  ill.isWell = false
  await eventually(() => board.isUnhealthy(1))
  const { url } = ill.upstream
  t.same(log, [
    `endpoint ${url} of model fraud, version v0 is unhealthy (/ready answered 503): it gets no requests`,
  ])
  t.match(records, [
    {
      lane: -1,
      model: 'fraud',
      version: 'v0',
      endpoint: url,
      out: true,
      forMs: 0,
      cause: '/ready answered 503',
    },
  ])
  t.same(metric('modelgate_endpoints_unhealthy'), [['fraud', 'v0', 1]])
  t.same(metric('modelgate_endpoint_health_ignored'), [['fraud', 'v0', 0]])
  t.same(metric('modelgate_endpoint_healthy'), [
    ['fraud', 'v0', good.upstream.url, 1],
    ['fraud', 'v0', url, 0],
  ])
  t.equal(health.healthyCount(remote[0]!), 1)
  t.match(await told(), [
    {
      model: 'fraud',
      version: 'v0',
      health_ignored: false,
      endpoints: [
        {
          health: { state: 'healthy' },
          standing: { state: 'in', until: null },
          outstanding: 0,
          average_ms: null,
        },
        {
          url,
          health: { state: 'unhealthy', path: '/ready', last: { verdict: 'failed', detail: 'answered 503' } },
        },
      ],
    },
  ])
  const [[, , , passed], [, , , failed]] = metric('modelgate_probes_total') as [unknown[], unknown[]]
  t.ok(Number(passed) >= 2 && Number(failed) >= 1, `${passed} passed, ${failed} failed`)
})

t.test('one that comes back is in good standing again, for callers and shadows', async (t) => {
  const [good, ill] = await Promise.all([askedEndpoint(t), askedEndpoint(t)])
  const { board, log, records, metric, told } = watching(t, [good, ill])
  ill.isWell = false
  await eventually(() => board.isUnhealthy(1))
  const place = { version: 0, endpoint: 1 }
  for (const side of ['serving', 'shadow'] as const) {
    for (let failure = 0; failure < 5; failure += 1)
      board.note({ ...place, side }, 'failure', systemClock.now())
  }
  t.same(metric('modelgate_endpoints_out'), [['fraud', 'v0', 1]])
  t.match((await told())[0].endpoints[1].standing, { state: 'out', times_out: 1, until: /^20..-/ })
  const since = systemClock.now()
  ill.isWell = true
  await eventually(() => board.healthOf(1) === 'healthy')
  for (const side of ['serving', 'shadow'] as const) {
    const standing = board.standingOf({ side, endpoint: 1 })
    t.match(standing, { is: 'in', failures: 0, times: 1 })
    t.ok(standing.is === 'in' && standing.since >= Math.floor(since), 'its share grows from now on')
  }
  t.equal(log.at(-1), `endpoint ${ill.upstream.url} of model fraud, version v0 is healthy again`)
  t.match(records.at(-1), { out: false, cause: '/ready answered 200' })
})

t.test('where fewer than half are healthy, it says so, and when that is over', async (t) => {
  const all = await Promise.all([askedEndpoint(t), askedEndpoint(t), askedEndpoint(t)])
  const { board, log, metric, told } = watching(t, all)
  await eventually(() => [0, 1, 2].every((one) => board.healthOf(one) === 'healthy'))
  all[0]!.isWell = false
  await eventually(() => board.isUnhealthy(0))
  t.same(metric('modelgate_endpoint_health_ignored'), [['fraud', 'v0', 0]])
  all[1]!.isWell = false
  await eventually(() => board.isUnhealthy(1))
  t.match(log.at(-2), /: it is used all the same$/)
  t.equal(
    log.at(-1),
    'model fraud, version v0: 1 of 3 endpoints healthy, fewer than half: HEALTH IS IGNORED, all endpoints are used',
  )
  t.same(metric('modelgate_endpoint_health_ignored'), [['fraud', 'v0', 1]])
  t.equal((await told())[0].health_ignored, true)
  all[1]!.isWell = true
  await eventually(() => !board.isUnhealthy(1))
  t.equal(log.at(-1), 'model fraud, version v0: 2 of 3 endpoints healthy: those that are not get no requests')
})

t.test('an endpoint of several versions is asked once, and all of them hear of it', async (t) => {
  const [good, ill] = await Promise.all([askedEndpoint(t), askedEndpoint(t)])
  ill.isWell = false
  const { board, log, records } = watching(t, [good, ill], [ill, good])
  await eventually(() => board.isUnhealthy(1) && board.isUnhealthy(2))
  const before = ill.questions
  t.equal(log.length, 2)
  t.match(records, [{ version: 'v0' }, { version: 'v1' }])
  const startedAt = performance.now()
  await eventually(() => ill.questions >= before + 10)
  const everyMs = (performance.now() - startedAt) / 10
  t.ok(everyMs > 0.75 * HEALTH.intervalMs, `asked every ${everyMs} ms, not twice as often`)
})
