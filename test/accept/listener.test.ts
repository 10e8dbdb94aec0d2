/** The front door over real sockets: what reaches the pipeline, what is refused, what a caller gets. */
import { request as httpRequest } from 'node:http'
import { networkInterfaces } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { type Incoming, Listener } from '../../src/accept/listener.ts'
import { loadUws } from '../../src/accept/load-uws.ts'
import { isFault } from '../../src/domain/fault.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { MemoryBudget } from '../../src/kernel/memory-budget.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { eventually } from '../support/eventually.ts'
import { openEntrance } from '../support/open-entrance.ts'
import { RawClient, rawRequest } from '../support/raw-client.ts'

const loaded = await loadUws(16_384)
if (loaded.kind === 'problem') throw new Error(loaded.message)

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)
const sweep = new Sweep(systemClock)
const seen: Incoming[] = []
let onRequest: (incoming: Incoming) => void = answerEcho
const connections: string[] = []
const listener = new Listener({
  uws: loaded.uws,
  connectionsMax: 8,
  headerBytesMax: 2048,
  chunkedAccepted: false,
  trust: [],
  tls: null,
  sweep,
  memory: new MemoryBudget(Number.POSITIVE_INFINITY),
  onRequest: (incoming) => {
    seen.push(incoming)
    onRequest(incoming)
  },
  onConnection: (what) => connections.push(what),
})
const { port } = await openEntrance(t, loaded.uws, listener.open())
t.teardown(() => listener.close())

function answerEcho({ refusal, body, client, head }: Incoming): void {
  const reply = (status: number, text: string, close = false) =>
    client.reply({ status, headers: ['x-test', 'yes'], body: Buffer.from(text), close })
  if (refusal !== null) {
    reply(400, refusal.code, true)
    return
  }
  body.read(100_000, (bytes) => {
    if (isFault(bytes)) reply(413, bytes.code, !body.isSwallowed)
    else reply(200, `${head.method} ${head.target} ${bytes.length}`)
  })
}

async function closedAfter(line: string, headers: readonly string[], body = '') {
  const client = await RawClient.open(port)
  client.send(Buffer.from(`${line} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`, 'latin1'))
  const answer = await client.answer()
  const closed = await client.closed(20_000)
  client.close()
  return { status: answer.status, body: answer.body.toString(), closed }
}

const request = (line: string, headers: readonly string[] = ['host: x'], body = '') =>
  rawRequest(port, `${line} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`)

t.test('head, target bytes and body arrive as they were sent', async (t) => {
  seen.length = 0
  const answer = await request(
    'POST /a%20b//c?q=%2F&r',
    ['Host: h:1', 'X-Twice: 1', 'X-Twice: 2', 'Content-Length: 3'],
    'abc',
  )
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'POST /a%20b//c?q=%2F&r 3')
  const { head } = seen[0]!
  t.same(head.headers, ['host', 'h:1', 'x-twice', '1', 'x-twice', '2', 'content-length', '3'])
  t.equal(head.clientAddress, '127.0.0.1')
  t.equal(head.contentLength, 3)
})

t.test('a request without a body is read as an empty one', async (t) => {
  t.equal((await request('GET /x')).body.toString(), 'GET /x 0')
  t.equal((await request('POST /x', ['host: x', 'content-length: 0'])).body.toString(), 'POST /x 0')
})

t.test('HEAD gets the headers of the answer and no body', async (t) => {
  const answer = await request('HEAD /x')
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('content-length'), String('HEAD /x 0'.length))
  t.equal(answer.body.length, 0)
})

t.test('a body split anywhere is put together again', async (t) => {
  const chunks = ['POST /x HTTP/1.1\r\nhost: x\r\ncontent-le', 'ngth: 10\r\n\r', '\n01234', '5', '6789']
  const answer = await rawRequest(port, chunks, { pauseMs: 10 })
  t.equal(answer.body.toString(), 'POST /x 10')
})

t.test('a body over the limit is refused before it is sent', async (t) => {
  const answer = await request('POST /x', ['host: x', 'content-length: 100001'])
  t.equal(answer.status, 413)
  t.equal(answer.body.toString(), 'body-too-large')
})

t.test('what two readers could read differently is refused and the connection closed', async (t) => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['two content lengths', 'POST /x', ['host: x', 'content-length: 3', 'content-length: 4']],
    ['two equal content lengths', 'POST /x', ['host: x', 'content-length: 0', 'content-length: 0']],
    ['content length and chunked', 'POST /x', ['host: x', 'content-length: 3', 'transfer-encoding: chunked']],
    ['an empty content length', 'POST /x', ['host: x', 'content-length:']],
    ['an underscore spelling', 'POST /x', ['host: x', 'content_length: 3']],
    ['two hosts', 'GET /x', ['host: x', 'host: y']],
    ['a host that is none', 'GET /x', ['host: x/y']],
    ['two authorizations', 'GET /x', ['host: x', 'authorization: a', 'authorization: b']],
    ['an encoded slash', 'GET /a%2fb', ['host: x']],
    ['dot segments', 'GET /a/../b', ['host: x']],
    ['encoded dot segments', 'GET /a/%2e%2E/b', ['host: x']],
    ['a backslash', 'GET /a\\b', ['host: x']],
    ['a fragment', 'GET /a#b', ['host: x']],
    ['a byte over 0x7e', 'GET /a\u00ff', ['host: x']],
  ]
  for (const [name, line, headers] of cases) {
    const answer = await closedAfter(line, headers)
    t.equal(answer.status, 400, name)
    t.equal(answer.closed, true, `${name}: closed`)
  }
})

t.test('methods are an allow-list, compared exactly', async (t) => {
  for (const method of ['TRACE', 'get', 'G@T', 'PROPFIND']) {
    const answer = await request(`${method} /x`)
    t.equal(answer.body.toString(), 'method-not-allowed', method)
  }
})

t.test('a chunked body is refused with length-required', async (t) => {
  const answer = await closedAfter(
    'POST /x',
    ['host: x', 'transfer-encoding: chunked'],
    '3\r\nabc\r\n0\r\n\r\n',
  )
  t.equal(answer.body, 'length-required')
  t.equal(answer.closed, true)
})

t.test('a caller that leaves is noticed, and a late answer to it does no harm', async (t) => {
  let left = 0
  let late: Incoming | undefined
  onRequest = (incoming) => {
    late = incoming
    incoming.client.onGone(() => {
      left += 1
    })
    incoming.body.read(10, () => {})
  }
  const client = await RawClient.open(port)
  client.send('GET /x HTTP/1.1\r\nhost: x\r\n\r\n')
  await eventually(() => late !== undefined, { until: 'the request is there' })
  client.close()
  await eventually(() => left > 0, { until: 'its leaving is noticed' })
  onRequest = answerEcho
  t.equal(left, 1)
  t.equal(late?.client.gone, true)
  t.equal(late?.client.reply({ status: 200, headers: [], body: new Uint8Array(0), close: false }), false)
  t.equal((await request('GET /after')).status, 200)
})

t.test(
  'a caller has one address, whichever way it comes in',
  { skip: !hasIpv6 && 'no IPv6 here' },
  async (t) => {
    const callers: string[] = []
    const both = new Listener({
      uws: loaded.uws,
      connectionsMax: 8,
      headerBytesMax: 2048,
      chunkedAccepted: false,
      trust: [],
      tls: null,
      sweep,
      memory: new MemoryBudget(Number.POSITIVE_INFINITY),
      onRequest: (incoming) => {
        callers.push(`${incoming.head.clientAddress} ${incoming.head.forwarded.chain}`)
        answerEcho(incoming)
      },
    })
    t.teardown(() => both.close())
    const { port: bothPort } = await openEntrance(t, loaded.uws, both.open(), { host: '::' })
    for (const host of ['127.0.0.1', '::1'])
      await rawRequest(bothPort, 'GET /x HTTP/1.1\r\nhost: x\r\n\r\n', { host })
    t.same(callers, ['127.0.0.1 127.0.0.1', '::1 ::1'])
  },
)

t.test('a taken port is an error that says so', async (t) => {
  const other = new Listener({
    uws: loaded.uws,
    connectionsMax: 1,
    headerBytesMax: 1,
    chunkedAccepted: false,
    trust: [],
    tls: null,
    sweep,
    memory: new MemoryBudget(Number.POSITIVE_INFINITY),
    onRequest: () => {},
  })
  t.teardown(() => other.close())
  const nowhere = { host: '192.0.2.1', port: 1 }
  await t.rejects(openEntrance(t, loaded.uws, other.open(), nowhere), /cannot listen on 192.0.2.1:1/)
})

t.test('a header block over the limit is refused with the limit named', async (t) => {
  const answer = await closedAfter('GET /x', ['host: x', `x-long: ${'a'.repeat(3000)}`])
  t.equal(answer.body, 'header-fields-too-large')
  t.equal(answer.closed, true)
  t.equal((await request('GET /x', ['host: x', `x-long: ${'a'.repeat(1500)}`])).status, 200)
})

t.test('connections over the limit are closed before anything is read, and places come back', async (t) => {
  const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.open(port)))
  const seenClosed = () => clients.filter((client) => client.isClosed)
  await eventually(() => seenClosed().length >= 4, {
    withinMs: 20_000,
    until: 'four of 12 are closed at a limit of 8',
  })
  await pause(100)
  connections.length = 0
  const closed = seenClosed()
  for (const client of clients) client.close()
  const left = () => connections.filter((what) => what === 'closed').length
  await eventually(() => left() >= 12 - closed.length, { withinMs: 20_000, until: 'the others leave' })
  t.equal(left(), 12 - closed.length)
  t.equal((await request('GET /after')).status, 200)
})

t.test(
  'a client that goes on sending a body over the limit reads the refusal, and its connection lives',
  async (t) => {
    for (let round = 0; round < 5; round += 1) {
      const status = await new Promise((resolve, reject) => {
        const sent = httpRequest({ host: '127.0.0.1', port, method: 'POST', agent: false }, (response) => {
          response.resume()
          response.on('end', () => resolve(response.statusCode))
        })
        sent.on('error', reject)
        sent.end(Buffer.alloc(8_000_000))
      })
      t.equal(status, 413)
    }
    const client = await RawClient.open(port)
    t.teardown(() => client.close())
    client.send('POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n')
    client.send(Buffer.alloc(200_000))
    t.equal((await client.answer()).status, 413)
    client.send('GET /y HTTP/1.1\r\nhost: x\r\n\r\n')
    t.equal(
      (await client.answer()).body.toString(),
      'GET /y 0',
      'the next request is read where the body ended',
    )
  },
)

t.test('a header list that the server cuts short hides no second request', async (t) => {
  // The gateway always replies in a later turn; a reply inside the callback would let the server read on.
  onRequest = (incoming) => setImmediate(() => answerEcho(incoming))
  t.teardown(() => {
    onRequest = answerEcho
  })
  const hidden = 'GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n'
  const head = `POST /x HTTP/1.1\r\nhost: x\r\n: z\r\ncontent-length: ${hidden.length}\r\n\r\n`
  for (const chunks of [[head + hidden], [head, hidden]]) {
    seen.length = 0
    const client = await RawClient.open(port)
    for (const chunk of chunks) {
      client.send(chunk)
      await pause(30)
    }
    t.equal(await client.closed(20_000), true)
    client.close()
    const read = seen.filter(({ refusal }) => refusal === null).map(({ head: { path } }) => path)
    t.same(read, [], `${chunks.length} segments: nothing was taken for a request`)
  }
  t.equal((await closedAfter('POST /x', ['host: x'])).body, 'length-required')
})

t.test('a header value of an answer leaves with the bytes it has, and none becomes a line end', async (t) => {
  const text = 'plain \u010a\u010d wide'
  onRequest = ({ client }) =>
    client.reply({
      status: 200,
      headers: ['x-bytes', 'Zo\u00eb\u0080', 'x-text', text],
      body: Buffer.alloc(0),
      close: false,
    })
  const { raw } = await request('GET /')
  onRequest = answerEcho
  t.match(raw.toString('latin1'), /\r\nx-bytes: Zo\u00eb\u0080\r\n/, 'one byte for each character')
  t.match(raw.toString('utf8'), `\r\nx-text: ${text}\r\n`, 'what no byte can hold is UTF-8, not cut')
})

t.test('a header value that is no UTF-8 is refused, not changed', async (t) => {
  t.equal((await closedAfter('GET /x', ['host: x', 'x-name: Jos\u00e9 M'])).status, 400)
})
