/**
 * The answer side through a whole gateway: an endpoint sends any bytes, in pieces, and then ends, breaks or
 * keeps its connection; a client reads what the gateway makes of them. Judged by Node's parser on the
 * client's side and by the codec on the endpoint's. The law:
 *
 *   what the client gets is the same answer, complete; or a 502 or 504 with `modelgate-error`; or a message
 *   that is plainly broken. It is never a complete answer that the endpoint did not send.
 *
 *     npm run fuzz -- gateway-answers --cases 20000 --seed 1
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import { type Reading, read } from '../../test/forward/http1/corpus.ts'
import { resetSocket } from '../../test/support/reset-socket.ts'
import { startTestGateway, type TestGateway } from '../../test/support/start-gateway.ts'
import { type AnswerCase, answerCases, piecesOf } from './answer-cases.ts'
import { escaped } from './answers.ts'
import { type Campaign, during } from './campaign.ts'
import { nodeReads } from './node-reader.ts'

const CLIENTS = 16
const BATCH_CASES = 2_000
const FINDINGS_MAX = 20
/** Longer than every timer of the configuration below, and than a machine stalls. */
const PATIENCE_MS = 20_000
const TRIES = 5
const SAME = 'the same answer'
const NOTHING = 'nothing'
const STUCK = Buffer.from('\0stuck')
const ENDS = ['finish', 'finish', 'reset', 'keep'] as const

interface Played {
  readonly one: AnswerCase
  readonly end: (typeof ENDS)[number]
}

/** The shortest timer of the configuration: what took less did not run into one. */
const TIMER_MS = 300

const CONFIG = (port: number) => `
[models.api]
protocol = "raw"
timeouts = { total = "1200ms", first_byte = "600ms", idle = "${TIMER_MS}ms" }
breaker = { enforce = false }
[models.api.versions.v1]
endpoints = ["http://127.0.0.1:${port}"]
`

export const gatewayAnswers: Campaign = async ({ cases, seed, underWay, print, isOver }) => {
  const plays: Played[] = []
  const endpoint = await playing(plays)
  const teardowns: (() => unknown)[] = []
  const problems: string[] = []
  const scope = {
    teardown: (task: () => unknown) => void teardowns.push(task),
    fail: (words: string) => void problems.push(words),
  } as unknown as Parameters<typeof startTestGateway>[0]
  const gateway = await startTestGateway(scope, { toml: CONFIG((endpoint.address() as AddressInfo).port) })
  const tally = new Map<string, number>()
  let done = 0
  for (let batch = 0; done < cases && problems.length < FINDINGS_MAX && !isOver(); batch += 1) {
    const sample = fc.sample(fc.tuple(answerCases(), fc.constantFrom(...ENDS)), {
      numRuns: Math.min(BATCH_CASES, cases - done),
      seed: seed + batch,
    })
    const first = plays.length
    for (const [one, end] of sample) plays.push({ one, end })
    let next = first
    const client = async () => {
      while (next < plays.length && !isOver()) {
        const index = next
        next += 1
        const words = `case ${index - first} of --cases ${sample.length} --seed ${seed + batch}`
        const { what, broken } = await during(underWay, words, () => tried(gateway, index, plays[index]!))
        done += 1
        tally.set(what, (tally.get(what) ?? 0) + 1)
        if (broken !== '') problems.push(finding(plays[index]!, broken))
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
    print(`${done} cases, ${problems.length} findings`)
  }
  await during(underWay, 'the gateway stops', async () => {
    for (const task of teardowns) await task()
  })
  endpoint.close()
  return { done, findings: problems, tables: { 'what the client got': tally } }
}

/**
 * A refused answer may be paying for the one before it on a kept connection, which went on sending behind
 * its end, or closed just when it was used again. And on a machine that stalls, timers run out on an answer
 * that came. Neither befalls the same case time and again.
 */
async function tried(gateway: TestGateway, index: number, play: Played) {
  for (let time = 1; ; time += 1) {
    const startedAt = performance.now()
    const told = await judge(play, await ask(gateway, index, play.one))
    if (told.broken === '') return time === 1 ? told : { what: 'right when asked again', broken: '' }
    const mayHaveRunOut = performance.now() - startedAt >= TIMER_MS && ![SAME, NOTHING].includes(told.what)
    if (time === TRIES || !(told.what.startsWith('502') || mayHaveRunOut)) return told
  }
}

/** Plays the case that the request names, and ends as it says; a connection plays one after the other. */
async function playing(plays: readonly Played[]): Promise<Server> {
  const server = createServer((socket) => {
    let received = ''
    let playing = Promise.resolve()
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1')
      const index = /\r\nx-case: (\d+)\r\n[\s\S]*\r\n\r\n/.exec(received)?.[1]
      if (index === undefined) return
      received = ''
      playing = playing.then(() => play(socket, plays[Number(index)]!))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function play(socket: Socket, { one, end }: Played): Promise<void> {
  for (const piece of piecesOf(one)) {
    if (!socket.writable) return
    if (piece.length > 0) socket.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (end === 'finish') socket.end()
  else if (end === 'reset') resetSocket(socket)
}

/** Everything the gateway sends until it closes, as asked to. */
function ask({ port }: TestGateway, index: number, { method }: AnswerCase): Promise<Buffer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('data', (part) => parts.push(part))
    socket.on('error', () => {})
    socket.setTimeout(PATIENCE_MS, () => {
      parts.push(STUCK)
      socket.destroy()
    })
    socket.on('close', () => resolve(Buffer.concat(parts)))
    const length = method === 'POST' ? 'content-length: 0\r\n' : ''
    socket.write(
      `${method} /models/api/x HTTP/1.1\r\nhost: a\r\nx-case: ${index}\r\n${length}connection: close\r\n\r\n`,
    )
  })
}

async function judge({ one, end }: Played, got: Buffer): Promise<{ what: string; broken: string }> {
  if (got.subarray(-STUCK.length).equals(STUCK)) return { what: NOTHING, broken: 'the client waits for ever' }
  const sent = read([one.bytes], one.method)
  const seen = await nodeReads(got, one.method, true)
  const word = seen.headers[seen.headers.indexOf('modelgate-error') + 1]
  const isOurs = seen.headers.includes('modelgate-error')
  // A reset may overtake the answer, and a kept connection does not end an answer that ends by closing.
  const mayBreak = sent.outcome !== 'end' || end === 'reset' || (end === 'keep' && sent.byClose)
  if (!seen.isComplete) return { what: 'a broken message', broken: mayBreak ? '' : 'an answer was broken' }
  if (isOurs && seen.status !== sent.status) {
    const isRight = (seen.status === 502 || seen.status === 504) && mayBreak
    return { what: `${seen.status} ${word}`, broken: isRight ? '' : `${seen.status} ${word} for an answer` }
  }
  return {
    what: isOurs ? `${seen.status} ${word}` : SAME,
    broken: differs(sent, seen, { one, end }),
  }
}

function differs(
  sent: Reading,
  seen: { status: number; body: string; headers: readonly string[] },
  { end }: Played,
): string {
  if (seen.headers.includes('modelgate-error') && sent.outcome !== 'end') return ''
  if (sent.outcome !== 'end')
    return `complete for the client, ${sent.outcome} from the endpoint (${sent.problem})`
  if (sent.byClose && end !== 'finish') return 'complete for the client, never ended by the endpoint'
  if (sent.status !== seen.status) return `status ${sent.status} became ${seen.status}`
  if (sent.body !== seen.body) return `another body: ${JSON.stringify([sent.body, seen.body])}`
  for (let index = 0; index < sent.headers.length; index += 2) {
    const [name, value] = [sent.headers[index]!, sent.headers[index + 1]!]
    if (name === 'content-length') continue
    const isThere = seen.headers.some(
      (text, at) => at % 2 === 0 && text === name && seen.headers[at + 1] === value,
    )
    if (!isThere) return `header ${name} is lost or changed`
  }
  return ''
}

function finding({ one, end }: Played, broken: string): string {
  return `=== ${broken}\nmethod: ${one.method}\nend: ${end}\n---\n${escaped(one.bytes)}`
}
