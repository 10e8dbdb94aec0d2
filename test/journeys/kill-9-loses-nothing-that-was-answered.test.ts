import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { verifyFrames } from '../../src/audit/verify-frames.ts'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { RawClient } from '../support/raw-client.ts'
import { recordsIn } from '../support/read-records.ts'
import { type ServeProcess, serve, writeSetup } from '../support/serve-process.ts'
import { javascriptModel } from '../support/start-gateway.ts'

const ROUNDS = 5
const CALLERS = 6

const SETUP = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
[scoring]
threads = 2
[models.m.versions.v1]
runtime = "javascript"
file = "plus.js"
`

/** Asks again and again on one connection, good and bad requests in turn, until the connection ends. */
async function keepAsking(port: number, caller: number, received: string[]): Promise<void> {
  const client = await RawClient.open(port).catch(() => undefined)
  if (client === undefined) return
  for (let count = 0; !client.isClosed; count += 1) {
    const isGood = (caller + count) % 3 !== 0
    client.send(isGood ? inferBytes('m') : inferBytes('m', [], tensorOf('wrong', [1])))
    const answer = await client.answer(5_000)
    if (!answer.complete) break
    received.push(answer.headers.get('modelgate-request-id') ?? `no id in ${answer.raw.toString()}`)
  }
  client.close()
}

async function round(gateway: ServeProcess, received: string[], number: number): Promise<void> {
  const { port } = await gateway.ports()
  const before = received.length
  const callers = Array.from({ length: CALLERS }, (_, caller) => keepAsking(port, caller, received))
  await eventually(() => received.length > before + 20, { withinMs: 10_000 })
  // Anywhere in the life of a request, a batch or a segment: the next one is always under way.
  await pause(Math.random() * 60 * number)
  await gateway.kill()
  await Promise.all(callers)
}

t.test(
  'every answer that a caller received whole is in the log once, after any number of kills',
  async (t) => {
    const { configFile, dataDir } = writeSetup(t, SETUP, { 'plus.js': javascriptModel('row[0] + 1') })
    const received: string[] = []
    for (let number = 1; number <= ROUNDS; number += 1) await round(serve(t, configFile), received, number)
    const last = serve(t, configFile)
    const { port } = await last.ports()
    await keepAskingOnce(port, received)
    last.signal('SIGTERM')
    t.same(await last.exited, { code: 0, signal: null }, last.stderr)

    const records = await recordsIn(dataDir)
    const times = new Map<string, number>()
    for (const record of records) {
      if (record.type !== 'decision') continue
      const { id } = record.decision
      times.set(id, (times.get(id) ?? 0) + 1)
    }
    t.ok(received.length > ROUNDS * 20, `${received.length} answers received`)
    t.equal(new Set(received).size, received.length, 'no id was given twice')
    t.same(
      received.filter((id) => times.get(id) !== 1),
      [],
      'each is there, once',
    )
    t.same(
      [...times].filter(([, count]) => count !== 1),
      [],
      'and nothing is there twice',
    )
    t.same(
      records.map(({ place }) => place.sequence),
      records.map((_, index) => index + 1),
      'the sequence has no hole',
    )
    const verdict = verifyFrames(dataDir)
    t.match(verdict, { isWhole: true, records: records.length, firstBad: null, tailBytes: 0 })
    t.same(
      records.filter(({ type }) => type === 'loss' || type === 'unknown'),
      [],
    )
    t.equal(records.filter(({ type }) => type === 'start').length, ROUNDS + 1)
    t.equal(records.filter(({ type }) => type === 'stop').length, 1, 'only the last run ended in order')
  },
)

async function keepAskingOnce(port: number, received: string[]): Promise<void> {
  const client = await RawClient.open(port)
  client.send(inferBytes('m'))
  const answer = await client.answer()
  received.push(answer.headers.get('modelgate-request-id') ?? '')
  client.close()
}
