/**
 * How streams end: by the caller's deadline, at a stop, at a kill. A deadline that is kept is found by trying more than
 * once: a machine that stands still makes an end late, never early.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn, recordsIn, streamOf } from '../support/read-records.ts'
import { type ReceivedRequest, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'

const ID = 'modelgate-request-id'
const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const ONE = '9\r\ndata: 1\n\n\r\n'

async function upstreamOf(t: Test, script: Script): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream
}

const PATIENT = 'timeouts = { connect = "30s", first_byte = "30s", idle = "30s", total = "60s" }'
const model = (url: string, name = 'm', more = PATIENT) =>
  `[models.${name}]\nprotocol = "raw"\n${more}\n[models.${name}.versions.v1]\nendpoints = ["${url}"]\n`
const server = (grace: string, lanes = 1) =>
  `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = ${lanes}\ndata_dir = "data"\ngrace = "${grace}"\n`

/** An event every so often, as many as asked for, then the end. */
const ticking =
  (everyMs: number, count = Infinity, requests: ReceivedRequest[] = []): Script =>
  async (connection) => {
    for (;;) {
      requests.push(await connection.request())
      connection.send(EVENTS)
      for (let event = 0; event < count && !connection.isClosed; event += 1) {
        connection.send(ONE)
        await pause(everyMs)
      }
      connection.send('0\r\n\r\n')
    }
  }

/** More than any buffers on the way hold. */
const flooding: Script = async (connection) => {
  await connection.request()
  connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${64 * 1024 * 1024}\r\n\r\n`)
  connection.send(Buffer.alloc(64 * 1024 * 1024))
  await connection.closed
}

/** The first two wait for deadlines, and do so together. */
t.jobs = 2
const TRIES = 8
/** Its own timeouts stand still while nobody reads. */
const OWN_MS = 600
const requests: ReceivedRequest[] = []
const endless = await upstreamOf(t, ticking(20, Infinity, requests))
const full = await upstreamOf(t, flooding)
const gateway = await startTestGateway(t, {
  toml: [
    server('300ms'),
    model(endless.url),
    model(full.url, 'full'),
    model(
      full.url,
      'hasty',
      `timeouts = { connect = "${OWN_MS}ms", first_byte = "${OWN_MS}ms", idle = "${OWN_MS}ms", total = "${OWN_MS}ms" }\nbreaker = { consecutive = 1000, min_requests = 1000 }`,
    ),
  ].join(''),
})

/** A stream with a deadline: how it ended for its caller, and how long after it was asked for. */
async function timed(deadline: number) {
  const startedAt = performance.now()
  const caller = await StreamCaller.ask(
    gateway.port,
    rawGet('m', `${deadline}`, [`modelgate-deadline-ms: ${deadline}`]),
  )
  const told = await caller.told
  return { told, afterMs: performance.now() - startedAt }
}

t.test(
  'the caller’s deadline goes along, less what has passed, and ends a stream that outlasts it',
  { buffered: true },
  async (t) => {
    const ofDeadline = async (deadline: number) => {
      const tried: string[] = []
      while (tried.length < TRIES) {
        const { told, afterMs } = await timed(deadline)
        const { headers } = requests.findLast(({ target }) => target === `/${deadline}`) ?? {}
        const left = Number(headers?.get('modelgate-deadline-ms'))
        tried.push(`${told.status} after ${Math.round(afterMs)} ms, ${left} ms at the endpoint`)
        if (told.status === 200) t.ok(afterMs >= deadline - 5, `not before ${deadline} ms: ${tried.at(-1)}`)
        const isInTime = afterMs < deadline + 250 && left > deadline - 100 && left <= deadline
        if (told.status !== 200 || !isInTime) continue
        t.match(told, { end: 'cut', status: 200 }, `${deadline} ms`)
        t.ok(told.bodyBytes > 0, 'what came in time was passed on')
        t.match(await streamOf(gateway.dataDir, told.headers.get(ID)), {
          fate: 'broken',
          fault: { code: 'deadline-exceeded' },
          attempt: { verdict: 'neutral' },
        })
        return
      }
      t.fail(`never in time for ${deadline} ms: ${tried.join('; ')}`)
    }
    await Promise.all([400, 700].map(ofDeadline))
    await eventually(() => endless.openCount === 0)
    const metrics = await metricsOf(gateway)
    t.equal(metrics.value('modelgate_breaker_state', { model: 'm', version: 'v1', state: 'closed' }), 1)
  },
)

t.test(
  'a deadline ends a stream that stands still because of its reader, too',
  { buffered: true },
  async (t) => {
    const DEADLINE_MS = 2_000
    const tried: string[] = []
    while (tried.length < 2 * TRIES) {
      const asked = rawGet('hasty', '', [`modelgate-deadline-ms: ${DEADLINE_MS}`])
      const caller = await StreamCaller.ask(gateway.port, asked, false)
      const startedAt = performance.now()
      const before = full.connectionCount
      // On a machine that stands still its own timeout may end it before there is an answer: then there is nothing to see.
      await Promise.race([eventually(() => full.connectionCount > before), pause(2 * DEADLINE_MS)])
      await eventually(() => full.openCount === 0, { until: 'the endpoint is let go' })
      const afterMs = performance.now() - startedAt
      caller.socket.resume()
      const told = await caller.told
      tried.push(`${told.status} after ${Math.round(afterMs)} ms`)
      if (told.status !== 200) continue
      t.equal(told.end, 'cut')
      const ended = await streamOf(gateway.dataDir, told.headers.get(ID))
      tried.push(String(ended.fault?.code))
      if (ended.fault?.code !== 'deadline-exceeded') continue
      t.match(ended, { fate: 'broken', attempt: { verdict: 'neutral' } })
      t.ok(afterMs > 2 * OWN_MS, `not by its own ${OWN_MS} ms: ${Math.round(afterMs)} ms`)
      return
    }
    t.fail(`always ended by the version’s own ${OWN_MS} ms: ${tried.join('; ')}`)
  },
)

t.test('what outlasts the grace is cut, seen as cut, and recorded', async (t) => {
  const reading = await Promise.all(
    Array.from({ length: 4 }, () => StreamCaller.ask(gateway.port, rawGet('m'))),
  )
  const still = await StreamCaller.ask(gateway.port, rawGet('full'), false)
  await Promise.all(reading.map(({ opened }) => opened))
  const open = async () => (await metricsOf(gateway)).sum('modelgate_streams_open')
  await eventually(async () => (await open()) === 5, { until: 'all five are open' })
  const before = (await decisionsIn(gateway.dataDir)).length
  t.same(await gateway.stop(), { abandoned: 5 })
  still.socket.resume()
  for (const caller of [...reading, still]) {
    const told = await caller.told
    t.match(told, { end: 'cut', status: 200 })
    const code = 'draining'
    t.match(await streamOf(gateway.dataDir, told.headers.get(ID)), {
      fate: 'broken',
      fault: { code },
      attempt: { verdict: 'neutral' },
    })
  }
  t.equal((await decisionsIn(gateway.dataDir)).length, before, 'no decision is told twice')
})

t.test('under a kill, and under the stop that follows it', async (t) => {
  const CALLERS = 8
  const brief = await upstreamOf(t, ticking(3, 8))
  const finite = await upstreamOf(t, ticking(20, 20))
  const { configFile, dataDir } = writeSetup(
    t,
    server('60s', 2) +
      model(brief.url, 'brief') +
      model(finite.url, 'finite') +
      model(endless.url, 'endless'),
  )
  const headed: string[] = []
  const whole: string[] = []

  await t.test('kill -9 cuts what was under way', async (t) => {
    const gateway = serve(t, configFile)
    const { port } = await gateway.ports()
    const witness = await StreamCaller.ask(port, rawGet('endless'))
    headed.push((await witness.opened).get(ID)!)
    let isKilled = false
    const callers = Array.from({ length: CALLERS }, async () => {
      while (!isKilled) {
        const caller = await StreamCaller.ask(port, rawGet('brief')).catch(() => undefined)
        if (caller === undefined) return
        const told = await caller.told
        caller.leave()
        const id = told.headers.get(ID)
        if (id !== undefined) headed.push(id)
        if (told.end === 'complete') whole.push(id!)
      }
    })
    await eventually(() => whole.length > 3 * CALLERS, { withinMs: 60_000 })
    await pause(Math.random() * 40)
    isKilled = true
    await gateway.kill()
    await Promise.all(callers)
    t.match(await witness.told, { end: 'cut' })
  })

  await t.test('a stop lets streams finish that can, and ends their connections in order', async (t) => {
    const gateway = serve(t, configFile)
    const { port } = await gateway.ports()
    const asked = Array.from({ length: CALLERS }, () => StreamCaller.ask(port, rawGet('finite')))
    const callers = await Promise.all(asked)
    await Promise.all(callers.map(({ opened }) => opened))
    gateway.signal('SIGTERM')
    for (const caller of callers) {
      const told = await caller.told
      t.match(told, { end: 'complete', bodyBytes: 9 * 20 })
      t.match(await streamOf(dataDir, told.headers.get(ID)), { fate: 'complete', fault: null })
    }
    t.same(await gateway.exited, { code: 0, signal: null }, gateway.stderr)
  })

  await t.test('whoever got a head is in the log, with an end where there was one', async (t) => {
    const records = await recordsIn(dataDir)
    const decided = records.flatMap((one) => (one.type === 'decision' ? [one.decision.id] : []))
    const ended = new Set(records.flatMap((one) => (one.type === 'stream' ? [one.stream.id] : [])))
    t.equal(new Set(decided).size, decided.length, 'no decision is there twice')
    t.ok(headed.length > whole.length, `${headed.length} heads, ${whole.length} whole: one was cut at least`)
    t.same(
      headed.filter((id) => !decided.includes(id)),
      [],
      'each head has its decision',
    )
    t.same(
      [...ended].filter((id) => !decided.includes(id)),
      [],
      'and no end is without one',
    )
    // Its end is told when the last byte was handed on, in the turn after; a kill between the two loses it.
    const open = whole.filter((id) => !ended.has(id))
    t.ok(open.length <= CALLERS, `${open.length} of ${whole.length} were whole and have no end in the log`)
    t.match(await decisionOf(dataDir, headed[0]), { attempts: [{ verdict: 'streaming' }] })
  })
})
