/**
 * Second copies over a real gateway, one model for each case. Which of two copies came first, and whether one was late at
 * all, a stall decides as well: what needs a certain order is tried until it had it.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { explain } from '../../src/cli/explain.ts'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENCE } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn } from '../support/read-records.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const WELL = '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}'
const BODY = tensorOf('x', [1])
const TRIES = 40

/** Two endpoints that answer each request as `answer` says, with the number of the request over both; what came is counted. */
async function pairOf(answer: (response: ServerResponse, count: number) => void) {
  const pair = { asked: 0, urls: [] as { url: string }[] }
  for (let index = 0; index < 2; index += 1) {
    const server = createServer({ noDelay: true }, (request, response) => {
      pair.asked += 1
      request.resume()
      response.setHeader('content-type', 'application/json')
      answer(response, pair.asked)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    pair.urls.push({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  }
  return pair
}

/** More than are needed until it is known what is late. */
const LEARNT = 150
const held = { count: 0, left: 0, isOne: false, nextAt: LEARNT }
/** About one of twenty is held for ever, one at a time, so that the copy of none is. */
const hanging = await pairOf((response, count) => {
  if (count <= held.nextAt || held.isOne) return void response.end(WELL)
  held.count += 1
  held.nextAt = count + 20
  held.isOne = true
  response.on('close', () => {
    held.left += 1
    held.isOne = false
  })
})
/** Every second one is late. */
const lazy = await pairOf((response, count) => {
  setTimeout(() => response.end(WELL), count % 2 === 0 ? 40 : 5)
})

interface Lines {
  readonly upstream: ScriptedUpstream
  /** Ends of waiting: what the next request is answered with. */
  readonly answers: ((bytes: string) => void)[]
  asked: number
}

/** Takes each request and waits to be told what to answer. */
async function onWord(): Promise<Lines> {
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

const two = async () => [await onWord(), await onWord()] as const
const [cut, tokens, harmless, begun, raw, budget, ill] = [
  await two(),
  await two(),
  await two(),
  await two(),
  await two(),
  await two(),
  await two(),
]
const three = [await onWord(), await onWord(), await onWord()]

const GOOD = plainAnswer(200, WELL, ['content-type: application/json'])
const FIXED = 'hedge_after = "30ms", hedge_budget = 1'
const DRY = 'enforce = false, slow_after = "20s"'
const urlsOf = (lines: readonly Lines[]) => lines.map(({ upstream }) => upstream)
const model = (
  name: string,
  endpoints: readonly { readonly url: string }[],
  retry: string,
  { more = '', breaker = DRY } = {},
) => `
[models.${name}]
breaker = { ${breaker} }
timeouts = { ${PATIENCE} }
retry = { ${retry} }
${more}
[models.${name}.versions.v1]
balance = "round-robin"
endpoints = ${JSON.stringify(endpoints.map(({ url }) => url))}
`
const gateway = await startTestGateway(t, {
  toml: [
    model('hanging', hanging.urls, 'hedge_after = "p95", hedge_budget = 1'),
    model('lazy', lazy.urls, 'hedge_after = "p50"'),
    model('cut', urlsOf(cut), FIXED),
    model('tokens', urlsOf(tokens), FIXED, { more: 'protocol = "openai"' }),
    model('harmless', urlsOf(harmless), FIXED),
    model('begun', urlsOf(begun), FIXED),
    model('three', urlsOf(three), `attempts = 2, on = ["503"], ${FIXED}`),
    model('raw', urlsOf(raw), FIXED, { more: 'protocol = "raw"' }),
    model('budget', urlsOf(budget), 'hedge_after = "30ms", hedge_budget = 0.5'),
    model('ill', urlsOf(ill), FIXED, {
      breaker: 'consecutive = 1, open_for = "100ms", open_for_max = "100ms", slow_after = "20s"',
    }),
  ].join(''),
})
const infer = (name: string) => gateway.infer(name, BODY)
const until = (holds: () => boolean, what: string) => eventually(holds, { until: what })
const answerAll = (lines: readonly Lines[], bytes = GOOD): void => {
  for (const { answers } of lines) for (const answer of answers.splice(0)) answer(bytes)
}
const askedOf = (lines: readonly Lines[]) => lines.reduce((sum, { asked }) => sum + asked, 0)
const waitingAt = (lines: readonly Lines[]) => lines.filter(({ answers }) => answers.length > 0)

/** Six callers; resolves when all had a good answer. */
async function callers(name: string, count: number): Promise<void> {
  let begun = 0
  const caller = async (): Promise<void> => {
    while (begun < count) {
      begun += 1
      const { status } = await infer(name)
      if (status !== 200) throw new Error(`${name}: ${status}`)
    }
  }
  await Promise.all(Array.from({ length: 6 }, caller))
}

const hedgesOf = async (name: string) => {
  const metrics = await metricsOf(gateway)
  const refused = metrics.value('modelgate_hedges_total', {
    model: name,
    version: 'v1',
    outcome: 'over-budget',
  })
  return { sent: metrics.sum('modelgate_hedges_total', { model: name }) - refused, refused }
}

t.test('who asks an endpoint that hangs now and then is answered by the other one', async (t) => {
  await callers('hanging', LEARNT)
  for (let round = 0; round < 20 && held.count < 8; round += 1) await callers('hanging', 50)
  t.ok(held.count >= 8, `${held.count} were never answered`)
  await until(() => held.left === held.count, 'each of them was left, for the copy that was')
  const decisions = (await decisionsIn(gateway.dataDir)).filter(({ model }) => model === 'hanging')
  const twice = decisions.filter(({ attempts }) => attempts[0]!.hedge !== null)
  t.ok(twice.length >= held.count, `${twice.length} were sent twice, ${held.count} were never answered`)
  // Now and then the one that hangs is the second: the first was only late.
  t.ok(twice.some(({ attempts }) => attempts[0]!.hedge!.won === 'second'))
})

t.test('however much is late, it is 5 % more load, and every copy is told', async (t) => {
  await callers('lazy', 300)
  const { sent, refused } = await hedgesOf('lazy')
  t.ok(sent > 0 && refused > 0, `${sent} copies, and ${refused} more would have been sent`)
  t.ok(sent <= 300 * 0.05, `${sent} copies of 300 requests`)
  const metrics = await metricsOf(gateway)
  t.ok(metrics.value('modelgate_hedge_after_seconds', { model: 'lazy', version: 'v1' }) >= 0.004)
  const decisions = (await decisionsIn(gateway.dataDir)).filter(({ model }) => model === 'lazy')
  // One may have been given up before it arrived.
  t.ok(lazy.asked <= decisions.length + sent, 'every copy is counted')
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

t.test('the copy that lost is cut within 10 ms, and both endpoints are told by explain', async (t) => {
  let bestMs = Number.POSITIVE_INFINITY
  let id = ''
  let told = { late: '', other: '' }
  for (let round = 0; round < TRIES && (bestMs >= 10 || id === ''); round += 1) {
    const answer = infer('cut')
    await until(() => waitingAt(cut).length > 0, 'one is asked')
    const [late, ...both] = waitingAt(cut)
    await until(() => waitingAt(cut).length === 2, 'both are asked')
    const other = cut.find((one) => one !== late)!
    const loser = late!.upstream.connections.findLast(({ isClosed }) => !isClosed)!
    const saidAt = performance.now()
    other.answers.shift()!(GOOD)
    await loser.closed
    bestMs = Math.min(bestMs, performance.now() - saidAt)
    late!.answers.shift()
    const { status, headers } = await answer
    t.equal(status, 200)
    if (both.length > 0) continue
    // It was seen to be asked first.
    id = String(headers['modelgate-request-id'])
    told = { late: late!.upstream.url, other: other.upstream.url }
  }
  t.ok(bestMs < 10, `${bestMs.toFixed(2)} ms from the answer's leaving to the other's end`)
  const { attempts } = await decisionOf(gateway.dataDir, id)
  const [a, b] = [told.late, told.other]
  t.match(attempts, [{ endpoint: b, verdict: 'success', hedge: { first: a, second: b, won: 'second' } }])
  t.ok(attempts[0]!.hedge!.afterMs >= 30 && attempts[0]!.firstByteMs >= attempts[0]!.hedge!.afterMs)
  const printed: string[] = []
  const io = { stdout: (text: string) => void printed.push(text), stderr: () => {}, color: false }
  t.equal(await explain([id, '--data', gateway.dataDir], io), 0)
  t.match(printed.join(''), `the copy at ${a} was late`)
  t.match(printed.join(''), `a second one went to ${b}: the second one’s answer counts`)
})

t.test(
  'of a stream of tokens, late is the first content, and what came before it leaves with it',
  async (t) => {
    const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
    const event = (delta: object): string => {
      const data = `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`
      return `${data.length.toString(16)}\r\n${data}\r\n`
    }
    const done = 'data: [DONE]\n\n'
    const rest = `${done.length.toString(16)}\r\n${done}\r\n0\r\n\r\n`
    const role = event({ role: 'assistant', content: '' })
    const body = JSON.stringify({
      model: 'tokens',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
    })
    let wasAlone = false
    for (let round = 0; round < TRIES && !wasAlone; round += 1) {
      const answer = gateway.ask('/v1/chat/completions', { body, headers: JSON_TYPE })
      await until(() => waitingAt(tokens).length > 0, 'one is asked')
      const late = waitingAt(tokens)[0]!
      wasAlone = waitingAt(tokens).length === 1
      const other = tokens.find((one) => one !== late)!
      late.answers.shift()!(HEAD + role)
      await until(() => other.answers.length === 1, 'a head and a role are no content: the other is asked')
      other.answers.shift()!(HEAD + role + event({ content: 'from the other' }) + rest)
      const { status, text, headers } = await answer
      t.equal(status, 200)
      t.equal(text.split('data: ').length - 1, 3, text)
      t.match(text, 'from the other')
      const [attempt] = (await decisionOf(gateway.dataDir, headers['modelgate-request-id'])).attempts
      t.match(attempt, { endpoint: other.upstream.url, verdict: 'streaming' })
      if (wasAlone) t.match(attempt, { hedge: { won: 'second' } })
      await until(() => late.upstream.connections.every(({ isClosed }) => isClosed), 'the late one is cut')
    }
    t.ok(wasAlone, 'its head was sent before it was late')
  },
)

t.test('a second copy that fails harms nobody', async (t) => {
  const [first, second] = harmless
  const answer = infer('harmless')
  await until(() => waitingAt(harmless).length === 2, 'both are asked')
  second.answers.shift()!(plainAnswer(503, 'no'))
  await pause(50)
  first.answers.shift()!(GOOD)
  t.equal((await answer).status, 200)
})

t.test('what was passed on has no second copy', async (t) => {
  let wasOne = false
  for (let round = 0; round < TRIES && !wasOne; round += 1) {
    const before = askedOf(begun)
    const long = infer('begun')
    await until(() => waitingAt(begun).length > 0, 'one is asked')
    // A body that is passed on as it comes: its head and first bytes are here long before it is late.
    answerAll(begun, `HTTP/1.1 200 OK\r\ncontent-length: 400000\r\n\r\n${'x'.repeat(200_000)}`)
    await pause(120)
    wasOne = askedOf(begun) === before + 1
    answerAll(begun, `HTTP/1.1 200 OK\r\ncontent-length: 400000\r\n\r\n${'x'.repeat(200_000)}`)
    const open = begun.flatMap(({ upstream }) => upstream.connections).filter((one) => !one.isClosed)
    for (const connection of open) connection.send('x'.repeat(200_000))
    await long.catch(() => {})
    for (const connection of open) connection.socket.destroy()
  }
  t.ok(wasOne, 'whose answer began is not late any more')
})

t.test('when both copies failed, it is tried again where neither went', async (t) => {
  const answer = infer('three')
  await until(() => waitingAt(three).length === 2, 'two are asked')
  const unasked = three.find(({ asked }) => asked === 0)!
  answerAll(three, plainAnswer(503, 'ill'))
  await until(() => unasked.asked === 1, 'the third is asked')
  unasked.answers.shift()!(GOOD)
  const { status, headers } = await answer
  t.equal(status, 200)
  const { attempts } = await decisionOf(gateway.dataDir, headers['modelgate-request-id'])
  t.match(attempts, [
    { faultCode: 'endpoint-error', status: 503, verdict: 'failure', hedge: { won: 'none' } },
    { endpoint: unasked.upstream.url, verdict: 'success' },
  ])
})

t.test('who must not be sent twice is not, however late', async (t) => {
  const posted = gateway.ask('/models/raw/x', { method: 'POST', headers: JSON_TYPE, body: '{}' })
  await until(() => askedOf(raw) === 1, 'it is asked')
  await pause(150)
  t.equal(askedOf(raw), 1)
  answerAll(raw)
  t.equal((await posted).status, 200)
  const got = gateway.ask('/models/raw/x')
  await until(() => askedOf(raw) === 3, 'a GET is asked for twice')
  answerAll(raw)
  t.equal((await got).status, 200)
})

t.test('beyond the budget nothing is sent twice', async (t) => {
  const refused = async () => (await hedgesOf('budget')).refused
  for (const [asked, over] of [
    [1, 1],
    [3, 1],
    [4, 2],
  ] as const) {
    const answer = infer('budget')
    await until(() => askedOf(budget) === asked, `${asked} copies in all`)
    await eventually(async () => (await refused()) === over, { until: `${over} copies were refused` })
    t.equal(askedOf(budget), asked, 'every second request may be sent twice')
    answerAll(budget)
    t.equal((await answer).status, 200)
  }
})

t.test('with a breaker that is not closed nothing is sent twice', async (t) => {
  const failing = infer('ill')
  await until(() => waitingAt(ill).length === 2, 'both are asked')
  answerAll(ill, plainAnswer(500, 'ill'))
  t.equal((await failing).status, 500)
  const before = askedOf(ill)
  let probe = infer('ill')
  for (; askedOf(ill) === before; await pause(20)) {
    const told = await Promise.race([probe, pause(200)])
    if (told !== undefined) probe = infer('ill')
  }
  await pause(120)
  t.equal(askedOf(ill), before + 1, 'a probe goes alone')
  answerAll(ill)
  t.equal((await probe).status, 200)
})
