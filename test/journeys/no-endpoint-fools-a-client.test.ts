/**
 * Endpoints that answer early, cut short, stall, reset, answer twice or speak out of turn, through a whole
 * gateway: the same answer complete, a named 502 or 504, or a plainly broken message. First by hand, then a
 * bounded sample of the campaign `npm run fuzz -- gateway-answers`.
 */
import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { gatewayAnswers } from '../../scripts/fuzz/answers-through-gateway.ts'
import { PATIENCE } from '../support/patient.ts'
import { RawClient } from '../support/raw-client.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const OK = plainAnswer(200, 'ok')
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'

interface Way {
  readonly script: Script
  readonly status: number
  readonly error?: string
  readonly isBroken?: boolean
  /** The timer that has to run out. */
  readonly timer?: 'first_byte' | 'idle'
}

/** By its name, each way whose caller has its answer. */
const answered = new EventEmitter()

/** What an endpoint does with the request it got; the second connection always behaves. */
const WAYS: Record<string, Way> = {
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
    timer: 'first_byte',
  },
  'stalls in its answer': {
    script: async (connection) => {
      await connection.request()
      connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
      await connection.closed
    },
    status: 504,
    error: 'idle-timeout',
    timer: 'idle',
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
      const told = once(answered, 'speaks on an idle connection')
      connection.send(OK)
      await told
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

const behaves: Script = async (connection) => {
  for (;;) {
    await connection.request()
    connection.send(plainAnswer(200, 'its own'))
  }
}

/** Models that are asked once: what time may do to them is in `timeouts`. */
const model = (name: string, url: string, timeouts = PATIENCE) => `
[models.${name}]
protocol = "raw"
timeouts = { ${timeouts} }
breaker = { enforce = false }
[models.${name}.versions.v1]
endpoints = ["${url}"]
`
const ways = Object.entries(WAYS)
const upstreams = await Promise.all(ways.map(([, { script }]) => ScriptedUpstream.start(script, behaves)))
const BODILESS = { head: ['HEAD', '200 OK'], unchanged: ['GET', '304 Not Modified'] } as const
const STRAY = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstray!'
const strays = await Promise.all(
  Object.values(BODILESS).map(([, status]) => ScriptedUpstream.start(sendsStray(status))),
)
for (const upstream of [...upstreams, ...strays]) t.teardown(() => upstream.close())
const gateway = await startTestGateway(t, {
  toml: [
    ...ways.map(([, { timer = '' }], index) => {
      const timeouts = timer === '' ? PATIENCE : PATIENCE.replace(`${timer} = "20s"`, `${timer} = "200ms"`)
      return model(`way-${index}`, upstreams[index]!.url, timeouts)
    }),
    ...Object.keys(BODILESS).map((name, index) => model(name, strays[index]!.url)),
  ].join(''),
})

for (const [index, [name, way]] of ways.entries()) {
  t.test(`an endpoint that ${name}`, async (t) => {
    const { status, error, isBroken = false } = way
    const client = await RawClient.open(gateway.port)
    client.send(`POST /models/way-${index}/x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody`)
    const told = await client.answer()
    t.equal(told.status, status === 200 && isBroken && told.status === 502 ? 502 : status)
    if (error !== undefined) t.equal(told.headers.get('modelgate-error'), error)
    if (isBroken && told.status === 200) t.notOk(told.complete && !told.closed, 'it is not complete')
    if (isBroken) t.not(told.complete && told.status === 200, true, 'a broken answer is never complete')
    client.close()
    answered.emit(name)
    await upstreams[index]!.connections[0]!.closed
    t.pass('the gateway gives that connection up')
    const next = await gateway.ask(`/models/way-${index}/x`)
    // Where the timer is short, a machine that stalls may run it out once more.
    const isLate = way.timer !== undefined && next.status === 504
    t.ok(isLate || next.text === 'its own', `the next caller gets its own answer, not ${next.text}`)
  })
}

/** Answers without a body but with the length of one, and sends those bytes a little later. */
function sendsStray(status: string): Script {
  return async (connection) => {
    await connection.request()
    connection.send(`HTTP/1.1 ${status}\r\ncontent-length: ${STRAY.length}\r\n\r\n`)
    const next = connection.request()
    next.catch(() => {})
    await connection.pause(2)
    connection.send(STRAY)
    await next
    connection.send(plainAnswer(200, 'its own'))
  }
}

t.test('what follows an answer without a body, however late, is nobody’s answer', async (t) => {
  for (const [model, [method, status]] of Object.entries(BODILESS)) {
    const texts = new Set<string>()
    for (let round = 0; round < 10; round += 1) {
      const client = await RawClient.open(gateway.port)
      client.send(`${method} /models/${model}/first HTTP/1.1\r\nhost: a\r\n\r\n`)
      await client.answer()
      client.send(`GET /models/${model}/second HTTP/1.1\r\nhost: a\r\n\r\n`)
      texts.add((await client.answer()).body.toString())
      client.close()
    }
    t.notOk(texts.has('stray!'), `${method}, ${status}`)
  }
})

const CASES = 300

t.test('a sample of the campaign', async (t) => {
  const { done, findings, tables } = await gatewayAnswers({
    cases: CASES,
    seed: 4_242,
    underWay: new Set(),
    print: () => {},
    isOver: () => false,
  })
  t.equal(done, CASES)
  t.strictSame(findings, [])
  const got = tables['what the client got']!
  t.ok((got.get('the same answer') ?? 0) > 30 && (got.get('502 malformed-answer') ?? 0) > 50)
})
