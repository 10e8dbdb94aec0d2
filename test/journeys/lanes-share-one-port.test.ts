import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { startGateway } from '../../src/compose.ts'
import { loadConfig } from '../../src/control/config/load.ts'
import { ask, JSON_TYPE, tensorOf } from '../support/ask.ts'
import { makeAuthority, writeIssued } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENCE, PATIENT } from '../support/patient.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionsIn, recordsIn } from '../support/read-records.ts'
import { answering, plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { javascriptModel, startTestGateway } from '../support/start-gateway.ts'

const server = (lanes: number) => `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = ${lanes}
grace = "60s"
`

const [EPHEMERAL_FROM = 32_768] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1')
  .split('\t')
  .map(Number)

t.test('whoever is told that a gateway is ready can connect to it', async (t) => {
  const [port, admin] = [await reservedPort(), await reservedPort()]
  const { configFile } = writeSetup(
    t,
    `${server(2).replace('1:0', `1:${port}`).replace('1:0', `1:${admin}`)}[models.m.versions.v1]\nendpoints = ["http://127.0.0.1:9"]\n`,
  )
  const gateway = serve(t, configFile)
  const early: string[] = []
  const ready = await eventually(
    async () => {
      const told = await ask(admin, '/readyz').catch(() => undefined)
      if (told !== undefined && told.status !== 200) early.push(told.text)
      return told?.status === 200 && told
    },
    { withinMs: 60_000, until: `the gateway is ready: ${gateway.stderr}` },
  )
  t.equal((await ask(port, '/v2/health/live')).status, 200)
  t.equal(ready.text, 'ready\n')
  t.match((await ask(admin, '/readyz?verbose')).text, /^\[\+\] port: open\n/)
  for (const text of early) t.equal(text, '[-] port: not open yet\nnot ready\n')
  gateway.signal('SIGTERM')
  t.match(await gateway.exited, { code: 0 })
})

/** Nobody listens there, and the kernel gives it to nobody who does not ask for it. */
async function reservedPort(): Promise<number> {
  for (;;) {
    const port = randomInt(EPHEMERAL_FROM - 10_000, EPHEMERAL_FROM)
    const listener = createServer().listen(port, '127.0.0.1')
    const isFree = await once(listener, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    listener.close()
    await once(listener, 'close')
    return port
  }
}

t.test('two lanes serve one port, their counts are one, and a stop ends both', async (t) => {
  const upstream = await ScriptedUpstream.start(answering(plainAnswer(500, 'ill')))
  t.teardown(() => upstream.close())
  const gateway = await startTestGateway(t, {
    files: { 'plus.js': javascriptModel('row[0] + 1') },
    toml: `${server(2)}
[models.m]
${PATIENT}
[models.m.versions.v1]
runtime = "javascript"
file = "plus.js"
[models.ill]
timeouts = { ${PATIENCE} }
breaker = { consecutive = 3, open_for = "1h", open_for_max = "1h" }
[models.ill.versions.v1]
endpoints = ["${upstream.url}"]
`,
  })
  // The kernel spreads connections by their addresses, so many are needed for both lanes to get some.
  const told = await Promise.all(Array.from({ length: 60 }, () => gateway.infer('m', tensorOf('x', [1]))))
  t.same([...new Set(told.map(({ status }) => status))], [200])
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_lanes'), 2)
  const labels = { model: 'm', version: 'v1', reason: 'primary', class: '2xx' }
  t.equal(metrics.value('modelgate_requests_total', labels), 60, 'counted over both lanes')
  t.equal(metrics.value('modelgate_connections_total'), 60)
  const stats = (await gateway.admin('/api/v1/stats')).json() as {
    durations: { phase: string; count: number }[]
  }
  t.ok(
    stats.durations.some(({ phase, count }) => phase === 'total' && count === 60),
    'and one histogram',
  )
  const lanes = new Set<number>()
  const records = await eventually(async () => {
    const found = await recordsIn(gateway.dataDir)
    return found.filter(({ type }) => type === 'decision').length === 60 && found
  })
  for (const { type, origin } of records) if (type === 'decision') lanes.add(origin.lane)
  t.same([...lanes].sort(), [0, 1], 'both lanes wrote records')

  for (let count = 0; count < 40; count += 1) await gateway.infer('ill', tensorOf('x', [1]))
  const breakers = (await gateway.admin('/api/v1/breakers')).json() as {
    breakers: { model: string; state: string; opens: number }[]
  }
  const ill = breakers.breakers.find(({ model }) => model === 'ill')!
  t.match(ill, { state: 'open', opens: 1 }, 'one breaker for both lanes')

  t.same(await gateway.stop(), { abandoned: 0 })
  await t.rejects(ask(gateway.port, '/v2/health/live', { headers: JSON_TYPE }), /ECONNREFUSED/)
  t.equal((await decisionsIn(gateway.dataDir)).length, 100)
  const after = await recordsIn(gateway.dataDir)
  t.same(
    after.map(({ place }) => place.sequence),
    after.map((_, index) => index),
    'one sequence over both lanes',
  )
})

t.test('connections beyond server.limits.connections are turned away, and counted', async (t) => {
  const upstream = await ScriptedUpstream.start(answering(plainAnswer(200, '{"outputs":[]}')))
  t.teardown(() => upstream.close())
  const gateway = await startTestGateway(t, {
    toml: `${server(1)}limits = { connections = 3 }
[models.m]
${PATIENT}
[models.m.versions.v1]
endpoints = ["${upstream.url}"]
`,
  })
  const clients: RawClient[] = []
  for (let count = 0; count < 5; count += 1) clients.push(await RawClient.open(gateway.port))
  await eventually(() => clients.filter(({ isClosed }) => isClosed).length === 2)
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_connections_refused_total'), 2)
  t.equal(metrics.value('modelgate_open_connections'), 3)
  for (const client of clients) client.close()
  await eventually(async () => (await metricsOf(gateway)).value('modelgate_open_connections') === 0)
  t.equal((await gateway.infer('m', tensorOf('x', [1]))).status, 200)
})

t.test('lanes that cannot start say why, and leave nothing behind', async (t) => {
  const directory = t.testdir({})
  const { key } = writeIssued(directory, 'edge', makeAuthority().issue())
  const configFile = join(directory, 'gateway.toml')
  writeFileSync(
    configFile,
    `[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 3
tls = { cert = "edge.crt", key = "edge.key" }
`,
  )
  const loaded = loadConfig(configFile, { generation: 1, cores: 2 })
  if (!loaded.ok) throw new Error(loaded.problems[0]?.message)
  rmSync(key)
  const start = await startGateway({ snapshot: loaded.snapshot, version: '0', configFile, log: () => {} })
  t.match(start, { ok: false, problem: /edge\.key/ }, 'three lanes failed and the reason of one is told')
})
