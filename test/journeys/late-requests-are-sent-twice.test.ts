import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { explain } from '../../src/cli/explain.ts'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { type Metrics, metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn } from '../support/read-records.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

const WELL = '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}'
const BODY = tensorOf('x', [1])

/** Answers after 5 ms, and one of twenty, by chance, after 300 ms; whether it was left is counted. */
class BimodalEndpoint {
  asked = 0
  left = 0
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(t: Test, slowShare: number): Promise<BimodalEndpoint> {
    const server = createServer({ noDelay: true }, (request, response) => {
      endpoint.asked += 1
      request.resume()
      response.on('close', () => {
        if (!response.writableFinished) endpoint.left += 1
        clearTimeout(timer)
      })
      const ms = Math.random() < slowShare ? 300 : 5
      const timer = setTimeout(() => response.setHeader('content-type', 'application/json').end(WELL), ms)
    })
    const endpoint = new BimodalEndpoint(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    return endpoint
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }
}

const model = (name: string, endpoints: readonly { readonly url: string }[], retry: string, more = '') => `
[models.${name}]
breaker = { enforce = false }
timeouts = { queue = "5s", connect = "5s", first_byte = "15s", total = "20s" }
${retry === '' ? '' : `retry = { ${retry} }`}
${more}
[models.${name}.versions.v1]
balance = "round-robin"
endpoints = ${JSON.stringify(endpoints.map(({ url }) => url))}
`

/** Sorted latencies of at most `count` requests, six of them under way, none begun after `forMs`. */
async function latencies(
  gateway: TestGateway,
  name: string,
  count: number,
  forMs: number,
): Promise<number[]> {
  const until = performance.now() + forMs
  const took: number[] = []
  let begun = 0
  const caller = async (): Promise<void> => {
    while (begun < count && performance.now() < until) {
      begun += 1
      const { status, tookMs } = await gateway.infer(name, BODY)
      if (status !== 200) throw new Error(`${name}: ${status}`)
      took.push(tookMs)
    }
  }
  await Promise.all(Array.from({ length: 6 }, caller))
  return took.sort((one, other) => one - other)
}

interface Round {
  readonly ratio: number
  /** What is meant to be fast was: otherwise the endpoints were not what they were meant to be. */
  readonly isQuiet: boolean
  readonly words: string
}

const FAST_MS_MAX = 60
/** Fewer answers have no p99. */
const ANSWERS_MIN = 500
const ROUND_MS_MAX = 4_000
const ROUNDS_MS_MAX = 6_000

/**
 * Both at the same time, so that they share what else happens on the machine. That makes what is fast slow, never the
 * other way round: the best round is the truest.
 */
async function bestRound(t: Test, measure: (name: string) => Promise<number[]>): Promise<Round> {
  let best: Round = { ratio: Number.POSITIVE_INFINITY, isQuiet: false, words: '' }
  for (const until = performance.now() + ROUNDS_MS_MAX; performance.now() < until; ) {
    const [without, withIt] = (await Promise.all(['plain', 'hedged'].map(measure))) as [number[], number[]]
    const [p99, halved, p90] = [percentile(without, 99), percentile(withIt, 99), percentile(without, 90)]
    const words = `p99 ${halved.toFixed(0)} ms with hedging, ${p99.toFixed(0)} without, p90 ${p90.toFixed(0)}`
    const isQuiet = p90 <= FAST_MS_MAX && Math.min(without.length, withIt.length) >= ANSWERS_MIN
    if (isQuiet) t.ok(p99 >= 295, `without hedging: ${p99.toFixed(0)} ms`)
    if (halved / p99 < best.ratio) best = { ratio: halved / p99, isQuiet: best.isQuiet || isQuiet, words }
    if (isQuiet && best.ratio <= 0.5) break
  }
  return best
}

const hedgesOf = (metrics: Metrics): number =>
  metrics.sum('modelgate_hedges_total', { model: 'hedged' }) -
  metrics.value('modelgate_hedges_total', { model: 'hedged', version: 'v1', outcome: 'over-budget' })

const percentile = (sorted: readonly number[], percent: number): number =>
  sorted[Math.ceil((percent / 100) * sorted.length) - 1]!

t.test('of endpoints that are now and then slow, p99 is at least halved for 5 % more load', async (t) => {
  const plain = await BimodalEndpoint.start(t, 0.05)
  const hedged = [await BimodalEndpoint.start(t, 0.05), await BimodalEndpoint.start(t, 0.05)]
  const toml = `${model('plain', [plain], '')}${model('hedged', hedged, 'hedge_after = "p95"')}`
  const gateway = await startTestGateway(t, { toml })
  await latencies(gateway, 'hedged', 300, 3_000)
  const best = await bestRound(t, (name) => latencies(gateway, name, 800, ROUND_MS_MAX))
  if (best.isQuiet) t.ok(best.ratio <= 0.5, best.words)
  t.comment(`${best.words}${best.isQuiet ? '' : ': the machine was never quiet enough to tell'}`)
  const asked = hedged.reduce((sum, one) => sum + one.asked, 0)
  const came = asked - hedgesOf(await metricsOf(gateway))
  t.ok(asked <= came * 1.05, `${asked} copies of ${came} requests`)

  const metrics = await metricsOf(gateway)
  const outcome = (word: string) =>
    metrics.value('modelgate_hedges_total', { model: 'hedged', version: 'v1', outcome: word })
  const sent = hedgesOf(metrics)
  if (best.isQuiet) t.ok(outcome('won') > sent / 2, `${outcome('won')} of ${sent} won`)
  t.ok(metrics.value('modelgate_hedge_after_seconds', { model: 'hedged', version: 'v1' }) >= 0.005)
  const decisions = (await decisionsIn(gateway.dataDir)).filter(({ model }) => model === 'hedged')
  // One may have been given up before it arrived.
  t.ok(asked <= decisions.length + sent, 'every copy is counted')
  const told = decisions.filter(({ attempts }) => attempts[0]!.hedge !== null)
  t.equal(told.length, sent, 'and is in its record')
  for (const { attempts, served } of told) {
    const [{ hedge, endpoint, verdict }, ...others] = attempts as [(typeof attempts)[0]]
    t.equal(others.length, 0)
    if (hedge!.first === hedge!.second) t.fail('where there is another endpoint, it is asked')
    if (hedge!.won === 'second' && endpoint !== hedge!.second) t.fail('the endpoint is that of the answer')
    if (verdict !== 'success' || served !== 'v1') t.fail('one attempt, counted once')
  }
})

interface Lines {
  readonly upstream: ScriptedUpstream
  /** Ends of waiting: what the next request is answered with. */
  readonly answers: ((bytes: string) => void)[]
  asked: number
}

/** Takes each request and waits to be told what to answer. */
async function onWord(t: Test): Promise<Lines> {
  const answers: Lines['answers'] = []
  const state = { answers, asked: 0 }
  const script: Script = async (connection) => {
    for (;;) {
      await connection.request()
      state.asked += 1
      connection.send(await new Promise<string>((resolve) => answers.push(resolve)))
    }
  }
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return Object.assign(state, { upstream })
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += 2) {
    if (waitedMs > 5_000) throw new Error(`it never came to this: ${what}`)
    await pause(2)
  }
}

const GOOD = plainAnswer(200, WELL, ['content-type: application/json'])
const FIXED = 'hedge_after = "30ms", hedge_budget = 1'
const urlsOf = (...lines: readonly Lines[]) => lines.map(({ upstream }) => upstream)

t.test('the copy that lost is cut within 10 ms, and both endpoints are told by explain', async (t) => {
  const endpoints = [await onWord(t), await onWord(t)] as const
  const gateway = await startTestGateway(t, { toml: model('m', urlsOf(...endpoints), FIXED) })
  let bestMs = Number.POSITIVE_INFINITY
  let id = ''
  let [late, other] = endpoints
  for (let round = 0; round < 4; round += 1) {
    const answer = gateway.infer('m', BODY)
    await until(() => endpoints.some(({ answers }) => answers.length === 1), 'one is asked')
    late = endpoints.find(({ answers }) => answers.length === 1)!
    other = endpoints.find((one) => one !== late)!
    await until(() => other.answers.length === 1, 'both are asked')
    const loser = late.upstream.connections.find(({ isClosed }) => !isClosed)!
    const saidAt = performance.now()
    other.answers.shift()!(GOOD)
    await loser.closed
    bestMs = Math.min(bestMs, performance.now() - saidAt)
    late.answers.shift()
    const { status, headers } = await answer
    t.equal(status, 200)
    id = String(headers['modelgate-request-id'])
  }
  t.ok(bestMs < 10, `${bestMs.toFixed(2)} ms from the answer's leaving to the other's end`)
  const { attempts } = await decisionOf(gateway.dataDir, id)
  const [a, b] = [late.upstream.url, other.upstream.url]
  t.match(attempts, [{ endpoint: b, verdict: 'success', hedge: { first: a, second: b, won: 'second' } }])
  t.ok(attempts[0]!.hedge!.afterMs >= 30 && attempts[0]!.firstByteMs >= attempts[0]!.hedge!.afterMs)
  const told: string[] = []
  const io = { stdout: (text: string) => void told.push(text), stderr: () => {}, color: false }
  t.equal(await explain([id, '--data', gateway.dataDir], io), 0)
  const words = told.join('')
  t.match(words, `the copy at ${a} was late`)
  t.match(words, `a second one went to ${b}: the second one’s answer counts`)
})

t.test(
  'of a stream of tokens, late is the first content, and what came before it leaves with it',
  async (t) => {
    const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
    const event = (delta: object): string => {
      const data = `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`
      return `${data.length.toString(16)}\r\n${data}\r\n`
    }
    const [first, second] = [await onWord(t), await onWord(t)]
    const toml = model('m', urlsOf(first, second), FIXED, 'protocol = "openai"')
    const gateway = await startTestGateway(t, { toml })
    const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'x' }] })
    const answer = gateway.ask('/v1/chat/completions', { body, headers: JSON_TYPE })
    await until(() => first.answers.length + second.answers.length === 1, 'one is asked')
    const [late, other] = first.answers.length === 1 ? [first, second] : [second, first]
    late.answers.shift()!(HEAD + event({ role: 'assistant', content: '' }))
    await until(() => other.answers.length === 1, 'a head and a role are no content: the other is asked')
    const done = 'data: [DONE]\n\n'
    const rest = `${done.length.toString(16)}\r\n${done}\r\n0\r\n\r\n`
    other.answers.shift()!(
      HEAD + event({ role: 'assistant', content: '' }) + event({ content: 'from the other' }) + rest,
    )
    const { status, text, headers } = await answer
    t.equal(status, 200)
    t.equal(text.split('data: ').length - 1, 3, text)
    t.match(text, 'from the other')
    const [attempt] = (await decisionOf(gateway.dataDir, headers['modelgate-request-id'])).attempts
    t.match(attempt, { endpoint: other.upstream.url, verdict: 'streaming', hedge: { won: 'second' } })
    await until(() => late.upstream.connections.every(({ isClosed }) => isClosed), 'the late one is cut')
  },
)

t.test('a second copy that fails harms nobody, and what was passed on has no second copy', async (t) => {
  const [first, second] = [await onWord(t), await onWord(t)]
  const gateway = await startTestGateway(t, { toml: model('m', urlsOf(first, second), FIXED) })
  const answer = gateway.infer('m', BODY)
  await until(() => second.asked === 1, 'both are asked')
  second.answers.shift()!(plainAnswer(503, 'no'))
  await pause(50)
  first.answers.shift()!(GOOD)
  t.equal((await answer).status, 200)

  const long = gateway.infer('m', BODY)
  await until(() => first.asked + second.asked === 3, 'one is asked')
  const [asked] = [first, second].filter(({ answers }) => answers.length > 0)
  // A body that is passed on as it comes: its head and first bytes are here long before it is late.
  asked!.answers.shift()!(`HTTP/1.1 200 OK\r\ncontent-length: 400000\r\n\r\n${'x'.repeat(200_000)}`)
  await pause(120)
  t.equal(first.asked + second.asked, 3, 'whose answer began is not late any more')
  const open = [...first.upstream.connections, ...second.upstream.connections].filter((one) => !one.isClosed)
  for (const connection of open) connection.send('x'.repeat(200_000))
  await long.catch(() => {})
})

t.test('when both copies failed, it is tried again where neither went', async (t) => {
  const endpoints = [await onWord(t), await onWord(t), await onWord(t)]
  const toml = model('m', urlsOf(...endpoints), `attempts = 2, on = ["503"], ${FIXED}`)
  const gateway = await startTestGateway(t, { toml })
  const answer = gateway.infer('m', BODY)
  await until(() => endpoints.filter(({ asked }) => asked === 1).length === 2, 'two are asked')
  const unasked = endpoints.find(({ asked }) => asked === 0)!
  for (const { answers } of endpoints) answers.shift()?.(plainAnswer(503, 'ill'))
  await until(() => unasked.asked === 1, 'the third is asked')
  unasked.answers.shift()!(GOOD)
  const { status, headers } = await answer
  t.equal(status, 200)
  const { attempts } = await decisionOf(gateway.dataDir, headers['modelgate-request-id'])
  t.match(attempts, [
    { faultCode: 'endpoint-error', status: 503, verdict: 'failure', hedge: { won: 'none' } },
    { endpoint: unasked.upstream.url, verdict: 'success', hedge: null },
  ])
})

t.test('who must not be sent twice is not, however late', async (t) => {
  const [first, second] = [await onWord(t), await onWord(t)]
  const raw = model('m', urlsOf(first, second), FIXED, 'protocol = "raw"')
  const gateway = await startTestGateway(t, { toml: raw })
  const posted = gateway.ask('/models/m/x', { method: 'POST', headers: JSON_TYPE, body: '{}' })
  await until(() => first.asked === 1, 'it is asked')
  await pause(150)
  t.equal(second.asked, 0)
  first.answers.shift()!(GOOD)
  t.equal((await posted).status, 200)
  const got = gateway.ask('/models/m/x')
  await until(() => first.asked + second.asked === 3, 'a GET is asked for twice')
  for (const { answers } of [first, second]) answers.shift()?.(GOOD)
  t.equal((await got).status, 200)
})

t.test('with a breaker that is not closed, and beyond the budget, nothing is sent twice', async (t) => {
  const [first, second] = [await onWord(t), await onWord(t)]
  const toml = model('m', urlsOf(first, second), 'hedge_after = "30ms", hedge_budget = 0.5')
  const gateway = await startTestGateway(t, { toml })
  for (const asked of [1, 3, 4]) {
    const answer = gateway.infer('m', BODY)
    await until(() => first.asked + second.asked === asked, `${asked} copies in all`)
    await pause(60)
    t.equal(first.asked + second.asked, asked, 'every second request may be sent twice')
    for (const { answers } of [first, second]) while (answers.length > 0) answers.shift()!(GOOD)
    t.equal((await answer).status, 200)
  }
  const metrics = await metricsOf(gateway)
  const labels = { model: 'm', version: 'v1', outcome: 'over-budget' }
  t.equal(metrics.value('modelgate_hedges_total', labels), 2)
  const ill = await startTestGateway(t, {
    toml: model('m', urlsOf(first, second), FIXED).replace(
      'enforce = false',
      'consecutive = 1, open_for = "100ms"',
    ),
  })
  const failing = ill.infer('m', BODY)
  await until(() => first.answers.length + second.answers.length === 2, 'both are asked')
  for (const { answers } of [first, second]) answers.shift()!(plainAnswer(500, 'ill'))
  t.equal((await failing).status, 500)
  await pause(200)
  const before = first.asked + second.asked
  const probe = ill.infer('m', BODY)
  await pause(120)
  t.equal(first.asked + second.asked, before + 1, 'a probe goes alone')
  for (const { answers } of [first, second]) while (answers.length > 0) answers.shift()!(GOOD)
  t.equal((await probe).status, 200)
})
