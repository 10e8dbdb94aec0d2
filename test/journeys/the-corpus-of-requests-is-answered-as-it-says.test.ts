/**
 * Plays test/corpus/requests over real sockets: whole, byte by byte, and where an entry asks for it cut in two at
 * every byte. The endpoint behind keeps every byte it gets, so that what is refused reached nobody and what is served
 * was forwarded exactly so. Answers are read by a reader that shares no code with the gateway.
 *
 * Several players share a gateway, each with a model and an endpoint of its own: where an entry says `/models/api`, the
 * third of them plays `/models/ap3`.
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
const PLAYERS = 8

interface Player {
  readonly model: string
  readonly endpoint: ExactEndpoint
  readonly gateway: TestGateway
}

async function start(limits: string): Promise<readonly Player[]> {
  const endpoints = await Promise.all(Array.from({ length: PLAYERS }, () => ExactEndpoint.start()))
  t.teardown(() => Promise.all(endpoints.map((endpoint) => endpoint.close())))
  const model = ({ authority }: ExactEndpoint, index: number) => `
[models.ap${index}]
protocol = "raw"
timeouts = { connect = "20s", first_byte = "20s", idle = "20s", total = "20s" }
[models.ap${index}.versions.v1]
endpoints = ["http://${authority}"]
`
  const toml = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { body = "64KiB", headers = "8KiB"${limits} }
${endpoints.map(model).join('')}`
  const gateway = await startTestGateway(t, { toml })
  return endpoints.map((endpoint, index) => ({ model: `ap${index}`, endpoint, gateway }))
}

interface Outcome {
  /** `400 malformed-request`, `200`, …; several with commas, `silence` for none. */
  readonly answers: string
  readonly connection: 'closed' | 'kept'
  /** With `{id}`, `{authority}` in place of what differs from run to run. */
  readonly endpoint: string
}

/** Ids that must be in the log, with what the log has to say of them. */
type Recorded = readonly (readonly [id: string, words: string])[]

interface Played {
  readonly outcome: Outcome
  readonly told: Recorded
  /** The longest time between two pieces of the request. */
  readonly gapMs: number
}

/** Nothing that might yet come came within this time. */
const QUIET_MS = 5
const SILENCE_MS = 150
const PATIENCE_MS = 20_000

async function play(player: Player, entry: CorpusEntry, cuts: readonly number[]): Promise<Played> {
  const bytes = Buffer.from(
    entry.bytes.toString('latin1').replaceAll('/models/api', `/models/${player.model}`),
    'latin1',
  )
  const wanted = expected(entry)
  const client = await RawClient.open(player.gateway.port)
  let received = Buffer.alloc(0)
  client.socket.on('data', (part: Buffer) => {
    received = Buffer.concat([received, part])
  })
  let [at, sentAt, gapMs] = [0, performance.now(), 0]
  for (const cut of [...cuts, bytes.length]) {
    if (client.isClosed) break
    client.send(bytes.subarray(at, cut))
    gapMs = Math.max(gapMs, performance.now() - sentAt)
    sentAt = performance.now()
    at = cut
    if (cut < bytes.length) await new Promise((resolve) => setImmediate(resolve))
  }
  const method = bytes.toString('latin1', 0, 5) === 'HEAD ' ? 'HEAD' : 'GET'
  const read = () => readAnswers(received, () => method).answers
  const isKept = wanted.connection === 'kept'
  const isThere = () => client.isClosed || (isKept && read().length >= wanted.answers.split(', ').length)
  const until = performance.now() + (wanted.answers === 'silence' && isKept ? SILENCE_MS : PATIENCE_MS)
  while (!isThere() && performance.now() < until) await pause(1)
  await pause(QUIET_MS)
  const answers = read()
  const connection = client.isClosed ? 'closed' : 'kept'
  client.close()
  if (entry.keys.has('or-nothing')) await player.gateway.ask(`/models/${player.model}${FENCE}`)
  const { endpoint, ...seenOfAnswers } = seen(answers, player)
  return {
    outcome: { answers: seenOfAnswers.answers, endpoint, connection },
    told: seenOfAnswers.told,
    gapMs,
  }
}

/** What the lane had read before this it has passed on when this is answered. */
const FENCE = '/fence'
const FENCED = new RegExp(`GET ${FENCE} HTTP/1\\.1\\r\\n(?:[^\\r]+\\r\\n)*\\r\\n`, 'g')

function seen(answers: readonly ReadAnswer[], { endpoint, model }: Player) {
  const words = answers.map(({ status, headers }) =>
    `${status} ${headers.get('modelgate-error') ?? ''}`.trim(),
  )
  const ids = answers.map(({ headers }) => headers.get('modelgate-request-id') ?? '')
  const bytes = endpoint.take().toString('latin1')
  const got = bytes
    .replaceAll(endpoint.authority, '{authority}')
    .replaceAll(`/models/${model}`, '/models/api')
  return {
    answers: words.join(', ') || 'silence',
    endpoint: got.replaceAll(FENCED, '').replaceAll(/(modelgate-request-id: )[^\r]*/g, '$1{id}'),
    told: ids.flatMap((id, index) => (id === '' ? [] : [[id, words[index]!] as const])),
  }
}

/** Without a fault code: not ours. */
const SERVERS_OWN = /^[45]\d\d$/

/** The keys of an entry, as they are compared. */
function expected({ keys }: CorpusEntry): Outcome {
  return {
    answers: keys.get('answers') ?? '',
    connection: keys.get('connection') === 'closed' ? 'closed' : 'kept',
    endpoint: bytesOf(keys.get('endpoint') ?? '').toString('latin1'),
  }
}

/** What is due, given what came where two things may. */
function due(entry: CorpusEntry, cuts: readonly number[], outcome: Outcome): Outcome {
  const wanted = expected(entry)
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
  return {
    ...wanted,
    ...(isLost ? { answers: outcome.answers } : {}),
    ...(isNothing ? { endpoint: '' } : {}),
    ...(isOther ? { answers: outcome.answers } : {}),
  }
}

/** The gateway waits for the rest of a refused request until its sender rests for half a second. */
const REST_MS = 400
const TRIES = 10

/** Plays an entry in one way; again where the machine, not the sender, rested in the middle of it. */
async function judge(
  t: Test,
  player: Player,
  entry: CorpusEntry,
  cuts: readonly number[],
): Promise<Recorded> {
  for (let tries = 1; ; tries += 1) {
    const { outcome, told, gapMs } = await play(player, entry, cuts)
    const wanted = due(entry, cuts, outcome)
    const isAsDue = JSON.stringify(outcome, KEYS) === JSON.stringify(wanted, KEYS)
    if (!isAsDue && gapMs > REST_MS && tries < TRIES) continue
    const where = cuts.length === 0 ? '' : `, cut at ${cuts.length === 1 ? cuts[0] : 'every byte'}`
    t.strictSame(outcome, wanted, `${entry.name}${where}`)
    return entry.keys.has('no-record') ? [] : told
  }
}

const KEYS = ['answers', 'connection', 'endpoint']

function waysOf({ bytes, keys }: CorpusEntry): readonly (readonly number[])[] {
  const each = Array.from({ length: Math.min(bytes.length - 1, 1_000) }, (_, index) => index + 1)
  const cutInTwo = keys.get('splits') === 'yes' ? each.map((cut) => [cut]) : []
  return keys.has('whole') ? [[], ...cutInTwo] : [[], each, ...cutInTwo]
}

async function isRecorded(t: Test, { dataDir }: TestGateway, told: Recorded): Promise<void> {
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

const plain = await start('')
const chunking = await start(', chunked_requests = "accept"')

for (const file of FILES) {
  t.test(`${file}: each request is answered, ended, forwarded and recorded as its entry says`, async (t) => {
    const entries = readCorpus(`requests/${file}.txt`)
    for (const players of [plain, chunking]) {
      const isChunking = players === chunking
      const plays = entries
        .filter(({ keys }) => (keys.get('gateway') === 'chunked') === isChunking)
        .flatMap((entry) => waysOf(entry).map((cuts) => ({ entry, cuts })))
      const told: (readonly [string, string])[] = []
      const queue = plays.values()
      const playAll = async (player: Player) => {
        // One iterator for all players: each takes the next that nobody has played.
        for (const { entry, cuts } of queue) told.push(...(await judge(t, player, entry, cuts)))
      }
      await Promise.all(players.map(playAll))
      const { gateway } = players[0]!
      await isRecorded(t, gateway, told)
      for (const { endpoint, model } of players) {
        t.equal(endpoint.take().toString(), '', 'nothing came late')
        t.equal((await gateway.ask(`/models/${model}/x`)).status, 200, 'a good request afterwards is served')
        endpoint.take()
      }
      t.same(
        gateway.log.filter((line) => line.startsWith('a bug')),
        [],
      )
      t.comment(`${plays.length} plays`)
    }
  })
}
