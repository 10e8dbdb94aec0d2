/**
 * Readers and models that take longer than any timer but their own. Both parts wait for more than ten seconds and work
 * little meanwhile, so they wait together.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { pour, sha256Of, startLarge } from '../support/large-answers.ts'
import { Metrics, metricsOf } from '../support/read-metrics.ts'
import { streamOf } from '../support/read-records.ts'
import { type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'

const MIB = 1024 * 1024
const ID = 'modelgate-request-id'
/** Longer than any timer of the server in front, which knows 10 s (8 to 12 measured). */
const LONG_MS = 13_000

t.jobs = 2

async function upstreamOf(t: Test, script: Script): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream
}

const model = (name: string, url: string, more = '') =>
  `[models.${name}]\nprotocol = "raw"\n${more}\n[models.${name}.versions.v1]\nendpoints = ["${url}"]\n`

t.test(
  'a slow reader gets all of 48 MiB, and costs the gateway little and the version nothing',
  { buffered: true },
  async (t) => {
    const SIZE = 48 * MIB
    const endpoint = await startLarge()
    t.teardown(() => endpoint.close())
    // Far less than the readers take: it stands still while they make the endpoint wait.
    const TOTAL_MS = 5_000
    const limits = `timeouts = { connect = "5s", first_byte = "5s", idle = "5s", total = "${TOTAL_MS}ms" }`
    const { configFile, dataDir } = writeSetup(
      t,
      `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\n${model('m', endpoint.url, limits)}`,
    )
    const gateway = serve(t, configFile)
    const { port, adminPort } = await gateway.ports()
    const memory = async () => {
      const page = new Metrics((await ask(adminPort, '/metrics')).text)
      return page.value('modelgate_process_resident_memory_bytes')
    }
    const warm = await StreamCaller.ask(port, rawGet('m', `length/${4 * MIB}`))
    await warm.told
    warm.leave()
    const before = await memory()
    let peak = 0
    let aheadMax = 0
    const readers = await Promise.all(
      ['length', 'chunks', 'close'].map((framing) =>
        StreamCaller.ask(port, rawGet('m', `${framing}/${SIZE}`)),
      ),
    )
    const startedAt = performance.now()
    for (const reader of readers) reader.throttle(5 * MIB)
    let isOver = false
    const all = Promise.all(readers.map(({ told }) => told)).finally(() => {
      isOver = true
    })
    while (!isOver) {
      peak = Math.max(peak, await memory())
      const sent = endpoint.connections.reduce(
        (sum, { socket }) => sum + socket.bytesWritten - socket.writableLength,
        0,
      )
      aheadMax = Math.max(aheadMax, sent - readers.reduce((sum, { bodyBytes }) => sum + bodyBytes, 4 * MIB))
      await pause(300)
    }
    const expected = sha256Of(SIZE)
    for (const told of await all) {
      t.match(told, { end: 'complete', status: 200, bodyBytes: SIZE, sha256: expected }, told.problem)
      t.match(await streamOf(dataDir, told.headers.get(ID)), {
        fate: 'complete',
        fault: null,
        bodyBytes: SIZE,
        attempt: { verdict: 'success', faultCode: '' },
      })
    }
    const tookMs = performance.now() - startedAt
    t.ok(tookMs > 1.1 * TOTAL_MS, `read slowly: ${Math.round(tookMs)} ms`)
    t.ok(
      aheadMax < 3 * 24 * MIB,
      `endpoints wait for their readers: at most ${aheadMax / MIB} MiB ahead of three`,
    )
    t.ok(peak - before < 48 * MIB, `memory grew by ${Math.round((peak - before) / MIB)} MiB for 144 MiB`)
    const page = new Metrics((await ask(adminPort, '/metrics')).text)
    t.equal(page.value('modelgate_breaker_state', { model: 'm', version: 'v1', state: 'closed' }), 1)
    for (const reader of readers) reader.leave()
  },
)

interface Wait {
  readonly name: string
  readonly script: Script
  readonly isEvents?: boolean
}

const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const event = (text: string) => `${(text.length + 8).toString(16)}\r\ndata: ${text}\n\n\r\n`

/** Answers that leave in two parts with a long thought somewhere. */
const THOUGHTS: readonly Wait[] = [
  {
    name: 'before a plain answer',
    script: async (connection) => {
      await connection.request()
      await connection.pause(LONG_MS)
      connection.send('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab--')
    },
  },
  {
    name: 'before the first event',
    script: async (connection) => {
      await connection.request()
      connection.send(EVENTS)
      await connection.pause(LONG_MS)
      connection.send(`${event('ab')}0\r\n\r\n`)
    },
  },
  {
    name: 'between two events',
    script: async (connection) => {
      await connection.request()
      connection.send(`${EVENTS}${event('ab')}`)
      await connection.pause(LONG_MS)
      connection.send(`${event('cd')}0\r\n\r\n`)
    },
  },
  {
    name: 'after the head of a known length',
    script: async (connection) => {
      await connection.request()
      connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${MIB}\r\n\r\n`)
      await connection.pause(LONG_MS)
      connection.send(Buffer.alloc(MIB))
    },
  },
  {
    name: 'in the middle of a known length',
    script: async (connection) => {
      await connection.request()
      connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${MIB}\r\n\r\n`)
      connection.send(Buffer.alloc(MIB / 2))
      await connection.pause(LONG_MS)
      connection.send(Buffer.alloc(MIB / 2))
    },
  },
  {
    name: 'before the end of a close-delimited one',
    script: async (connection) => {
      await connection.request()
      connection.send('HTTP/1.1 200 OK\r\n\r\nab')
      await connection.pause(LONG_MS)
      connection.finish()
    },
  },
]

/** Readers that take nothing for a while, of answers too large for all buffers on the way. */
const STILL: readonly (readonly [string, Script])[] = [
  ['of a known length', async (connection) => pour(connection, (await connection.request()).target)],
  ['in chunks', async (connection) => pour(connection, (await connection.request()).target)],
  [
    'held whole, because it is an error',
    async (connection) => {
      await connection.request()
      connection.send(`HTTP/1.1 500 Ill\r\ncontent-length: ${24 * MIB}\r\n\r\n`)
      connection.send(Buffer.alloc(24 * MIB))
    },
  ],
]

const PATIENT = 'timeouts = { connect = "30s", first_byte = "60s", idle = "60s", total = "60s" }'

async function thinks(t: Test, gateway: TestGateway, name: string, index: number): Promise<void> {
  const caller = await StreamCaller.ask(gateway.port, rawGet(`think${index}`))
  t.match(await caller.told, { end: 'complete', status: 200 }, `13 s ${name}`)
  caller.leave()
}

async function standsStill(t: Test, gateway: TestGateway, name: string, index: number): Promise<void> {
  const rest = ['length', 'chunks', ''][index]
  const bytes = rawGet(`still${index}`, `${rest}/${24 * MIB}`)
  const caller = await StreamCaller.ask(gateway.port, bytes, false)
  await pause(LONG_MS)
  caller.socket.resume()
  t.match(await caller.told, { end: 'complete', bodyBytes: 24 * MIB }, `stood still for 13 s: ${name}`)
  caller.leave()
}

t.test('nobody’s patience but the configured one ends an answer', { buffered: true }, async (t) => {
  const thoughts = await Promise.all(THOUGHTS.map(({ script }) => upstreamOf(t, script)))
  const still = await Promise.all(STILL.map(([, script]) => upstreamOf(t, script)))
  const gateway = await startTestGateway(t, {
    toml: [
      ...thoughts.map(({ url }, index) => model(`think${index}`, url, PATIENT)),
      ...still.map(({ url }, index) => model(`still${index}`, url, PATIENT)),
    ].join(''),
  })
  const idle = await StreamCaller.ask(gateway.port, '')
  let isIdleOver = false
  void idle.told.then(() => {
    isIdleOver = true
  })
  await Promise.all([
    ...THOUGHTS.map(({ name }, index) => thinks(t, gateway, name, index)),
    ...STILL.map(([name], index) => standsStill(t, gateway, name, index)),
  ])
  await eventually(() => isIdleOver, { until: 'a connection without a request is ended by the server' })
  const metrics = await metricsOf(gateway)
  t.equal(metrics.sum('modelgate_attempts_total', { verdict: 'neutral' }), 0)
})
