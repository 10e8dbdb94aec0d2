import fc from 'fast-check'
import t, { type Test } from 'tap'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { PATIENT } from '../support/patient.ts'
import { RawClient, rawRequest } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionsIn, recordsIn } from '../support/read-records.ts'
import { answering, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway, type TestGateway } from '../support/start-gateway.ts'

/** Answers of any size, slowly: twice, for requests one at a time and for several on one connection. */
const sizes = [await slowUpstream(), await slowUpstream()]
const bodiless = await ScriptedUpstream.start(answering('HTTP/1.1 204 No Content\r\n\r\n'))
t.teardown(() => bodiless.close())
const api = (pipeline: number, url: string) => `
[models.api-${pipeline}]
protocol = "raw"
${PATIENT}
[models.api-${pipeline}.versions.v1]
endpoints = ["${url}"]
pipeline = ${pipeline}
`
const PIPELINES = [1, 8]

const gateway = await startTestGateway(t, {
  files: { 'plus.js': javascriptModel('row[0] + 1') },
  toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { body = "64KiB" }
[models.m]
${PATIENT}
[models.m.versions.v1]
runtime = "javascript"
file = "plus.js"
${PIPELINES.map((pipeline, index) => api(pipeline, sizes[index]!.url)).join('')}
`,
})

const asking = (value: number) => inferBytes('m', [], tensorOf('x', [value]))
const scoreOf = (body: Buffer) =>
  (JSON.parse(body.toString()) as { outputs: { data: number[] }[] }).outputs[0]!.data[0]

const bugsIn = ({ log }: TestGateway) => log.filter((line) => line.startsWith('a bug'))

async function isWell(t: Test): Promise<void> {
  const told = await gateway.infer('m', tensorOf('x', [41]))
  t.equal(told.status, 200, 'a good request afterwards is served')
  t.equal(scoreOf(told.body), 42)
  t.same(bugsIn(gateway), [], 'no bug was reported')
}

// The first of all: its records are counted.
t.test('what the server refuses in its own words leaves a record with its peer all the same', async (t) => {
  const refused = [
    'POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET /v2/models/m HTTP/1.1\r\n\r\n',
    'GET /v2/models/m HTTP/1.0\r\nhost: a\r\n\r\n',
    'GET /v2/models/m HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n',
  ]
  const found = async () =>
    (await recordsIn(gateway.dataDir)).flatMap((one) => (one.type === 'unread' ? [one.note] : []))
  const counted = (notes: Awaited<ReturnType<typeof found>>) =>
    notes.reduce((sum, { connections }) => sum + Number(connections), 0)
  for (const bytes of refused) {
    const answer = await rawRequest(gateway.port, bytes)
    t.match([answer.status, answer.closed], [/^(?:400|505)$/, true], bytes.split('\r\n')[0]!)
  }
  const notes = await eventually(async () => {
    const notes = await found()
    return counted(notes) === refused.length && notes
  })
  for (const note of notes) t.match(note, { lane: 0, address: '127.0.0.1' })
  await isWell(t)
})

t.test(
  'requests in one write are answered in their order or the connection ends, never swapped',
  async (t) => {
    for (const count of [2, 3, 8, 100]) {
      const client = await RawClient.open(gateway.port)
      client.send(Array.from({ length: count }, (_, index) => asking(index * 10)).join(''))
      let answered = 0
      for (; answered < count; answered += 1) {
        const answer = await client.answer()
        if (!answer.complete) {
          t.ok(answer.closed, 'what is not answered is told by the end of the connection')
          break
        }
        t.equal(scoreOf(answer.body), answered * 10 + 1, `answer ${answered} belongs to request ${answered}`)
      }
      client.close()
    }
    const quick = await RawClient.open(gateway.port)
    quick.send('GET /v2 HTTP/1.1\r\nhost: a\r\n\r\nGET /v2/health/live HTTP/1.1\r\nhost: a\r\n\r\n')
    t.match(JSON.parse((await quick.answer()).body.toString()), { name: 'modelgate' })
    t.match(
      JSON.parse((await quick.answer()).body.toString()),
      { live: true },
      'what is answered at once may be pipelined',
    )
    quick.close()
    const decisions = await decisionsIn(gateway.dataDir)
    t.equal(new Set(decisions.map(({ id }) => id)).size, decisions.length)
    await isWell(t)
  },
)

/** Bytes that say which answer they are, so that no part of one can be taken for another's. */
const sized = (index: number) =>
  Buffer.from(`${index};`.repeat(1 + ((index * 7919) % 40_000)).slice(0, (index * 104_729) % 200_000))

/** Answers `/<index>` with that index's body, the earlier of two often later: whoever mixes them up is found out. */
async function slowUpstream(): Promise<{ readonly asked: string[]; readonly url: string }> {
  const asked: string[] = []
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      asked.push(target)
      const index = Number(target.slice(1))
      const body = sized(index)
      await connection.pause(1 + ((index * 31) % 20))
      const framing = index % 2 === 0 ? `content-length: ${body.length}` : 'transfer-encoding: chunked'
      connection.send(`HTTP/1.1 200 OK\r\n${framing}\r\nx-index: ${index}\r\n\r\n`)
      await connection.pause(index % 3)
      if (index % 2 === 0) connection.send(body)
      else
        connection.send(
          Buffer.concat([
            Buffer.from(body.length === 0 ? '' : `${body.length.toString(16)}\r\n`),
            body,
            Buffer.from(body.length === 0 ? '0\r\n\r\n' : '\r\n0\r\n\r\n'),
          ]),
        )
    }
  })
  t.teardown(() => upstream.close())
  return { asked, url: upstream.url }
}

/** Many requests in one write, then many in turn over connections that are kept. */
async function neverMixedUp(t: Test, pipeline: number, asked: readonly string[]): Promise<void> {
  const get = (index: number) => `GET /models/api-${pipeline}/${index} HTTP/1.1\r\nhost: a\r\n\r\n`
  const first = await RawClient.open(gateway.port)
  first.send(Array.from({ length: 100 }, (_, index) => get(index + 2)).join(''))
  let answered = 0
  for (; answered < 100; answered += 1) {
    const answer = await first.answer()
    if (!answer.complete) break
    const isIts = answer.body.equals(sized(answered + 2))
    t.ok(isIts, `answer ${answered} of 100 belongs to request ${answered}`)
  }
  t.ok(answered === 100 || first.isClosed, `${answered} of 100 were answered, then the connection ended`)
  t.ok(asked.length <= answered + 1, `${asked.length} of 100 reached the version: none whose caller was lost`)
  first.close()
  const before = asked.length
  // In turn over connections that are kept, many at once: what the gateway itself may mix up.
  await Promise.all(
    Array.from({ length: 10 }, async (_, lane) => {
      const client = await RawClient.open(gateway.port)
      for (let turn = 0; turn < 10; turn += 1) {
        const index = 200 + lane * 10 + turn
        client.send(get(index))
        const answer = await client.answer()
        const isIts = answer.headers.get('x-index') === String(index) && answer.body.equals(sized(index))
        if (!answer.complete || !isIts)
          t.fail(`pipeline ${pipeline}: ${index} got ${answer.headers.get('x-index')}`)
      }
      client.close()
    }),
  )
  t.ok(asked.length - before >= 100, `pipeline ${pipeline}: a hundred answers over ten connections`)
}

t.test('however slowly and however much a version answers, no answer is another request’s', async (t) => {
  await Promise.all(PIPELINES.map((pipeline, index) => neverMixedUp(t, pipeline, sizes[index]!.asked)))
  t.same(bugsIn(gateway), [])
})

t.test('a request may arrive in any pieces', async (t) => {
  const bytes = asking(5)
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  for (let at = 1; at < bytes.length; at += 1) {
    client.send(bytes.slice(0, at))
    await new Promise((resolve) => setImmediate(resolve))
    client.send(bytes.slice(at))
    const answer = await client.answer()
    if (answer.status !== 200 || scoreOf(answer.body) !== 6) t.fail(`cut at ${at}: ${answer.raw.toString()}`)
  }
  t.pass(`cut in two at each of its ${bytes.length} bytes`)
  const single = await rawRequest(gateway.port, [...bytes], { pauseMs: 0 })
  t.equal(single.status, 200, 'one byte at a time')
  await isWell(t)
})

t.test('a head in pieces needs no body behind it, even where it announces one of no length', async (t) => {
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  const bytes = 'GET /v2/health/live HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n'
  for (let at = 1; at < bytes.length; at += 1) {
    client.send(bytes.slice(0, at))
    await new Promise((resolve) => setImmediate(resolve))
    client.send(bytes.slice(at))
    const { status } = await client.answer()
    if (status !== 200) t.fail(`cut at ${at}: ${status}`)
  }
  t.pass(`cut in two at each of its ${bytes.length} bytes`)
})

t.test('a connection that is to end does so behind an answer without a body, too', async (t) => {
  const gateway = await startTestGateway(t, {
    toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { chunked_requests = "accept" }
[models.api]
protocol = "raw"
${PATIENT}
[models.api.versions.v1]
endpoints = ["${bodiless.url}"]
`,
  })
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['HEAD /models/api HTTP/1.1\r\nhost: a b\r\n\r\n', 400, /\r\ncontent-length: \d+\r\n/i],
    [
      'POST /models/api HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      204,
      /^(?!.*content-length)/is,
    ],
  ]
  for (const [bytes, status, head] of cases) {
    const client = await RawClient.open(gateway.port)
    client.send(bytes)
    const answer = await client.answer()
    t.equal(answer.status, status)
    t.equal(answer.headers.get('connection'), 'close')
    t.match(answer.raw.toString(), head)
    t.ok(answer.raw.toString().endsWith('\r\n\r\n'), 'nothing behind the head')
    t.ok(await client.closed(), `${status}: the gateway ends the connection`)
    client.close()
  }
})

t.test('a body that is too large is refused at once, however much of it is sent', async (t) => {
  const head = (bytes: number) =>
    `POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`
  const announced = await rawRequest(gateway.port, head(10_000_000))
  t.equal(announced.status, 413, 'before a byte of it came')
  t.equal(announced.headers.get('modelgate-error'), 'body-too-large')
  const sender = await RawClient.open(gateway.port)
  sender.send(head(1_000_000))
  sender.send('x'.repeat(1_000_000))
  const sent = await sender.answer()
  t.equal(sent.status, 413, 'a client that goes on sending sees the answer too')
  sender.send(asking(3))
  const next = await sender.answer()
  t.ok(
    next.status === 200 ? scoreOf(next.body) === 4 : next.closed,
    'what follows is the next request or the end',
  )
  sender.close()
  const leavers = async () =>
    (await metricsOf(gateway)).value('modelgate_faults_total', { model: '(unknown)', code: 'client-gone' })
  const before = await leavers()
  const client = await RawClient.open(gateway.port)
  client.send(head(100))
  client.send('too short')
  client.close()
  await eventually(async () => (await leavers()) === before + 1, { until: 'who left is counted' })
  await isWell(t)
})

t.test('slow heads and connections without a word take no place from others', async (t) => {
  const idlers = await Promise.all(Array.from({ length: 50 }, () => RawClient.open(gateway.port)))
  for (const [index, client] of idlers.entries()) client.send(asking(1).slice(0, index))
  const areOpen = async () => (await metricsOf(gateway)).value('modelgate_open_connections') >= idlers.length
  await eventually(areOpen, { until: 'all are connected' })
  const told = await Promise.all(
    Array.from({ length: 20 }, () =>
      gateway.ask('/v2/models/m/infer', { body: tensorOf('x', [1]), headers: JSON_TYPE }),
    ),
  )
  t.ok(told.every(({ status }) => status === 200))
  for (const client of idlers) client.close()
  await eventually(async () => (await metricsOf(gateway)).value('modelgate_open_connections') === 0)
  await isWell(t)
})

t.test('whatever bytes arrive, the gateway lives, and every answer is one', async (t) => {
  const good = asking(1)
  const damaged = fc
    .tuple(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.nat(6))
    .map(([at, bytes, gone]) =>
      Buffer.concat([Buffer.from(good.slice(0, at)), bytes, Buffer.from(good.slice(at + gone))]),
    )
  const anything = fc.oneof(
    { weight: 4, arbitrary: damaged },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 100 }).map((text) => Buffer.from(`${text}\r\n\r\n`)) },
  )
  const isAnswered = async (bytes: Buffer) => {
    const client = await RawClient.open(gateway.port)
    client.send(bytes)
    client.socket.end()
    const answer = await client.answer()
    client.close()
    if (answer.status === 0) return answer.closed
    return answer.status >= 200 && answer.status < 600 && (answer.complete || answer.status === 400)
  }
  await fc.assert(
    // Some at a time, each on a connection of its own: what harms another shows there, too.
    fc.asyncProperty(fc.array(anything, { minLength: 5, maxLength: 5 }), async (several) =>
      (await Promise.all(several.map(isAnswered))).every((isIt) => isIt),
    ),
    { numRuns: 50 },
  )
  await isWell(t)
})
