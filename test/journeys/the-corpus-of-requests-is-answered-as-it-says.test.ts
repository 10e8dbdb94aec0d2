/**
 * Plays test/corpus/requests over real sockets: whole, byte by byte, and where an entry asks for it cut in two at
 * every byte. The endpoint behind keeps every byte it gets, so that what is refused reached nobody and what is served
 * was forwarded exactly so. Answers are read by a reader that shares no code with the gateway.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ReadAnswer, readAnswers } from '../../scripts/fuzz/read-answers.ts'
import { ExactEndpoint } from '../support/exact-endpoint.ts'
import { RawClient } from '../support/raw-client.ts'
import { bytesOf, type CorpusEntry, readCorpus } from '../support/read-corpus.ts'
import { decisionsIn } from '../support/read-records.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

const FILES = ['framing', 'chunks', 'refused', 'served', 'lenient'] as const

async function start(t: Test, limits: string) {
  const endpoint = await ExactEndpoint.start()
  t.teardown(() => endpoint.close())
  const toml = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { body = "64KiB", headers = "8KiB"${limits} }
[models.api]
protocol = "raw"
[models.api.versions.v1]
endpoints = ["http://${endpoint.authority}"]
`
  return { endpoint, gateway: await startTestGateway(t, { toml }) }
}

type Stage = Awaited<ReturnType<typeof start>>

interface Outcome {
  /** `400 malformed-request`, `200`, …; several with commas, `silence` for none. */
  readonly answers: string
  readonly connection: 'closed' | 'kept'
  /** With `{id}`, `{authority}` in place of what differs from run to run. */
  readonly endpoint: string
  /** Ids that must be in the log, with what the log has to say of them. */
  readonly told: readonly (readonly [id: string, words: string])[]
}

/** Nothing that might yet come came within this time. */
const QUIET_MS = 5
const SILENCE_MS = 150
const PATIENCE_MS = 3_000

async function play(stage: Stage, bytes: Buffer, cuts: readonly number[], wanted: Wanted): Promise<Outcome> {
  const client = await RawClient.open(stage.gateway.port)
  let received = Buffer.alloc(0)
  client.socket.on('data', (part: Buffer) => {
    received = Buffer.concat([received, part])
  })
  let at = 0
  for (const cut of [...cuts, bytes.length]) {
    if (client.isClosed) break
    client.send(bytes.subarray(at, cut))
    at = cut
    if (cut < bytes.length) await new Promise((resolve) => setImmediate(resolve))
  }
  const method = bytes.toString('latin1', 0, 5) === 'HEAD ' ? 'HEAD' : 'GET'
  const read = () => readAnswers(received, () => method).answers
  const isThere = () =>
    client.isClosed || (wanted.connection === 'kept' && read().length >= wanted.answers.split(', ').length)
  const until =
    performance.now() +
    (wanted.answers === 'silence' && wanted.connection === 'kept' ? SILENCE_MS : PATIENCE_MS)
  while (!isThere() && performance.now() < until) await pause(1)
  await pause(QUIET_MS)
  const answers = read()
  const connection = client.isClosed ? 'closed' : 'kept'
  client.close()
  return { ...seen(answers, stage), connection }
}

function seen(answers: readonly ReadAnswer[], { endpoint }: Stage): Omit<Outcome, 'connection'> {
  const words = answers.map(({ status, headers }) =>
    `${status} ${headers.get('modelgate-error') ?? ''}`.trim(),
  )
  const ids = answers.map(({ headers }) => headers.get('modelgate-request-id') ?? '')
  const got = endpoint.take().toString('latin1').replaceAll(endpoint.authority, '{authority}')
  const forwarded = got.replaceAll(/(modelgate-request-id: )[^\r]*/g, '$1{id}')
  return {
    answers: words.join(', ') || 'silence',
    endpoint: forwarded,
    told: ids.flatMap((id, index) => (id === '' ? [] : [[id, words[index]!] as const])),
  }
}

/** Without a fault code: not ours. */
const SERVERS_OWN = /^[45]\d\d$/

/** The keys of an entry, as they are compared. */
type Wanted = Omit<Outcome, 'told'>

function expected({ keys }: CorpusEntry): Wanted {
  return {
    answers: keys.get('answers') ?? '',
    connection: keys.get('connection') === 'closed' ? 'closed' : 'kept',
    endpoint: bytesOf(keys.get('endpoint') ?? '').toString('latin1'),
  }
}

async function isRecorded(t: Test, { dataDir }: TestGateway, told: Outcome['told']): Promise<void> {
  const log = new Map<string, string[]>()
  for (const { id, status, fault } of await decisionsIn(dataDir)) {
    log.set(id, [...(log.get(id) ?? []), `${status} ${fault?.code ?? ''}`.trim()])
  }
  for (const [id, words] of told) {
    const records = log.get(id) ?? []
    if (records.length !== 1 || records[0] !== words)
      t.fail(`${words} is recorded as ${records.join(' and ')}`)
  }
}

for (const file of FILES) {
  t.test(`${file}: each request is answered, ended, forwarded and recorded as its entry says`, async (t) => {
    const plain = await start(t, '')
    const chunked = await start(t, ', chunked_requests = "accept"')
    const told = new Map<Stage, (readonly [string, string])[]>([
      [plain, []],
      [chunked, []],
    ])
    for (const entry of readCorpus(`requests/${file}.txt`)) {
      const stage = entry.keys.get('gateway') === 'chunked' ? chunked : plain
      const wanted = expected(entry)
      const { bytes } = entry
      const each = Array.from({ length: Math.min(bytes.length - 1, 1_000) }, (_, index) => index + 1)
      const ways: (readonly number[])[] = entry.keys.has('whole') ? [[]] : [[], each]
      if (entry.keys.get('splits') === 'yes') ways.push(...each.map((cut) => [cut]))
      for (const cuts of ways) {
        const { told: ids, ...outcome } = await play(stage, bytes, cuts, wanted)
        const where = cuts.length === 0 ? '' : `, cut at ${cuts.length === 1 ? cuts[0] : 'every byte'}`
        // Where bytes of two requests come together, the turn in which they do decides.
        const isNothing = entry.keys.has('or-nothing') && outcome.endpoint === ''
        const isOther = outcome.answers === entry.keys.get('or-answers')
        // The server in front closes at once behind its own words: what is still being sent makes that a reset, which
        // can take them along (ARCHITECTURE.md, "What the edge checks itself").
        const isLost =
          cuts.length > 0 &&
          wanted.connection === 'closed' &&
          SERVERS_OWN.test(wanted.answers) &&
          outcome.answers === 'silence'
        const due = {
          ...wanted,
          ...(isLost ? { answers: outcome.answers } : {}),
          ...(isNothing ? { endpoint: '' } : {}),
          ...(isOther ? { answers: outcome.answers } : {}),
        }
        t.strictSame(outcome, due, `${entry.name}${where}`)
        if (!entry.keys.has('no-record')) told.get(stage)!.push(...ids)
      }
    }
    for (const [{ gateway }, ids] of told) {
      await isRecorded(t, gateway, ids)
      t.equal((await gateway.ask('/models/api/x')).status, 200, 'a good request afterwards is served')
      t.same(gateway.log, [], 'no bug was reported')
    }
  })
}
