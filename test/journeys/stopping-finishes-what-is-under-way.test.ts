import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, JSON_TYPE, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { PATIENT } from '../support/patient.ts'
import { RawClient } from '../support/raw-client.ts'
import { decisionOf, decisionsIn, recordsIn } from '../support/read-records.ts'
import { answering, plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { javascriptModel, startTestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'

const WELL = plainAnswer(200, '{"outputs":[]}', ['content-type: application/json'])
/** Longer than any stall: what is not meant to wait for the end of it must not. */
const SERVER = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
grace = "60s"
`
const LONG = 'timeouts = { connect = "60s", first_byte = "60s", idle = "60s", total = "60s" }'
const remote = (url: string) => `[models.m.versions.v1]\nendpoints = ["${url}"]\n`

/** An endpoint that answers when it is told to. */
async function held(t: Test) {
  let tell: () => void = () => {}
  const told = new Promise<void>((resolve) => {
    tell = resolve
  })
  const upstream = await ScriptedUpstream.start(async (connection) => {
    await connection.request()
    await told
    connection.send(WELL)
  })
  t.teardown(() => upstream.close())
  return { upstream, answer: tell }
}

/** One that never answers. */
async function silent(t: Test) {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    await connection.request()
    await connection.closed
  })
  t.teardown(() => upstream.close())
  return upstream
}

const noLongerListens = (port: number) =>
  eventually(
    async () => {
      try {
        const client = await RawClient.open(port)
        client.close()
        return false
      } catch {
        return true
      }
    },
    { until: 'new connections are refused' },
  )

t.test('a stop lets what is under way finish, tells load balancers, and takes nothing new', async (t) => {
  const { upstream, answer: letAnswer } = await held(t)
  const gateway = await startTestGateway(t, {
    toml: `${SERVER}[models.m]\n${LONG}\n${remote(upstream.url)}`,
  })
  t.equal((await gateway.admin('/readyz')).status, 200)
  const client = await RawClient.open(gateway.port)
  client.send(inferBytes('m'))
  // Served once: what is connected may still be the kernel's, and then the end of its listener ends it.
  const idle = await RawClient.open(gateway.port)
  const health = 'GET /v2/health/ready HTTP/1.1\r\nhost: a\r\n\r\n'
  idle.send(health)
  t.equal((await idle.answer()).status, 200)
  await eventually(() => upstream.connectionCount === 1)
  const stopping = gateway.stop()
  const ready = await gateway.admin('/readyz')
  t.equal(ready.status, 503)
  t.match(ready.text, /draining/)
  t.equal((await gateway.admin('/healthz')).status, 200, 'alive all the same')
  await noLongerListens(gateway.port)
  // The lane hears of it a moment after the port was closed.
  const notReady = await eventually(
    async () => {
      idle.send(health)
      const told = await idle.answer()
      return told.status === 503 && told
    },
    { until: 'a connection that was open is told of the stop' },
  )
  t.equal(notReady.headers.get('connection'), 'close')
  letAnswer()
  const answer = await client.answer()
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), '{"outputs":[]}')
  t.equal(answer.headers.get('connection'), 'close')
  t.same(await stopping, { abandoned: 0 })
  t.ok(await client.closed())
  const records = await recordsIn(gateway.dataDir)
  t.match(
    records
      .filter(({ type }) => type === 'start' || type === 'stop')
      .map((one) => ('note' in one ? one.note : {})),
    [{ lanes: 1 }, { cause: 'the test says so', abandoned: 0 }],
  )
  t.equal(records.at(-1)?.type, 'stop', 'the last word of the log')
  t.match(await decisionOf(gateway.dataDir, answer.headers.get('modelgate-request-id')), { status: 200 })
})

t.test('what does not fit in the grace is given up, counted and recorded', async (t) => {
  const upstream = await silent(t)
  const gateway = await startTestGateway(t, {
    toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
grace = "150ms"
[models.m]
${LONG}
${remote(upstream.url)}`,
  })
  const clients = await Promise.all([RawClient.open(gateway.port), RawClient.open(gateway.port)])
  for (const client of clients) client.send(inferBytes('m'))
  await eventually(() => upstream.connectionCount === 2)
  const startedAt = performance.now()
  t.same(await gateway.stop(), { abandoned: 2 })
  t.ok(performance.now() - startedAt < 30_000, 'the grace counts, not what the model may take')
  for (const client of clients) {
    const answer = await client.answer()
    t.ok(await client.closed(), 'the connection ended')
    t.ok(answer.status === 0 || answer.headers.get('modelgate-error') === 'draining', `${answer.status}`)
  }
  const decisions = await decisionsIn(gateway.dataDir)
  t.equal(decisions.length, 2)
  for (const decision of decisions) t.match(decision, { served: '', fault: { code: /draining|client-gone/ } })
  const stop = (await recordsIn(gateway.dataDir)).find(({ type }) => type === 'stop')
  t.match(stop, { note: { abandoned: 2 } })
})

t.test('a reader who is slow gets all of a large answer, stop or no stop', async (t) => {
  const big = 'abcdefghijklmnopqrstuvwxyz'.repeat(400_000)
  const upstream = await ScriptedUpstream.start(answering(plainAnswer(200, big)))
  t.teardown(() => upstream.close())
  const gateway = await startTestGateway(t, {
    toml: `${SERVER}[models.m]\nprotocol = "raw"\n${LONG}\n${remote(upstream.url)}`,
  })
  const client = await StreamCaller.ask(gateway.port, rawGet('m'), false)
  const leaver = await StreamCaller.ask(gateway.port, rawGet('m'), false)
  await eventually(async () => (await decisionsIn(gateway.dataDir)).length === 2)
  leaver.leave()
  const stopping = gateway.stop()
  await noLongerListens(gateway.port)
  client.socket.resume()
  const told = await client.told
  t.match(told, { end: 'complete', bodyBytes: big.length })
  t.equal(told.sha256, createHash('sha256').update(big).digest('hex'))
  t.same(await stopping, { abandoned: 0 }, 'nor is who left in the middle waited for')
})

t.test('stopping twice is stopping once, and an idle gateway stops at once', async (t) => {
  const gateway = await startTestGateway(t, { toml: SERVER + remote('http://127.0.0.1:9') })
  const startedAt = performance.now()
  const [first, second] = await Promise.all([gateway.stop(), gateway.stop()])
  t.same([first, second], [{ abandoned: 0 }, { abandoned: 0 }])
  t.ok(performance.now() - startedAt < 30_000, 'and waits for no end of the grace')
})

const SETUP = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
grace = "60s"
[models.m]
${PATIENT}
[models.m.versions.v1]
runtime = "javascript"
file = "plus.js"
`
const FILES = { 'plus.js': javascriptModel('row[0] + 1') }

interface Tally {
  answered: number
  readonly ids: string[]
  /** A connection that was taken and then ended without the whole answer. */
  readonly broken: string[]
}

/**
 * One caller on a kept connection, until it is told that no more requests are taken on it. It does not open another one:
 * what the kernel takes in the moment in which the port closes, the kernel ends.
 */
async function keepAsking(port: number, tally: Tally): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const body = tensorOf('x', [1])
  for (;;) {
    const end = await new Promise<string>((resolve) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          path: '/v2/models/m/infer',
          method: 'POST',
          headers: { ...JSON_TYPE, 'content-length': body.length },
          agent,
        },
        (response) => {
          response.on('error', () => resolve('broken answer'))
          response.on('data', () => {})
          response.on('end', () => {
            tally.ids.push(String(response.headers['modelgate-request-id']))
            if (response.statusCode !== 200) resolve(`status ${response.statusCode}`)
            else resolve(response.headers.connection === 'close' ? 'the last' : 'answered')
          })
        },
      )
      sent.on('error', (error: NodeJS.ErrnoException) => resolve(`${error.code} ${error.message}`))
      sent.end(body)
    })
    if (end === 'answered') tally.answered += 1
    else {
      if (end !== 'the last') tally.broken.push(end)
      agent.destroy()
      return
    }
  }
}

t.test(
  'SIGTERM under load: whatever was begun is answered and recorded, and the exit is clean',
  async (t) => {
    const { configFile, dataDir } = writeSetup(t, SETUP, FILES)
    const gateway = serve(t, configFile)
    const { port } = await gateway.ports()
    const tally: Tally = { answered: 0, ids: [], broken: [] }
    const callers = Promise.all(Array.from({ length: 12 }, () => keepAsking(port, tally)))
    await eventually(() => tally.answered > 200, { withinMs: 60_000 })
    gateway.signal('SIGTERM')
    t.same(await gateway.exited, { code: 0, signal: null }, gateway.stderr)
    await callers
    t.same(tally.broken, [], 'no answer was cut short, no request turned away, no connection reset')
    t.match(gateway.stderr, /^modelgate: SIGTERM: finishing what is under way\n$/, 'and nothing else')
    const recorded = new Set((await decisionsIn(dataDir)).map(({ id }) => id))
    const told = new Set(tally.ids)
    t.same(
      tally.ids.filter((id) => !recorded.has(id)),
      [],
      'every answer has its record',
    )
    t.same(
      [...recorded].filter((id) => !told.has(id)),
      [],
      'and every record’s answer reached its caller',
    )
  },
)

t.test('a second signal ends the process at once', async (t) => {
  const upstream = await silent(t)
  const { configFile } = writeSetup(
    t,
    `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\ngrace = "60s"\n[models.m]\n${LONG}\n${remote(upstream.url)}`,
  )
  const gateway = serve(t, configFile)
  const { port } = await gateway.ports()
  const client = await RawClient.open(port)
  client.send(inferBytes('m'))
  await eventually(() => upstream.connectionCount === 1)
  gateway.signal('SIGTERM')
  await eventually(() => gateway.stderr.includes('finishing'))
  const startedAt = performance.now()
  gateway.signal('SIGINT')
  const { code, signal } = await gateway.exited
  t.ok(performance.now() - startedAt < 30_000, 'long before the grace is over')
  t.same({ code, signal }, { code: null, signal: 'SIGINT' }, gateway.stderr)
  t.match(gateway.stderr, /^modelgate: SIGTERM: finishing what is under way\n$/)
  client.close()
})

t.test('what makes a start impossible is said in one line, with its exit code', async (t) => {
  const first = writeSetup(t, SETUP, FILES)
  const running = serve(t, first.configFile)
  const { port, adminPort } = await running.ports()
  const refusal = async (toml: string, directory?: string) => {
    const setup = directory === undefined ? writeSetup(t, toml, FILES) : undefined
    const configFile = setup?.configFile ?? join(directory!, 'other.toml')
    if (setup === undefined) writeFileSync(configFile, toml)
    const process = serve(t, configFile)
    return { ...(await process.exited), stderr: process.stderr, stdout: process.stdout }
  }
  const [listening, admin, data, invalid] = await Promise.all([
    refusal(SETUP.replace('listen = "127.0.0.1:0"', `listen = "127.0.0.1:${port}"`)),
    refusal(SETUP.replace('admin = "127.0.0.1:0"', `admin = "127.0.0.1:${adminPort}"`)),
    refusal(SETUP, join(first.configFile, '..')),
    refusal(`${SETUP}\n[models.m.route]\nprimry = "v1"\n`),
  ])
  const taken = (taken: number, key: string) =>
    new RegExp(`cannot start: .*:${taken} is taken by another process.*server\\.${key}`)
  t.equal(listening.code, 3)
  t.match(listening.stderr, taken(port, 'listen'), listening.stderr)
  t.equal(admin.code, 3)
  t.match(admin.stderr, taken(adminPort, 'admin'), admin.stderr)
  t.equal(data.code, 3)
  t.match(data.stderr, /cannot start: .*(in use|another)/i, data.stderr)
  t.equal(invalid.code, 1)
  t.match(invalid.stderr, /gateway\.toml:\d+:\d+/, invalid.stderr)
  t.match(invalid.stderr, /primary/, 'with the nearest key')
  for (const { stderr, stdout } of [listening, admin, data, invalid]) {
    t.notMatch(stderr, /\n\s+at /, 'no stack trace')
    t.equal(stdout, '')
  }
  const told = await ask(port, '/v2/models/m/infer', { body: tensorOf('x', [1]), headers: JSON_TYPE })
  t.equal(told.status, 200, 'the one that runs is not disturbed')
  running.signal('SIGINT')
  t.same(await running.exited, { code: 0, signal: null })
})
