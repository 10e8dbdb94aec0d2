/**
 * What copies keep in memory while their shadows take nothing: one process, whose memory is looked at. The shadows hang
 * until the test ends their connections, so nothing here waits for a timeout or hurries before one.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { ask, JSON_TYPE, tensorOf } from '../support/ask.ts'
import { askShadowed, askUntilCopied } from '../support/ask-shadowed.ts'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'

const MIB = 1024 * 1024
const SHADOWS = 8
const CALLERS = 2

/** Reads requests of any length as they come. */
async function swallowing(): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end('{"outputs":[]}'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Takes nothing. */
async function silent(): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    connection.stopReading()
    await connection.closed
  })
  t.teardown(() => upstream.close())
  return upstream
}

function letGo(upstream: ScriptedUpstream): void {
  for (const { socket } of upstream.connections) socket.destroy()
}

const many = await Promise.all(Array.from({ length: SHADOWS }, silent))
const one = await silent()
const live = await swallowing()

const model = (name: string, shadows: readonly ScriptedUpstream[]) => `
[models.${name}]
timeouts = { connect = "60s", first_byte = "60s", idle = "60s", total = "60s" }
[models.${name}.versions.live]
endpoints = ["${live}"]
${shadows.map(({ url }, index) => `[models.${name}.versions.s${index}]\nendpoints = ["${url}"]\n`).join('')}
[models.${name}.route]
primary = "live"
shadows = [${shadows.map((_, index) => `{ version = "s${index}", timeout = "2m" }`).join(', ')}]
`
const { configFile, dataDir } = writeSetup(
  t,
  `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
data_dir = "data"
limits = { body = "33MiB" }
${model('many', many)}${model('one', [one])}`,
)
const { port, adminPort } = await serve(t, configFile).ports()
const gateway = { dataDir, admin: (path: string) => ask(adminPort, path) }

const fates = async (name: string, fate: string): Promise<number> =>
  (await metricsOf(gateway)).sum('modelgate_shadows_total', { model: name, fate })
const infer = (name: string, body: string | Uint8Array) =>
  ask(port, `/v2/models/${name}/infer`, { body, headers: JSON_TYPE })
/** A request with so many bytes. */
const padded = (bytes: number) => Buffer.from(tensorOf('x', [1]).padEnd(bytes))

t.test('eight shadows share one body of 16 MiB', async (t) => {
  const memory = async () => (await metricsOf(gateway)).value('modelgate_process_resident_memory_bytes')
  const body = padded(16 * MIB)
  const before = await memory()
  let copied = 0
  for (let count = 1; count <= CALLERS; count += 1) {
    const { status, headers } = await askUntilCopied(
      gateway,
      () => infer('many', body),
      () => many.every(({ connectionCount }) => connectionCount === count),
    )
    t.same([status, headers['modelgate-error']], [200, undefined])
    copied += SHADOWS
  }
  await pause(300)
  const grown = (await memory()) - before
  const shared = CALLERS * 16 * MIB
  // Twice for bodies that were gathered in growing buffers; a copy for each shadow would be another 256 MiB.
  t.ok(
    grown < 4 * shared,
    `${Math.round(grown / MIB)} MiB for ${CALLERS} bodies of 16 MiB and their ${SHADOWS} shadows`,
  )
  for (const upstream of many) letGo(upstream)
  await eventually(async () => (await fates('many', 'failed')) === copied, { until: 'each copy is told' })
})

t.test('requests that wait for a shadow fill no more than their share of the memory', async (t) => {
  const body = padded(32 * MIB + 1)
  for (const count of [1, 2, 3]) {
    const { status } = await askUntilCopied(
      gateway,
      () => infer('one', body),
      () => one.connectionCount === count,
    )
    t.equal(status, 200)
  }
  const { told, shadows } = await askShadowed(gateway, () => infer('one', body))
  t.equal(told.status, 200)
  t.match(shadows, [{ fate: 'budget', attempt: null }], 'the fourth found no room')
  letGo(one)
  await eventually(async () => (await fates('one', 'failed')) === 3)
  await askUntilCopied(
    gateway,
    () => infer('one', body),
    () => one.connectionCount === 4,
  )
  letGo(one)
  await eventually(async () => (await fates('one', 'failed')) === 4, { until: 'there was room again' })
})
