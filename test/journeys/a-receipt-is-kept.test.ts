import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { leafHashesIn } from '../audit/leaf-hashes.ts'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { RawClient } from '../support/raw-client.ts'
import { Metrics } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'

const ROUNDS = 2
const CALLERS = 6
const LARGE = Buffer.alloc(300 * 1024, 'x')
const ANSWERS: Readonly<Record<string, Buffer>> = {
  '/small': Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  '/large': Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${LARGE.length}\r\n\r\n`), LARGE]),
  '/events': Buffer.from(
    'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n',
  ),
  '/broken': Buffer.from('HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n'),
}

const setupWith = (url: string) => `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
[audit]
mode = "durable"
[models.sure]
protocol = "raw"
${PATIENT}
versions = { v1 = { endpoints = ["${url}"] } }
[models.quick]
protocol = "raw"
${PATIENT}
audit = { mode = "best-effort" }
versions = { v1 = { endpoints = ["${url}"] } }
`

interface Receipt {
  readonly id: string
  readonly text: string
}

/** Asks again and again on one connection, until it ends. */
async function keepAsking(port: number, caller: number, receipts: Receipt[]): Promise<void> {
  const client = await RawClient.open(port).catch(() => undefined)
  if (client === undefined) return
  const paths = Object.keys(ANSWERS)
  for (let count = caller; !client.isClosed; count += 1) {
    client.send(`GET /models/sure${paths[count % paths.length]!} HTTP/1.1\r\nhost: gateway\r\n\r\n`)
    const { headers } = await client.answer()
    const text = headers.get('modelgate-receipt')
    // A head that came is enough, whatever became of its body.
    if (text !== undefined) receipts.push({ id: headers.get('modelgate-request-id')!, text })
  }
  client.close()
}

t.test('each receipt that was given names its record, whatever became of the gateway', async (t) => {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      connection.send(ANSWERS[target]!)
    }
  })
  t.teardown(() => upstream.close())
  const { configFile, dataDir } = writeSetup(t, setupWith(upstream.url))
  const receipts: Receipt[] = []

  for (let number = 1; number <= ROUNDS; number += 1) {
    const gateway = serve(t, configFile)
    const { port } = await gateway.ports()
    const before = receipts.length
    const callers = Array.from({ length: CALLERS }, (_, caller) => keepAsking(port, caller, receipts))
    await eventually(() => receipts.length > before + 40, { withinMs: 60_000 })
    await pause(Math.random() * 60)
    await gateway.kill()
    await Promise.all(callers)
  }

  const last = serve(t, configFile)
  const { port, adminPort } = await last.ports()
  await t.test('every kind of answer has one, refusals and errors too', async (t) => {
    const statuses = new Map([
      ['/models/sure/small', 200],
      ['/models/sure/large', 200],
      ['/models/sure/events', 200],
      ['/models/sure/broken', 500],
      ['/models/nobody/small', 404],
    ])
    for (const [path, status] of statuses) {
      const told = await ask(port, path)
      t.equal(told.status, status, path)
      const text = String(told.headers['modelgate-receipt'])
      t.match(text, /^[^;]+;[0-9]+;[0-9a-f]{64}$/, path)
      receipts.push({ id: String(told.headers['modelgate-request-id']), text })
    }
  })
  await t.test('a best-effort model gives none, and its answers wait for nothing', async (t) => {
    const { status, headers } = await ask(port, '/models/quick/small')
    t.equal(status, 200)
    t.notOk('modelgate-receipt' in headers)
    const metrics = new Metrics((await ask(adminPort, '/metrics')).text)
    t.equal(metrics.value('modelgate_log_answers_receipted_total', {}), 5)
    t.equal(metrics.value('modelgate_log_answers_waiting', {}), 0)
  })
  last.signal('SIGTERM')
  t.same(await last.exited, { code: 0, signal: null }, last.stderr)

  const places = new Map<string, number | null>()
  for (const record of await recordsIn(dataDir))
    if (record.type === 'decision') places.set(record.decision.id, record.place.sequence)
  const leaves = leafHashesIn(dataDir)
  const found = receipts.map(({ id }) => {
    const sequence = places.get(id)
    return `${sequence};${leaves.get(sequence ?? -1)}`
  })
  t.ok(receipts.length > ROUNDS * 40, `${receipts.length} receipts`)
  t.same(
    found,
    receipts.map(({ text }) => text.slice(text.indexOf(';') + 1)),
  )
})
