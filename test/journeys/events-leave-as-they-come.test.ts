import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { streamOf } from '../support/read-records.ts'
import { type Script, type ScriptedConnection, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'

const ID = 'modelgate-request-id'
const head = (...more: readonly string[]) =>
  ['HTTP/1.1 200 OK', 'content-type: text/event-stream', 'transfer-encoding: chunked', ...more, '', ''].join(
    '\r\n',
  )
const chunk = (bytes: string | Uint8Array) =>
  Buffer.concat([
    Buffer.from(`${Buffer.byteLength(bytes).toString(16)}\r\n`),
    Buffer.from(bytes as Uint8Array),
    Buffer.from('\r\n'),
  ])
const LAST = '0\r\n\r\n'

const delta = (content: string) =>
  `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`
const DONE = 'data: [DONE]\n\n'

/** What servers of events send, one thing each: comments, CRLF, CR, several lines, other fields, no space, UTF-8. */
const ODD_EVENTS = [
  ': a comment\n\n',
  'data: one\n\n',
  'event: tick\ndata: two\nid: 7\n\n',
  'data: three\r\n\r\n',
  'data: four\r\r',
  'data:five\n\n',
  'data: six\ndata: seven\n\n',
  'retry: 100\n\n',
  'data\n\n',
  '\n',
  'data: größer, 日本\n\n',
  ':\n\n',
  'data: last\n\n',
].join('')

const CHAT = JSON.stringify({ model: 'chat', stream: true, messages: [{ role: 'user', content: 'x' }] })
const chatBytes = `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${CHAT.length}\r\n\r\n${CHAT}`

async function upstreamOf(t: Test, script: Script): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream
}

const forever =
  (answer: (connection: ScriptedConnection, target: string) => Promise<void>): Script =>
  async (connection) => {
    for (;;) await answer(connection, (await connection.request()).target)
  }

/** On a busy machine hundreds of streams take seconds to open, and the first waits for the last. */
const models = (raw: string, chat = raw) => `
[models.m]
protocol = "raw"
timeouts = { connect = "10s", first_byte = "10s", idle = "20s", total = "60s" }
[models.m.versions.v1]
endpoints = ["${raw}"]
[models.chat]
protocol = "openai"
[models.chat.versions.v1]
endpoints = ["${chat}"]
`

const ways: readonly (readonly [string, string])[] = [
  ['raw', rawGet('m')],
  ['openai', chatBytes],
]

async function whole(gateway: TestGateway, bytes: string) {
  const caller = await StreamCaller.ask(gateway.port, bytes)
  const told = await caller.told
  caller.leave()
  return told
}

t.test('each event leaves by itself, in the moment it comes', async (t) => {
  const COUNT = 150
  const sentAt: number[] = []
  const upstream = await upstreamOf(
    t,
    forever(async (connection) => {
      sentAt.length = 0
      connection.send(head())
      for (let count = 0; count < COUNT; count += 1) {
        await pause(2)
        sentAt.push(performance.now())
        connection.send(chunk(delta(`word ${count} `)))
      }
      connection.send(chunk(DONE) + LAST)
    }),
  )
  const gateway = await startTestGateway(t, { toml: models(upstream.url) })
  for (const [name, bytes] of ways) {
    const caller = await StreamCaller.ask(gateway.port, bytes)
    const told = await caller.told
    caller.leave()
    t.equal(told.end, 'complete', name)
    const events = caller.pieces.map(({ text }) => text)
    const apart = events.filter((text, index) => text === delta(`word ${index} `)).length
    // Where this process was kept from reading for 2 ms, two events arrive at once; the gateway joins none.
    t.ok(apart > COUNT * 0.9, `${name}: ${apart} of ${COUNT} events came as they were sent`)
    const delays = sentAt
      .map((at, index) => (caller.pieces[index]?.at ?? Infinity) - at)
      .sort((a, b) => a - b)
    const [middle = Infinity, late = Infinity] = [delays[COUNT / 2], delays[Math.floor(COUNT * 0.9)]]
    t.ok(middle < 5, `${name}: half of the events took less than ${middle.toFixed(2)} ms`)
    t.ok(late < 50, `${name}: nine of ten took less than ${late.toFixed(2)} ms`)
    const stream = await streamOf(gateway.dataDir, told.headers.get(ID))
    t.match(stream, { fate: 'complete', attempt: { verdict: 'success' } }, name)
    if (name === 'openai') t.equal(stream.summary?.events, COUNT + 1)
    t.ok(
      stream.attempt.firstByteMs < 200,
      `${name}: the first event was the first byte: ${stream.attempt.firstByteMs}`,
    )
    t.ok(stream.durationMs >= COUNT * 2, `${name}: and the end was the end: ${stream.durationMs}`)
  }
})

t.test('events split at every byte arrive as they are, whatever they look like', async (t) => {
  const all = `${ODD_EVENTS}${delta('x')}${DONE}`
  const upstream = await upstreamOf(
    t,
    forever(async (connection) => {
      connection.send(head())
      for (const byte of Buffer.from(all)) {
        connection.send(chunk(Buffer.of(byte)))
        await turn()
      }
      connection.send(LAST)
    }),
  )
  const gateway = await startTestGateway(t, { toml: models(upstream.url) })
  for (const [name, bytes] of ways) {
    const told = await whole(gateway, bytes)
    t.equal(told.end, 'complete', `${name}: ${told.problem}`)
    t.equal(told.body.toString(), all, name)
  }
})

t.test('a chunk that is split at every byte is one chunk’s worth of events', async (t) => {
  const wire = Buffer.concat([
    Buffer.from(head()),
    chunk(delta('a') + delta('b')),
    chunk(DONE),
    Buffer.from(LAST),
  ])
  const upstream = await upstreamOf(
    t,
    forever(async (connection) => {
      for (const byte of wire) {
        connection.send(Buffer.of(byte))
        await turn()
      }
    }),
  )
  const gateway = await startTestGateway(t, { toml: models(upstream.url) })
  for (const [name, bytes] of ways) {
    const told = await whole(gateway, bytes)
    t.equal(told.end, 'complete', `${name}: ${told.problem}`)
    t.equal(told.body.toString(), delta('a') + delta('b') + DONE, name)
  }
})

t.test('compressed events pass untouched, and so does what only calls itself events', async (t) => {
  const zipped = gzipSync(delta('a') + delta('b') + DONE)
  const noise = Buffer.from(Array.from({ length: 5_000 }, (_, index) => (index * 7919) % 256))
  const upstream = await upstreamOf(
    t,
    forever(async (connection, target) => {
      if (target === '/noise') connection.send(head())
      else connection.send(head('content-encoding: gzip'))
      const bytes = target === '/noise' ? noise : zipped
      for (let at = 0; at < bytes.length; at += 50) {
        connection.send(chunk(bytes.subarray(at, at + 50)))
        await turn()
      }
      connection.send(LAST)
    }),
  )
  const gateway = await startTestGateway(t, { toml: models(upstream.url) })
  for (const [name, bytes] of ways) {
    const told = await whole(gateway, bytes)
    t.equal(told.end, 'complete', `${name}: ${told.problem}`)
    t.equal(told.headers.get('content-encoding'), 'gzip', name)
    t.ok(told.body.equals(zipped), name)
    t.match(gunzipSync(told.body).toString(), /\[DONE\]/, name)
  }
  const told = await whole(gateway, rawGet('m', 'noise'))
  t.ok(told.body.equals(noise))
})

t.test(
  'a stream of tokens that stops without its last word is not whole, for its caller and its version',
  async (t) => {
    const upstream = await upstreamOf(
      t,
      forever(async (connection) => {
        connection.send(head())
        connection.send(chunk(delta('a')))
        await connection.pause(20)
        if (connection.index % 2 === 0) connection.send(LAST)
        connection.finish()
      }),
    )
    const gateway = await startTestGateway(t, { toml: models(upstream.url) })
    const ended = await whole(gateway, chatBytes)
    t.match(ended, { end: 'complete', status: 200 })
    t.notMatch(ended.body.toString(), /\[DONE\]/, 'what HTTP calls complete is passed on as it came')
    t.match(await streamOf(gateway.dataDir, ended.headers.get(ID)), {
      fate: 'complete',
      fault: { code: 'incomplete-stream' },
      attempt: { verdict: 'failure' },
    })
    const cut = await whole(gateway, chatBytes)
    t.match(cut, { end: 'cut', status: 200 })
    t.match(cut.body.toString(), /"error"/, 'an event tells why')
    t.notMatch(cut.body.toString(), /\[DONE\]/)
    t.match(await streamOf(gateway.dataDir, cut.headers.get(ID)), {
      fate: 'broken',
      fault: { code: 'truncated-answer' },
      attempt: { verdict: 'failure' },
    })
  },
)

t.test('hundreds of streams at once are each their own', async (t) => {
  const COUNT = 200
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const upstream = await upstreamOf(
    t,
    forever(async (connection, target) => {
      connection.send(head())
      for (let count = 0; count < 20; count += 1) {
        connection.send(chunk(`data: ${target} ${count}\n\n`))
        await pause(5)
      }
      await released
      connection.send(LAST)
    }),
  )
  const gateway = await startTestGateway(t, { toml: models(upstream.url) })
  const all = Promise.all(
    Array.from({ length: COUNT }, (_, index) => whole(gateway, rawGet('m', `number-${index}`))),
  )
  const labels = { model: 'm', version: 'v1' }
  await eventually(async () => (await metricsOf(gateway)).value('modelgate_streams_open', labels) === COUNT, {
    withinMs: 30_000,
    until: 'all are open at once',
  })
  release()
  for (const [index, told] of (await all).entries()) {
    const expected = Array.from({ length: 20 }, (_, count) => `data: /number-${index} ${count}\n\n`).join('')
    if (told.end !== 'complete' || told.body.toString() !== expected) t.fail(`stream ${index}: ${told.end}`)
  }
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_streams_open', labels), 0)
  t.equal(metrics.value('modelgate_streams_total', { ...labels, fate: 'complete' }), COUNT)
})
