import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { findDecision } from '../../src/audit/find.ts'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { PATIENT } from '../support/patient.ts'
import { RawClient } from '../support/raw-client.ts'
import { recordsIn } from '../support/read-records.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { type ServeProcess, serve, writeSetup } from '../support/serve-process.ts'
import { javascriptModel } from '../support/start-gateway.ts'

const ROUNDS = 3
const CALLERS = 6
/** Whose answers the endpoint holds back at the kill. */
const HELD = 4

const setupWith = (streaming: string) => `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
[scoring]
threads = 2
[models.m]
${PATIENT}
[models.m.versions.v1]
runtime = "javascript"
file = "plus.js"
[models.s]
protocol = "raw"
${PATIENT}
[models.s.versions.v1]
endpoints = ["${streaming}"]
[models.loose]
protocol = "raw"
audit = { mode = "best-effort" }
${PATIENT}
[models.loose.versions.v1]
endpoints = ["${streaming}"]
`
const QUICK = 'POST /models/s/quick HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}'
const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'

/** Asks again and again on one connection, local and remote, good and bad in turn, until the connection ends. */
async function keepAsking(port: number, caller: number, received: string[]): Promise<void> {
  const client = await RawClient.open(port).catch(() => undefined)
  if (client === undefined) return
  for (let count = 0; !client.isClosed; count += 1) {
    client.send([QUICK, inferBytes('m'), inferBytes('m', [], tensorOf('wrong', [1]))][(caller + count) % 3]!)
    const answer = await client.answer()
    if (!answer.complete) break
    received.push(answer.headers.get('modelgate-request-id') ?? `no id in ${answer.raw.toString()}`)
  }
  client.close()
}

/** Ids of the requests that the endpoint saw, and of those it held back. */
interface Seen {
  readonly ids: Set<string>
  readonly held: Set<string>
  /** Of a model whose records are best-effort. */
  readonly loose: Set<string>
}

/** Nobody answers it; the kill ends it. */
function askHeld(port: number, path = '/models/s/held'): void {
  request({ port, path, agent: false })
    .on('error', () => {})
    .end()
}

async function round(
  gateway: ServeProcess,
  { received, seen }: { readonly received: string[]; readonly seen: Seen },
  number: number,
): Promise<void> {
  const { port } = await gateway.ports()
  const before = received.length
  const callers = Array.from({ length: CALLERS }, (_, caller) => keepAsking(port, caller, received))
  for (let count = 0; count < HELD; count += 1) askHeld(port)
  askHeld(port, '/models/loose/loose')
  await eventually(() => received.length > before + 20, { withinMs: 60_000 })
  await eventually(() => seen.loose.size === number, { withinMs: 60_000 })
  await eventually(() => seen.held.size === HELD * number, { withinMs: 60_000 })
  // Anywhere in the life of a request, a batch or a segment: the next one is always under way.
  await pause(Math.random() * 60 * number)
  await gateway.kill()
  await Promise.all(callers)
}

/** Opens a stream; resolves to its id with the first event. */
async function openStream(port: number, path: string): Promise<string> {
  const asking = request({ port, path: `/models/s/${path}`, agent: false })
  asking.on('error', () => {}).end()
  const [answer] = (await once(asking, 'response')) as [IncomingMessage]
  answer.on('error', () => {})
  await once(answer, 'data')
  return String(answer.headers['modelgate-request-id'])
}

/** Two kinds of streams, and the end of the process while one kind is open. */
async function streaming(gateway: ServeProcess, dataDir: string) {
  const { port } = await gateway.ports()
  const ended = await Promise.all(Array.from({ length: 4 }, () => openStream(port, 'whole')))
  for (const id of ended) await eventually(async () => (await findDecision(dataDir, id))?.stream != null)
  const open = await Promise.all(Array.from({ length: 6 }, () => openStream(port, 'open')))
  await gateway.kill()
  return { ended, open }
}

t.test('what was answered is in the log, after any number of kills', async (t) => {
  const seen: Seen = { ids: new Set(), held: new Set(), loose: new Set() }
  const upstream = await ScriptedUpstream.start(async (connection) => {
    const { target, headers } = await connection.request()
    const id = headers.get('modelgate-request-id')!
    if (target.endsWith('/loose')) {
      seen.loose.add(id)
      return void (await connection.closed)
    }
    seen.ids.add(id)
    if (target.endsWith('/held')) {
      seen.held.add(id)
      return void (await connection.closed)
    }
    if (target.endsWith('/quick')) {
      connection.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}')
      return connection.finish()
    }
    connection.send(`${EVENTS}9\r\ndata: 1\n\n\r\n`)
    if (target.endsWith('/open')) await connection.closed
    connection.send('0\r\n\r\n')
    connection.finish()
  })
  t.teardown(() => upstream.close())
  const files = { 'plus.js': javascriptModel('row[0] + 1') }
  const { configFile, dataDir } = writeSetup(t, setupWith(upstream.url), files)
  const received: string[] = []
  for (let number = 1; number <= ROUNDS; number += 1) {
    await round(serve(t, configFile), { received, seen }, number)
  }
  const { ended, open } = await streaming(serve(t, configFile), dataDir)
  const last = serve(t, configFile)
  await keepAskingOnce((await last.ports()).port, received)
  last.signal('SIGTERM')
  t.same(await last.exited, { code: 0, signal: null }, last.stderr)
  const records = await recordsIn(dataDir)

  t.test('every answer that a caller received whole is there once', async (t) => {
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
  })

  t.test(
    'every request that an endpoint saw is there once, told as unknown when nobody was answered',
    async (t) => {
      const faults = new Map<string, string[]>()
      for (const record of records) {
        if (record.type !== 'decision') continue
        const { id, fault } = record.decision
        faults.set(id, [...(faults.get(id) ?? []), fault?.code ?? ''])
      }
      t.ok(seen.ids.size > ROUNDS * HELD, `${seen.ids.size} requests seen`)
      t.same(
        [...seen.ids].filter((id) => faults.get(id)?.length !== 1),
        [],
        'each is there, once',
      )
      t.equal(seen.held.size, ROUNDS * HELD)
      for (const id of seen.held) t.same(faults.get(id), ['unknown_crash'])
      t.same(
        received.filter((id) => faults.get(id)?.includes('unknown_crash')),
        [],
        'what was answered is never unknown',
      )
      t.same(
        [...seen.loose].filter((id) => faults.has(id)),
        [],
        'where records are best-effort, nothing is noted',
      )
      const told = records.flatMap((record) =>
        record.type === 'recovery' ? [Number(record.note.unknownCrash)] : [],
      )
      t.equal(
        told.reduce((sum, count) => sum + count, 0),
        [...faults.values()].flat().filter((code) => code === 'unknown_crash').length,
      )
    },
  )

  t.test('of a stream that the process died under, it is known that it had begun, and no more', async (t) => {
    const told = async (ids: readonly string[]) => Promise.all(ids.map((id) => findDecision(dataDir, id)))
    for (const story of await told(ended)) {
      t.match(story, { decision: { decision: { status: 200 } }, stream: { stream: { fate: 'complete' } } })
    }
    for (const story of await told(open)) {
      t.match(story, {
        decision: { decision: { status: 200, attempts: [{ verdict: 'streaming' }] } },
        stream: null,
      })
      t.type(story!.decision!.place.sequence, 'number', 'recovered into the one sequence')
    }
  })

  t.test('the log is whole', async (t) => {
    t.same(
      records.map(({ place }) => place.sequence),
      records.map((_, index) => index),
      'the sequence has no hole',
    )
    const verdict = verifyLog(dataDir)
    t.match(verdict, { isWhole: true, records: records.length, firstBad: null, tailBytes: 0 })
    t.same(
      records.filter(({ type }) => type === 'gap' || type === 'unknown'),
      [],
    )
    t.equal(records.filter(({ type }) => type === 'start').length, ROUNDS + 2)
    t.equal(records.filter(({ type }) => type === 'stop').length, 1, 'only the last run ended in order')
  })
})

async function keepAskingOnce(port: number, received: string[]): Promise<void> {
  const client = await RawClient.open(port)
  client.send(inferBytes('m'))
  const answer = await client.answer()
  received.push(answer.headers.get('modelgate-request-id') ?? '')
  client.close()
}
