import { once } from 'node:events'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { streamOf } from '../support/read-records.ts'
import { type Script, type ScriptedConnection, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'
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

const forever =
  (answer: (connection: ScriptedConnection, target: string) => Promise<void>): Script =>
  async (connection) => {
    for (;;) await answer(connection, (await connection.request()).target)
  }

/** Streams stay open until the last of many has begun, however long a busy machine takes for that. */
const LONG = 'timeouts = { connect = "60s", first_byte = "5m", idle = "5m", total = "10m" }'
const models = (name: string, url: string) => `
[models.${name}]
protocol = "raw"
${LONG}
[models.${name}.versions.v1]
endpoints = ["${url}"]
[models.${name}-chat]
protocol = "openai"
breaker = { enforce = false }
${LONG}
[models.${name}-chat.versions.v1]
endpoints = ["${url}"]
`

const chatOf = (name: string): string => {
  const body = JSON.stringify({
    model: `${name}-chat`,
    stream: true,
    messages: [{ role: 'user', content: 'x' }],
  })
  return `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

/** Connections that asked for `each` and wait for what the test sends on them. */
const asked: ScriptedConnection[] = []
const split = `${ODD_EVENTS}${delta('x')}${DONE}`
const oneChunk = Buffer.concat([
  Buffer.from(head()),
  chunk(delta('a') + delta('b')),
  chunk(DONE),
  Buffer.from(LAST),
])
const zipped = gzipSync(delta('a') + delta('b') + DONE)
const noise = Buffer.from(Array.from({ length: 5_000 }, (_, index) => (index * 7919) % 256))
const EVENTS_EACH = 10
let release = () => {}
const released = new Promise<void>((resolve) => {
  release = resolve
})

/** What the endpoint of each model plays; the tests say what is to come of it. */
const scripts: Readonly<Record<string, Script>> = {
  each: forever(async (connection) => {
    asked.push(connection)
  }),
  split: forever(async (connection) => {
    connection.send(head())
    for (const byte of Buffer.from(split)) {
      connection.send(chunk(Buffer.of(byte)))
      await turn()
    }
    connection.send(LAST)
  }),
  chunk: forever(async (connection) => {
    for (const byte of oneChunk) {
      connection.send(Buffer.of(byte))
      await turn()
    }
  }),
  zipped: forever(async (connection, target) => {
    connection.send(target === '/noise' ? head() : head('content-encoding: gzip'))
    const bytes = target === '/noise' ? noise : zipped
    for (let at = 0; at < bytes.length; at += 50) {
      connection.send(chunk(bytes.subarray(at, at + 50)))
      await turn()
    }
    connection.send(LAST)
  }),
  short: forever(async (connection) => {
    connection.send(head())
    connection.send(chunk(delta('a')))
    await connection.pause(20)
    if (connection.index % 2 === 0) connection.send(LAST)
    connection.finish()
  }),
  many: forever(async (connection, target) => {
    connection.send(head())
    for (let count = 0; count < EVENTS_EACH; count += 1) {
      connection.send(chunk(`data: ${target} ${count}\n\n`))
      await connection.pause(5)
    }
    await released
    connection.send(LAST)
  }),
}
const upstreams = await Promise.all(
  Object.entries(scripts).map(async ([name, script]) => ({
    name,
    upstream: await ScriptedUpstream.start(script),
  })),
)
const gateway = await startTestGateway(t, {
  toml: upstreams.map(({ name, upstream }) => models(name, upstream.url)).join(''),
})
t.teardown(() => Promise.all(upstreams.map(({ upstream }) => upstream.close())))

const waysTo = (name: string): readonly (readonly [string, string])[] => [
  ['raw', rawGet(name)],
  ['openai', chatOf(name)],
]

async function whole(bytes: string) {
  const caller = await StreamCaller.ask(gateway.port, bytes)
  const told = await caller.told
  caller.leave()
  return told
}

/** Resolves when the caller has that many bytes of the body; a gateway that keeps one back never lets it. */
async function received(caller: StreamCaller, bytes: number): Promise<void> {
  const signal = AbortSignal.timeout(20_000)
  while (caller.bodyBytes < bytes) await once(caller.socket, 'data', { signal })
}

t.test('each event leaves by itself, in the moment it comes', async (t) => {
  const COUNT = 100
  for (const [name, bytes] of waysTo('each')) {
    const caller = await StreamCaller.ask(gateway.port, bytes)
    const connection = await eventually(() => asked.shift())
    connection.send(head())
    let sent = ''
    let bestMs = Number.POSITIVE_INFINITY
    for (let count = 0; count < COUNT; count += 1) {
      // None follows before its caller has the one before: what waited for company would wait for ever.
      const event = delta(`word ${count} `)
      const sentAt = performance.now()
      connection.send(chunk(event))
      sent += event
      await received(caller, sent.length)
      bestMs = Math.min(bestMs, performance.now() - sentAt)
      if (count === 0) await pause(50)
    }
    t.ok(bestMs < 5, `${name}: no timer holds an event back: the fastest of ${COUNT} took ${bestMs} ms`)
    connection.send(chunk(DONE) + LAST)
    const told = await caller.told
    caller.leave()
    t.match(told, { end: 'complete', problem: '' }, name)
    t.equal(told.body.toString(), sent + DONE, name)
    const stream = await streamOf(gateway.dataDir, told.headers.get(ID))
    t.match(stream, { fate: 'complete', attempt: { verdict: 'success' } }, name)
    if (name === 'openai') t.equal(stream.summary?.events, COUNT + 1)
    const { durationMs, attempt } = stream
    t.ok(
      durationMs >= attempt.firstByteMs + 49,
      `${name}: from the first event to the end: ${attempt.firstByteMs} to ${durationMs} ms`,
    )
  }
})

t.test('events split at every byte arrive as they are, whatever they look like', async (t) => {
  for (const [name, bytes] of waysTo('split')) {
    const told = await whole(bytes)
    t.equal(told.end, 'complete', `${name}: ${told.problem}`)
    t.equal(told.body.toString(), split, name)
  }
})

t.test('a chunk that is split at every byte is one chunk’s worth of events', async (t) => {
  for (const [name, bytes] of waysTo('chunk')) {
    const told = await whole(bytes)
    t.equal(told.end, 'complete', `${name}: ${told.problem}`)
    t.equal(told.body.toString(), delta('a') + delta('b') + DONE, name)
  }
})

t.test('compressed events pass untouched, and so does what only calls itself events', async (t) => {
  for (const [name, bytes] of waysTo('zipped')) {
    const told = await whole(bytes)
    t.equal(told.end, 'complete', `${name}: ${told.problem}`)
    t.equal(told.headers.get('content-encoding'), 'gzip', name)
    t.ok(told.body.equals(zipped), name)
    t.match(gunzipSync(told.body).toString(), /\[DONE\]/, name)
  }
  const told = await whole(rawGet('zipped', 'noise'))
  t.ok(told.body.equals(noise))
})

t.test(
  'a stream of tokens that stops without its last word is not whole, for its caller and its version',
  async (t) => {
    const ended = await whole(chatOf('short'))
    t.match(ended, { end: 'complete', status: 200 })
    t.notMatch(ended.body.toString(), /\[DONE\]/, 'what HTTP calls complete is passed on as it came')
    t.match(await streamOf(gateway.dataDir, ended.headers.get(ID)), {
      fate: 'complete',
      fault: { code: 'incomplete-stream' },
      attempt: { verdict: 'failure' },
    })
    const cut = await whole(chatOf('short'))
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

t.test('many streams at once are each their own', async (t) => {
  const COUNT = 120
  const all = Promise.all(
    Array.from({ length: COUNT }, (_, index) => whole(rawGet('many', `number-${index}`))),
  )
  const labels = { model: 'many', version: 'v1' }
  const open = async () => (await metricsOf(gateway)).value('modelgate_streams_open', labels)
  await eventually(async () => (await open()) === COUNT, { withinMs: 100_000, until: 'all are open at once' })
  release()
  for (const [index, told] of (await all).entries()) {
    const expected = Array.from(
      { length: EVENTS_EACH },
      (_, count) => `data: /number-${index} ${count}\n\n`,
    ).join('')
    if (told.end !== 'complete' || told.body.toString() !== expected) t.fail(`stream ${index}: ${told.end}`)
  }
  await eventually(async () => (await open()) === 0, { until: 'none is open any more' })
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_streams_total', { ...labels, fate: 'complete' }), COUNT)
})
