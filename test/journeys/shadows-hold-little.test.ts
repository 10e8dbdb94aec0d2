import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask, JSON_TYPE, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { Metrics, metricsOf } from '../support/read-metrics.ts'
import { type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const MIB = 1024 * 1024

async function upstreamOf(t: Test, script: Script): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream
}

/** Reads requests of any length as they come. */
async function swallowing(t: Test): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end('{"outputs":[]}'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('eight shadows share one body of 16 MiB', async (t) => {
  const SHADOWS = 8
  const CALLERS = 4
  const primaryUrl = await swallowing(t)
  const silent = await Promise.all(
    Array.from({ length: SHADOWS }, () =>
      upstreamOf(t, async (connection) => {
        connection.stopReading()
        await pause(2_500)
      }),
    ),
  )
  const names = silent.map((_, index) => `s${index}`)
  const { configFile } = writeSetup(
    t,
    `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { body = "17MiB" }
[models.m]
timeouts = { connect = "20s", first_byte = "20s", total = "20s" }
[models.m.versions.live]
endpoints = ["${primaryUrl}"]
${silent.map(({ url }, index) => `[models.m.versions.${names[index]}]\nendpoints = ["${url}"]\n`).join('')}
[models.m.route]
primary = "live"
shadows = [${names.map((name) => `{ version = "${name}", timeout = "2s" }`).join(', ')}]
`,
  )
  const gateway = serve(t, configFile)
  const { port, adminPort } = await gateway.ports()
  const metrics = async () => new Metrics((await ask(adminPort, '/metrics')).text)
  const memory = async () => (await metrics()).value('modelgate_process_resident_memory_bytes')
  const before = await memory()
  const padding = ' '.repeat(16 * MIB)
  const body = `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]${padding}}`
  const answers = await Promise.all(
    Array.from({ length: CALLERS }, () => ask(port, '/v2/models/m/infer', { body, headers: JSON_TYPE })),
  )
  t.same(
    answers.map(({ status, headers }) => [status, headers['modelgate-error']]),
    answers.map(() => [200, undefined]),
  )
  await eventually(() => silent.every(({ connectionCount }) => connectionCount === CALLERS))
  await pause(300)
  const grown = (await memory()) - before
  const shared = CALLERS * 16 * MIB
  // Twice for bodies that were gathered in growing buffers; a copy for each shadow would be another 512 MiB.
  t.ok(
    grown < 3 * shared,
    `${Math.round(grown / MIB)} MiB for ${CALLERS} bodies of 16 MiB and their ${SHADOWS} shadows`,
  )
  await eventually(async () => {
    const now = await metrics()
    return now.sum('modelgate_shadows_total', { model: 'm', fate: 'timeout' }) === CALLERS * SHADOWS
  })
})

t.test('requests that wait for a shadow fill no more than their share of the memory', async (t) => {
  const primaryUrl = await swallowing(t)
  const silent = await upstreamOf(t, async (connection) => {
    connection.stopReading()
    await pause(6_000)
  })
  const gateway = await startTestGateway(t, {
    toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { body = "33MiB" }
[models.m]
timeouts = { connect = "20s", first_byte = "20s", total = "20s" }
[models.m.versions.live]
endpoints = ["${primaryUrl}"]
[models.m.versions.trial]
endpoints = ["${silent.url}"]
[models.m.route]
primary = "live"
shadows = [{ version = "trial", timeout = "5s" }]
`,
  })
  const body = `${tensorOf('x', [1])}${' '.repeat(32 * MIB)}`
  const fates = async (fate: string): Promise<number> =>
    (await metricsOf(gateway)).value('modelgate_shadows_total', { model: 'm', version: 'trial', fate })
  const told = await Promise.all(Array.from({ length: 4 }, () => gateway.infer('m', body)))
  t.ok(told.every(({ status }) => status === 200))
  await eventually(async () => (await fates('budget')) === 1, { until: 'the fourth found no room' })
  await eventually(async () => (await fates('timeout')) === 3, { withinMs: 10_000 })
  await gateway.infer('m', tensorOf('x', [1]))
  await eventually(async () => (await fates('timeout')) === 4, {
    withinMs: 10_000,
    until: 'there is room again',
  })
})
