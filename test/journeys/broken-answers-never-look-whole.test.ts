import { request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { FaultCode } from '../../src/domain/fault.ts'
import { eventually } from '../support/eventually.ts'
import { pour } from '../support/large-answers.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, streamOf } from '../support/read-records.ts'
import { answering, plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'

const ID = 'modelgate-request-id'
const MIB = 1024 * 1024
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const ONE = '9\r\ndata: 1\n\n\r\n'

/** Sends this, lets it arrive, and ends as told. */
function then(end: 'fin' | 'reset' | 'silence', ...pieces: readonly (string | Uint8Array)[]): Script {
  return async (connection) => {
    await connection.request()
    for (const piece of pieces) {
      connection.send(piece)
      await connection.pause(20)
    }
    if (end === 'fin') connection.finish()
    else if (end === 'reset') connection.reset()
    else await connection.closed
  }
}

interface Break {
  readonly name: string
  readonly script: Script
  readonly code: FaultCode
  /** How the caller learns of it: by another answer, by a message that is cut, or by an end without a message. */
  readonly seen: 'answer' | 'cut'
  /** Of the endpoint's body, what the caller may have got at most, where it was cut. */
  readonly bytesMax?: number
}

const BREAKS: readonly Break[] = [
  {
    name: 'a small answer ends before its length',
    script: then('fin', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'),
    code: 'truncated-answer',
    seen: 'answer',
  },
  {
    name: 'a large answer ends before its length',
    script: then('fin', `HTTP/1.1 200 OK\r\ncontent-length: ${MIB}\r\n\r\n`, Buffer.alloc(MIB - 1)),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: MIB - 1,
  },
  {
    name: '100 MiB are announced and the endpoint dies at 50',
    script: async (connection) => {
      await connection.request()
      await pour(connection, `/length/${100 * MIB}`, 50 * MIB)
    },
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 50 * MIB,
  },
  {
    name: 'chunks end without a last one',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'the last chunk is there, the empty line after it is not',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n0\r\n`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'chunks end in the middle of a size',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n1`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'chunks end in the middle of one',
    script: then('fin', `${CHUNKED}5\r\nhello\r\n5\r\nhe`),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 7,
  },
  {
    name: 'a chunk has no size',
    script: then('silence', `${CHUNKED}5\r\nhello\r\n`, 'G\r\n'),
    code: 'malformed-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'a chunk is longer than its size',
    script: then('silence', `${CHUNKED}5\r\nhello\r\n`, '2\r\nabc\r\n'),
    code: 'malformed-answer',
    seen: 'cut',
    bytesMax: 7,
  },
  {
    name: 'events end without an end',
    script: then('fin', EVENTS + ONE),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 9,
  },
  {
    name: 'events end by a reset',
    script: then('reset', EVENTS + ONE),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 9,
  },
  {
    name: 'an answer until close ends by a reset',
    script: then('reset', 'HTTP/1.1 200 OK\r\n\r\n', 'hello'),
    code: 'truncated-answer',
    seen: 'cut',
    bytesMax: 5,
  },
  {
    name: 'events pause for too long',
    script: then('silence', EVENTS + ONE),
    code: 'idle-timeout',
    seen: 'cut',
    bytesMax: 9,
  },
  {
    name: 'a large answer pauses for too long',
    script: then('silence', `HTTP/1.1 200 OK\r\ncontent-length: ${MIB}\r\n\r\n`, Buffer.alloc(MIB / 2)),
    code: 'idle-timeout',
    seen: 'cut',
    bytesMax: MIB / 2,
  },
  {
    name: 'events go on for too long',
    script: async (connection) => {
      await connection.request()
      connection.send(EVENTS)
      await connection.drip(ONE.repeat(100), 50, ONE.length)
    },
    code: 'total-timeout',
    seen: 'cut',
  },
  { name: 'no byte comes', script: then('silence'), code: 'first-byte-timeout', seen: 'answer' },
  { name: 'a reset comes first', script: then('reset'), code: 'closed-before-answer', seen: 'answer' },
  {
    name: 'the head breaks off',
    script: then('fin', 'HTTP/1.1 200 OK\r\ncontent-'),
    code: 'truncated-answer',
    seen: 'answer',
  },
  {
    name: 'events are announced and none comes',
    script: then('silence', EVENTS),
    code: 'idle-timeout',
    seen: 'answer',
  },
  {
    name: 'events are announced and the connection ends',
    script: then('fin', EVENTS),
    code: 'truncated-answer',
    seen: 'answer',
  },
  {
    name: 'chunks are announced and none comes',
    script: then('silence', CHUNKED),
    code: 'idle-timeout',
    seen: 'answer',
  },
  {
    name: 'chunks are announced and the connection ends',
    script: then('fin', CHUNKED),
    code: 'truncated-answer',
    seen: 'answer',
  },
]

const models = (all: readonly ScriptedUpstream[]) =>
  all
    .map(
      ({ url }, index) => `
[models.m${index}]
protocol = "raw"
timeouts = { first_byte = "600ms", idle = "600ms", total = "1500ms" }
[models.m${index}.versions.v1]
endpoints = ["${url}"]
`,
    )
    .join('')

/** As Node's own client sees it: 'complete', or how it ended. */
function byNode(port: number, path: string): Promise<{ status: number; end: string; bytes: number }> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let bytes = 0
      const status = response.statusCode ?? 0
      response.on('data', (piece: Buffer) => {
        bytes += piece.length
      })
      response.on('error', (error: NodeJS.ErrnoException) =>
        resolve({ status, end: String(error.code), bytes }),
      )
      response.on('end', () => resolve({ status, end: response.complete ? 'complete' : 'incomplete', bytes }))
    })
    sent.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ status: 0, end: String(error.code), bytes: 0 }),
    )
    sent.end()
  })
}

async function breaks(t: Test, gateway: TestGateway, index: number): Promise<void> {
  const { name, code, seen, bytesMax = Infinity } = BREAKS[index]!
  const model = `m${index}`
  const [told, node] = await Promise.all([
    StreamCaller.ask(gateway.port, rawGet(model)).then((caller) => caller.told.finally(() => caller.leave())),
    byNode(gateway.port, `/models/${model}/`),
  ])
  if (seen === 'answer') {
    t.equal(told.end, 'complete', `${name}: ${told.problem}`)
    t.ok(told.status >= 500, `${name}: told ${told.status}`)
    t.equal(told.headers.get('modelgate-error'), code, name)
    t.match(node, { end: 'complete', status: told.status }, `${name}, by Node’s client`)
    t.match(await decisionOf(gateway.dataDir, told.headers.get(ID)), { fault: { code }, served: '' }, name)
  } else {
    t.match(told, { end: 'cut', status: 200 }, `${name}: ${told.problem}`)
    t.match(node, { end: 'ECONNRESET', status: 200 }, `${name}, by Node’s client`)
    t.ok(told.bodyBytes <= bytesMax, `${name}: ${told.bodyBytes} bytes`)
    const id = told.headers.get(ID)
    t.match(await decisionOf(gateway.dataDir, id), { status: 200, served: 'v1', fault: null }, name)
    const ending = { fate: 'broken', fault: { code }, attempt: { verdict: 'failure', faultCode: code } }
    t.match(await streamOf(gateway.dataDir, id), ending, name)
  }
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_faults_total', { model, code }), 2, `${name}: each is counted once`)
  const attempts = { model, version: 'v1', role: 'primary', verdict: 'failure' }
  t.equal(metrics.value('modelgate_attempts_total', attempts), 2, `${name}: and held against the version`)
  t.equal(metrics.value('modelgate_requests_running', { model }), 0, name)
}

async function startAll(t: Test, scripts: readonly Script[]): Promise<ScriptedUpstream[]> {
  const all = await Promise.all(scripts.map((script) => ScriptedUpstream.start(script)))
  t.teardown(() => Promise.all(all.map((one) => one.close())))
  return all
}

t.test(
  'an endpoint that breaks off leaves another answer, or a message that cannot be mistaken',
  async (t) => {
    const upstreams = await startAll(
      t,
      BREAKS.map(({ script }) => script),
    )
    const gateway = await startTestGateway(t, { toml: models(upstreams) })
    await Promise.all(BREAKS.map((_, index) => breaks(t, gateway, index)))
    t.same(
      upstreams.map(({ openCount }) => openCount),
      upstreams.map(() => 0),
      'no broken connection is kept',
    )
  },
)

t.test('what an endpoint says too much reaches nobody', async (t) => {
  let count = 0
  const twice = plainAnswer(200, 'mine')
  const [double, unasked, late] = await startAll(t, [
    answering(twice + plainAnswer(200, 'nobody’s')),
    async (connection) => {
      for (;;) {
        await connection.request()
        count += 1
        connection.send(plainAnswer(200, `answer ${count}`))
        await connection.pause(30)
        connection.send(plainAnswer(200, 'unasked for'))
      }
    },
    async (connection) => {
      for (;;) {
        await connection.request()
        connection.send(plainAnswer(200, 'in time'))
        await connection.pause(30)
        connection.finish()
      }
    },
  ])
  const gateway = await startTestGateway(t, { toml: models([double!, unasked!, late!]) })
  for (let round = 1; round <= 5; round += 1) {
    t.equal((await gateway.ask('/models/m0/')).text, 'mine', 'of two answers the first')
    t.equal((await gateway.ask('/models/m1/')).text, `answer ${round}`)
    t.equal((await gateway.ask('/models/m2/')).text, 'in time')
    await pause(60)
  }
  for (const upstream of [double!, unasked!, late!]) {
    t.equal(upstream.connectionCount, 5, 'such a connection is used once')
    await eventually(() => upstream.openCount === 0)
  }
})

t.test(
  'an answer that comes before the whole request is passed on, and its connection is not used again',
  async (t) => {
    const early: Script = async (connection) => {
      const { target } = await new Promise<{ target: string }>((resolve) => {
        const look = () => {
          const [, target] = /^PUT (\S+) /.exec(connection.received.toString('latin1', 0, 100)) ?? []
          if (target !== undefined) resolve({ target })
        }
        connection.socket.on('data', look)
        look()
      })
      connection.stopReading()
      connection.send(target === '/stream' ? `${CHUNKED}5\r\nhello\r\n` : plainAnswer(413, 'too much of it'))
      if (target !== '/stream') return
      await connection.pause(50)
      connection.send('5\r\nagain\r\n0\r\n\r\n')
    }
    const [upstream] = await startAll(t, [early])
    const gateway = await startTestGateway(t, { toml: models([upstream!]) })
    const body = Buffer.alloc(12 * MIB)
    const refused = await gateway.ask('/models/m0/', { method: 'PUT', body })
    t.match(refused, { status: 413, text: 'too much of it' })
    const streamed = await gateway.ask('/models/m0/stream', { method: 'PUT', body })
    t.match(streamed, { status: 200, text: 'helloagain' })
    t.match(await streamOf(gateway.dataDir, streamed.headers[ID]), { fate: 'complete', fault: null })
    t.equal(upstream!.connectionCount, 2)
    for (const connection of upstream!.connections) connection.resumeReading()
    await eventually(() => upstream!.openCount === 0, {
      until: 'what is left of a request ends with its connection',
    })
  },
)

t.test('an answer until close is complete when its endpoint closes in order', async (t) => {
  const [upstream] = await startAll(t, [then('fin', 'HTTP/1.1 200 OK\r\n\r\n', 'hello, ', 'world')])
  const gateway = await startTestGateway(t, { toml: models([upstream!]) })
  const caller = await StreamCaller.ask(gateway.port, rawGet('m0'))
  const told = await caller.told
  t.match(told, { end: 'complete', status: 200 })
  t.equal(told.body.toString(), 'hello, world')
  t.equal(told.headers.get('transfer-encoding'), 'chunked')
  caller.leave()
})

t.test('a document of unknown length gives way to the declared consequence while it is held', async (t) => {
  const half = (bytes: number): Script =>
    then('fin', `${CHUNKED}${bytes.toString(16)}\r\n`, Buffer.alloc(bytes, ' '), '\r\n')
  const [small, big, well] = await startAll(t, [
    half(50 * 1024),
    half(MIB),
    answering(plainAnswer(200, '{"outputs":[]}', ['content-type: application/json'])),
  ])
  const config = (name: string, url: string) => `
[models.${name}.on_failure]
error = ["version:v2", "fail"]
[models.${name}.versions.v1]
endpoints = ["${url}"]
[models.${name}.versions.v2]
endpoints = ["${well!.url}"]
[models.${name}.route]
primary = "v1"
`
  const gateway = await startTestGateway(t, { toml: config('small', small!.url) + config('big', big!.url) })
  const replaced = await gateway.infer('small', '{"inputs":[]}')
  t.match(replaced, { status: 200, text: '{"outputs":[]}' })
  t.match(replaced.headers, { 'modelgate-version': 'v2', 'modelgate-degraded': 'version:v2' })
  const body = '{"inputs":[]}'
  const caller = await StreamCaller.ask(
    gateway.port,
    `POST /v2/models/big/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  const told = await caller.told
  t.match(told, { end: 'cut', status: 200 })
  t.equal(told.headers.get('modelgate-version'), 'v1')
  t.match(await streamOf(gateway.dataDir, told.headers.get(ID)), {
    fate: 'broken',
    fault: { code: 'truncated-answer' },
  })
})
