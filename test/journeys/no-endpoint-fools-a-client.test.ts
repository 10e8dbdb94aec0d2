/**
 * Endpoints that answer early, cut short, stall, reset, answer twice or speak out of turn, through a whole
 * gateway: the same answer complete, a named 502 or 504, or a plainly broken message. First by hand, then a
 * bounded sample of the campaign `npm run fuzz -- gateway-answers`.
 */
import t from 'tap'
import { gatewayAnswers } from '../../scripts/fuzz/answers-through-gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const OK = plainAnswer(200, 'ok')
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'

/** What an endpoint does with the request it got; the second connection always behaves. */
const WAYS: Record<string, { script: Script; status: number; error?: string; isBroken?: boolean }> = {
  'answers early and closes': {
    script: async (connection) => {
      await connection.bytes(1)
      connection.send(plainAnswer(413, 'no', ['connection: close']))
      connection.finish()
    },
    status: 413,
  },
  'truncates by length': {
    script: async (connection) => {
      await connection.request()
      connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
      connection.finish()
    },
    status: 502,
    error: 'truncated-answer',
  },
  'truncates in the middle of chunks': {
    script: async (connection) => {
      await connection.request()
      connection.send(CHUNKED)
      await connection.pause(20)
      connection.finish()
    },
    status: 200,
    isBroken: true,
  },
  'resets in the middle of an answer without a length': {
    script: async (connection) => {
      await connection.request()
      connection.send('HTTP/1.1 200 OK\r\n\r\nhalf')
      connection.reset()
    },
    status: 200,
    isBroken: true,
  },
  'stalls before its answer': {
    script: async (connection) => {
      await connection.request()
      await connection.closed
    },
    status: 504,
    error: 'first-byte-timeout',
  },
  'stalls in its answer': {
    script: async (connection) => {
      await connection.request()
      connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
      await connection.closed
    },
    status: 504,
    error: 'idle-timeout',
  },
  'resets before its answer': {
    script: async (connection) => {
      await connection.request()
      connection.reset()
    },
    status: 502,
    error: 'closed-before-answer',
  },
  'sends two answers': {
    script: async (connection) => {
      await connection.request()
      connection.send(OK + plainAnswer(200, 'for somebody else'))
    },
    status: 200,
  },
  'speaks on an idle connection': {
    script: async (connection) => {
      await connection.request()
      connection.send(OK)
      await connection.pause(30)
      connection.send(plainAnswer(200, 'for somebody else'))
    },
    status: 200,
  },
  'speaks another protocol': {
    script: async (connection) => {
      await connection.request()
      connection.send('\x15\x03\x01\x00\x02\x02\x46')
    },
    status: 502,
    error: 'malformed-answer',
  },
}

for (const [name, { script, status, error, isBroken = false }] of Object.entries(WAYS)) {
  t.test(`an endpoint that ${name}`, async (t) => {
    const behaves: Script = async (connection) => {
      for (;;) {
        await connection.request()
        connection.send(plainAnswer(200, 'its own'))
      }
    }
    const upstream = await ScriptedUpstream.start(script, behaves)
    t.teardown(() => upstream.close())
    const gateway = await startTestGateway(t, {
      toml: `[models.m]
protocol = "raw"
timeouts = { total = "2s", first_byte = "200ms", idle = "200ms" }
[models.m.versions.v1]
endpoints = ["${upstream.url}"]
`,
    })
    const client = await RawClient.open(gateway.port)
    client.send('POST /models/m/x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody')
    const told = await client.answer()
    t.equal(told.status, status === 200 && isBroken && told.status === 502 ? 502 : status)
    if (error !== undefined) t.equal(told.headers.get('modelgate-error'), error)
    if (isBroken && told.status === 200) t.notOk(told.complete && !told.closed, 'it is not complete')
    if (isBroken) t.not(told.complete && told.status === 200, true, 'a broken answer is never complete')
    client.close()
    await new Promise((resolve) => setTimeout(resolve, 60))
    const next = await gateway.ask('/models/m/x')
    t.equal(next.text, 'its own', 'the next caller gets its own answer')
  })
}

t.test('what follows an answer without a body, however late, is nobody’s answer', async (t) => {
  const stray = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstray!'
  for (const [method, status] of [
    ['HEAD', '200 OK'],
    ['GET', '304 Not Modified'],
  ]) {
    const endpoint = await ScriptedUpstream.start(async (connection) => {
      await connection.request()
      connection.send(`HTTP/1.1 ${status}\r\ncontent-length: ${stray.length}\r\n\r\n`)
      const next = connection.request()
      next.catch(() => {})
      await connection.pause(2)
      connection.send(stray)
      await next
      connection.send(plainAnswer(200, 'its own'))
    })
    t.teardown(() => endpoint.close())
    const gateway = await startTestGateway(t, {
      toml: `
[models.m]
protocol = "raw"
breaker = { enforce = false }
[models.m.versions.v1]
endpoints = ["${endpoint.url}"]
`,
    })
    const texts = new Set<string>()
    for (let round = 0; round < 20; round += 1) {
      const client = await RawClient.open(gateway.port)
      client.send(`${method} /models/m/first HTTP/1.1\r\nhost: a\r\n\r\n`)
      await client.answer()
      client.send('GET /models/m/second HTTP/1.1\r\nhost: a\r\n\r\n')
      texts.add((await client.answer()).body.toString())
      client.close()
    }
    t.notOk(texts.has('stray!'), `${method}, ${status}`)
  }
})

t.test('a sample of the campaign', async (t) => {
  const { done, findings, tables } = await gatewayAnswers({
    cases: 600,
    seed: 4_242,
    underWay: new Set(),
    print: () => {},
    isOver: () => false,
  })
  t.equal(done, 600)
  t.strictSame(findings, [])
  const got = tables['what the client got']!
  t.ok((got.get('the same answer') ?? 0) > 60 && (got.get('502 malformed-answer') ?? 0) > 100)
})
