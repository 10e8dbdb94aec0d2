import { request } from 'node:http'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.ts'
import { PATIENCE, PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, streamOf } from '../support/read-records.ts'
import { answering, plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'
import { BREAKS, type Break, CHUNKED, MIB, then } from '../support/ways-to-break-off.ts'

const ID = 'modelgate-request-id'
const modelOf = (name: string, { url }: ScriptedUpstream, timers = PATIENCE) => `
[models.${name}]
protocol = "raw"
timeouts = { ${timers} }
breaker = { consecutive = 1000, min_requests = 1000 }
[models.${name}.versions.v1]
endpoints = ["${url}"]
`

/** As Node's own client sees it: 'complete', or how it ended. */
function byNode(
  port: number,
  path: string,
  came: (bytes: number) => void,
): Promise<{ status: number; end: string; bytes: number }> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let bytes = 0
      const status = response.statusCode ?? 0
      response.on('data', (piece: Buffer) => {
        bytes += piece.length
        came(bytes)
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

/** What two callers are told, one by the letter and one by Node’s client. */
async function askedTwice(model: string, { gate, bytesMax = Infinity }: Break) {
  const caller = await StreamCaller.ask(gateway.port, rawGet(model))
  let bytesByNode = 0
  const told = Promise.all([
    caller.told,
    byNode(gateway.port, `/models/${model}/`, (bytes) => {
      bytesByNode = bytes
    }),
  ])
  if (gate !== undefined) {
    await eventually(() => caller.bodyBytes >= bytesMax && bytesByNode >= bytesMax)
    gate.open()
  }
  return told.finally(() => caller.leave())
}

/** How often it was asked. */
async function breaks(t: Test, index: number): Promise<number> {
  const broken = BREAKS[index]!
  const { name, code, seen, bytesMax = Infinity } = broken
  const model = `m${index}`
  let [told, node] = await askedTwice(model, broken)
  let asked = 2
  // A stall may take all the time there is before an answer has begun.
  for (; code === 'total-timeout' && asked < 20 && (told.status !== 200 || node.status !== 200); asked += 2) {
    ;[told, node] = await askedTwice(model, broken)
  }
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
  return asked
}

async function startAll(...scripts: readonly Script[]): Promise<ScriptedUpstream[]> {
  const all = await Promise.all(scripts.map((script) => ScriptedUpstream.start(script)))
  t.teardown(() => Promise.all(all.map((one) => one.close())))
  return all
}

const breaking = await startAll(...BREAKS.map(({ script }) => script))

let count = 0
const [double, unasked, late] = await startAll(
  answering(plainAnswer(200, 'mine') + plainAnswer(200, 'nobody’s')),
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
)

/** Answers when it has the head of a request, and takes no more of it. */
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

/** A document of unknown length that breaks off behind so many bytes. */
const half = (bytes: number): Script =>
  then('fin', `${CHUNKED}${bytes.toString(16)}\r\n`, Buffer.alloc(bytes, ' '), '\r\n')
const [hasty, closing, small, big, well] = await startAll(
  early,
  then('fin', 'HTTP/1.1 200 OK\r\n\r\n', 'hello, ', 'world'),
  half(50 * 1024),
  half(MIB),
  answering(plainAnswer(200, '{"outputs":[]}', ['content-type: application/json'])),
)
const replaceable = (name: string, { url }: ScriptedUpstream) => `
[models.${name}]
${PATIENT}
[models.${name}.on_failure]
error = ["version:v2", "fail"]
[models.${name}.versions.v1]
endpoints = ["${url}"]
[models.${name}.versions.v2]
endpoints = ["${well!.url}"]
[models.${name}.route]
primary = "v1"
`

const gateway = await startTestGateway(t, {
  toml: [
    ...breaking.map((upstream, index) => modelOf(`m${index}`, upstream, BREAKS[index]!.timers)),
    modelOf('double', double!),
    modelOf('unasked', unasked!),
    modelOf('late', late!),
    modelOf('hasty', hasty!),
    modelOf('closing', closing!),
    replaceable('small', small!),
    replaceable('big', big!),
  ].join(''),
})

t.test(
  'an endpoint that breaks off leaves another answer, or a message that cannot be mistaken',
  async (t) => {
    const asked = await Promise.all(BREAKS.map((_, index) => breaks(t, index)))
    const metrics = await eventually(async () => {
      const page = await metricsOf(gateway)
      return page.sum('modelgate_requests_running') === 0 && page
    })
    for (const [index, { name, code }] of BREAKS.entries()) {
      const model = `m${index}`
      const attempts = { model, version: 'v1', role: 'primary', verdict: 'failure' }
      const faults = metrics.value('modelgate_faults_total', { model, code })
      t.equal(faults, asked[index], `${name}: each is counted once`)
      t.equal(
        metrics.value('modelgate_attempts_total', attempts),
        asked[index],
        `${name}: and held against it`,
      )
    }
    await eventually(() => breaking.every(({ openCount }) => openCount === 0), {
      until: 'no broken connection is kept',
    })
  },
)

t.test('what an endpoint says too much reaches nobody', async (t) => {
  for (let round = 1; round <= 3; round += 1) {
    const asked = ['double', 'unasked', 'late'].map((name) => gateway.ask(`/models/${name}/`))
    const [first, second, third] = await Promise.all(asked)
    t.equal(first!.text, 'mine', 'of two answers the first')
    t.equal(second!.text, `answer ${round}`)
    t.equal(third!.text, 'in time')
    for (const upstream of [double!, unasked!, late!]) {
      await eventually(() => upstream.openCount === 0, { until: 'such a connection is not kept' })
      t.equal(upstream.connectionCount, round, 'but used once')
    }
  }
})

t.test(
  'an answer that comes before the whole request is passed on, and its connection is not used again',
  async (t) => {
    const body = Buffer.alloc(12 * MIB)
    const refused = await gateway.ask('/models/hasty/', { method: 'PUT', body })
    t.match(refused, { status: 413, text: 'too much of it' })
    const streamed = await gateway.ask('/models/hasty/stream', { method: 'PUT', body })
    t.match(streamed, { status: 200, text: 'helloagain' })
    t.match(await streamOf(gateway.dataDir, streamed.headers[ID]), { fate: 'complete', fault: null })
    t.equal(hasty!.connectionCount, 2)
    for (const connection of hasty!.connections) connection.resumeReading()
    await eventually(() => hasty!.openCount === 0, {
      until: 'what is left of a request ends with its connection',
    })
  },
)

t.test('an answer until close is complete when its endpoint closes in order', async (t) => {
  const caller = await StreamCaller.ask(gateway.port, rawGet('closing'))
  const told = await caller.told
  t.match(told, { end: 'complete', status: 200 })
  t.equal(told.body.toString(), 'hello, world')
  t.equal(told.headers.get('transfer-encoding'), 'chunked')
  caller.leave()
})

t.test('a document of unknown length gives way to the declared consequence while it is held', async (t) => {
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
