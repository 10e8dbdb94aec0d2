/**
 * Requests that two readers could read differently, byte by byte over real sockets: which of them are refused, in which
 * words, and that nothing of them goes on. Two gateways for all tests; what counts on them is counted from where it stood.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { eventually } from '../support/eventually.ts'
import { chunk, GET, H, lines, POST, REFUSED } from '../support/malformed-requests.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn } from '../support/read-records.ts'
import { answering, plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

/** A gateway whose model `m` is for the tests, one after the other, and `slow` for the one that waits beside them. */
async function start(limits: string) {
  const endpoint = await ScriptedUpstream.start(answering(plainAnswer(200, 'fine')))
  const slow = await ScriptedUpstream.start(answering(plainAnswer(200, 'fine')))
  t.teardown(() => Promise.all([endpoint.close(), slow.close()]))
  const model = (name: string, url: string) => `
[models.${name}]
protocol = "raw"
timeouts = { connect = "20s", first_byte = "20s", idle = "20s", total = "20s" }
[models.${name}.versions.v1]
endpoints = ["${url}"]
`
  const toml = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { body = "64KiB", headers = "8KiB"${limits} }
${model('m', endpoint.url)}${model('slow', slow.url)}`
  const received = () => Buffer.concat(endpoint.connections.map((one) => one.received)).toString('latin1')
  return { gateway: await startTestGateway(t, { toml }), slow, received }
}

const plain = await start('')
const chunking = await start(', chunked_requests = "accept"')

t.test('each malformed request is refused, closed and recorded, and none is forwarded', async (t) => {
  const { gateway, received } = plain
  const told = await Promise.all(
    Object.entries(REFUSED).flatMap(([refusal, all]) =>
      all.map(async (bytes) => {
        const client = await RawClient.open(gateway.port)
        client.send(Buffer.from(bytes, 'latin1'))
        const { status, headers } = await client.answer()
        const said = JSON.stringify(bytes.slice(0, 100))
        t.equal(`${status} ${headers.get('modelgate-error')}`, refusal, said)
        t.equal(await client.closed(), true, `${said}: closed`)
        client.close()
        return { id: headers.get('modelgate-request-id'), refusal, said }
      }),
    ),
  )
  const decisions = await decisionsIn(gateway.dataDir)
  const words = new Map(decisions.map(({ id, status, fault }) => [id, `${status} ${fault?.code}`]))
  for (const { id, refusal, said } of told) t.equal(words.get(id ?? ''), refusal, `${said}: recorded`)
  t.equal(decisions.length, told.length, 'one record each')
  t.equal(received(), '')
  t.equal((await gateway.ask('/models/m/x')).status, 200, 'a good request afterwards is served')
})

t.test('what the server refuses by itself ends its connection, is counted, and reaches nobody', async (t) => {
  const { gateway, received } = plain
  const unused = async () => (await metricsOf(gateway)).value('modelgate_connections_unused_total')
  const unusedBefore = await unused()
  const recordsBefore = (await decisionsIn(gateway.dataDir)).length
  const receivedBefore = received()
  const absolute = 'GET http://a/models/m/x HTTP/1.1'
  const refused: readonly (readonly [number, string])[] = [
    ...[
      absolute,
      'OPTIONS * HTTP/1.1',
      'CONNECT a:443 HTTP/1.1',
      'GET /models/m/x HTTP/1.0',
      'GET /models/m/x HTTP/2.0',
    ].map((line) => [505, lines(line, H)] as const),
    ...['x: a', ' b', 'x : y', 'x', 'x(y): z', 'x: a\u0000b', 'host: b'].flatMap((line, at, all) =>
      at === 1 ? [] : [[400, lines(GET, H, ...(at === 0 ? all.slice(0, 2) : [line]))] as const],
    ),
    [431, lines(GET, H, ...Array.from({ length: 120 }, (_, at) => `x${at}: 1`))],
  ]
  for (const [status, bytes] of refused) {
    const client = await RawClient.open(gateway.port)
    client.send(Buffer.from(bytes, 'latin1'))
    const answer = await client.answer()
    t.equal(answer.status, status, JSON.stringify(bytes.slice(0, 80)))
    t.equal(await client.closed(), true)
    client.close()
  }
  const probe = await RawClient.open(gateway.port)
  probe.close()
  // The server's reader of lengths runs after ours: the words of the answer are its own, the record is ours.
  const lengths = ['+2', '2 2', '2, 2', '-2', '0x2']
  for (const length of lengths) {
    const client = await RawClient.open(gateway.port)
    client.send(`${lines(POST, H, `content-length: ${length}`)}ab`)
    t.equal((await client.answer()).status, 400, length)
    t.equal(await client.closed(), true)
    client.close()
  }
  const due = unusedBefore + refused.length + 1
  await eventually(async () => (await unused()) === due, {
    until: 'each is counted as a connection without a request',
  })
  t.equal(received(), receivedBefore)
  t.equal((await gateway.ask('/models/m/x')).status, 200)
  t.equal(await unused(), due, 'a served connection is not')
  const told = (await decisionsIn(gateway.dataDir)).map(({ status, fault }) => `${status} ${fault?.code}`)
  t.same(
    told.slice(recordsBefore),
    [...lengths.map(() => '400 malformed-request'), '200 undefined'],
    'no record is invented',
  )
})

t.test('a header block is measured to the byte, and a body too', async (t) => {
  const { gateway } = plain
  const statusOf = async (bytes: string) => {
    const client = await RawClient.open(gateway.port)
    client.send(bytes)
    const { status } = await client.answer()
    client.close()
    return status
  }
  const block = (bytes: number) => {
    const empty = lines(GET, H, 'x: ').length
    return lines(GET, H, `x: ${'y'.repeat(bytes - empty)}`)
  }
  t.equal(block(8192).length, 8192)
  t.equal(await statusOf(block(8192)), 200)
  t.equal(await statusOf(block(8193)), 431)
  for (const letter of ['\u00e9', '\u20ac', '\u{1f600}']) {
    const fitting = (bytes: number) =>
      lines(GET, H, `x: z${letter.repeat(bytes / Buffer.byteLength(letter))}y`)
    const spare = 8192 - Buffer.byteLength(fitting(0))
    const most = fitting(spare - (spare % 12))
    t.equal(await statusOf(most.replace('y', 'y'.repeat((spare % 12) + 1))), 200, letter)
    t.equal(await statusOf(most.replace('y', 'y'.repeat((spare % 12) + 2))), 431, letter)
  }
  const body = (bytes: number) => `${lines(POST, H, `content-length: ${bytes}`)}${'b'.repeat(bytes)}`
  t.equal(await statusOf(body(65_536)), 200)
  t.equal(await statusOf(body(65_537)), 413)
  const cookies = Array.from({ length: 60 }, (_, at) => `cookie: c${at}=${at}`)
  t.equal(await statusOf(lines(GET, H, ...cookies)), 200, 'many cookies are many cookies')
})

t.test('a target is forwarded byte for byte, an empty query included', async (t) => {
  const { gateway, received } = plain
  const targets = [
    '/a',
    '/a?',
    '/a??',
    '/a?b?c',
    '/a%252fb',
    '/%41;v=1/b~c',
    '/%c3%a9%e2%82%ac%F0%9f%98%80%e0%a4%85',
    '/%25c0%25af/x%3b',
    '/a//b/',
    '/?x=%2F%00&y=a/../b',
    '/...',
  ]
  for (const target of targets) {
    const client = await RawClient.open(gateway.port)
    client.send(lines(`GET /models/m${target} HTTP/1.1`, H))
    t.equal((await client.answer()).status, 200, target)
    client.close()
  }
  // The other tests on this gateway ask for nothing but /x.
  const sent = [...received().matchAll(/^GET (\S*) HTTP\/1\.1\r$/gm)]
    .map(([, target]) => target)
    .filter((target) => target !== '/x')
  t.same(sent.sort(), [...targets].sort())
})

/** The server's patience is 8 s: what waits for its end does so beside the other tests. */
const SLOW_POST = 'POST /models/slow/x HTTP/1.1'
const SENDERS: readonly (readonly [string, string, number])[] = [
  ['nothing after the head', '', 0],
  ['a byte now and then', 'x', 200],
  ['a start and then nothing', 'y'.repeat(60_000), 0],
]

async function sendSlowly([name, bytes, everyMs]: (typeof SENDERS)[number]) {
  const client = await RawClient.open(chunking.gateway.port)
  client.send(lines(SLOW_POST, H, 'content-length: 65000') + bytes)
  const drip = everyMs === 0 ? undefined : setInterval(() => client.send(bytes), everyMs)
  const answer = await client.answer(40_000)
  clearInterval(drip)
  const isClosed = await client.closed()
  client.close()
  return { name, answer, isClosed }
}

/** A body that takes four seconds and more, but not too long: its status, or null of a machine that took too long itself. */
async function sendPatiently(): Promise<number | null> {
  const PIECES = 40
  const startedAt = performance.now()
  const client = await RawClient.open(chunking.gateway.port)
  client.send(lines(SLOW_POST, H, `content-length: ${PIECES}`))
  for (let sent = 0; sent < PIECES; sent += 1) {
    client.send('z')
    if (performance.now() - startedAt < 4_000) await pause(100)
  }
  const { status } = await client.answer()
  client.close()
  return status === 408 && performance.now() - startedAt > 7_500 ? null : status
}

async function neverEndingHead(): Promise<boolean> {
  const client = await RawClient.open(chunking.gateway.port)
  client.send('GET /models/m/x HT')
  const isClosed = await client.closed(40_000)
  client.close()
  return isClosed
}

const slowly = Promise.all([
  Promise.all(SENDERS.map(sendSlowly)),
  Promise.all([0, 1, 2].map(sendPatiently)),
  neverEndingHead(),
])
slowly.catch(() => {})

t.test('chunked bodies are read where a deployment says so, and forwarded with a length', async (t) => {
  const { gateway, received } = chunking
  const chunked = lines(POST, H, 'Transfer-Encoding: Chunked')
  const whole = `${chunked}${chunk('hello ')}${chunk('world')}0\r\n\r\n`
  const cuts = [
    0,
    5,
    chunked.length - 2,
    chunked.length,
    chunked.length + 1,
    chunked.length + 4,
    whole.length - 3,
  ]
  for (const cut of cuts) {
    const client = await RawClient.open(gateway.port)
    client.send(whole.slice(0, cut))
    await pause(5)
    client.send(whole.slice(cut))
    const answer = await client.answer()
    t.equal(answer.status, 200, `cut at ${cut}: ${answer.raw.toString()}`)
    t.equal(await client.closed(), true, 'what follows a chunked body is not taken for a request')
    client.close()
  }
  t.equal(received().match(/^content-length: 11\r$/gm)?.length, cuts.length)
  t.equal(received().match(/hello world/g)?.length, cuts.length)
  t.notMatch(received(), /transfer-encoding/i)

  const many = `${chunked}${chunk('x'.repeat(4096)).repeat(64)}`
  for (const bytes of [`${many}0\r\n\r\n`, many, `${chunked}${chunk('x'.repeat(1_000_000))}0\r\n\r\n`]) {
    const client = await RawClient.open(gateway.port)
    client.send(bytes)
    const answer = await client.answer()
    t.equal(answer.status, 413, 'too large')
    t.equal(await client.closed(), true)
    client.close()
    const decision = await decisionOf(gateway.dataDir, answer.headers.get('modelgate-request-id'))
    t.match(decision, { status: 413, fault: { code: 'body-too-large' } })
  }
  const both = `${lines(POST, H, 'transfer-encoding: gzip, chunked')}0\r\n\r\n`
  const client = await RawClient.open(gateway.port)
  client.send(both)
  t.equal((await client.answer()).status, 400)
  client.close()
})

t.test('a second request behind a chunked one is never answered', async (t) => {
  const { gateway, received } = chunking
  const hidden = lines('GET /models/m/hidden HTTP/1.1', H)
  const head = lines(POST, H, 'transfer-encoding: chunked')
  // Chunk framings that the server takes and a strict reader does not.
  const bodies = [
    '0\r\n\r\n',
    '\r\n\r\n',
    '3\r\nabcXX0\r\n\r\n',
    '3\nabc\n0\n\n',
    '3;a=b\r\nabc\r\n0\r\n\r\n',
  ]
  const sendBoth = async (body: string, gapMs: number) => {
    const client = await RawClient.open(gateway.port)
    client.send(head + body)
    if (gapMs > 0) await pause(gapMs)
    client.send(hidden)
    await client.closed(500)
    client.close()
  }
  await Promise.all(bodies.flatMap((body) => [sendBoth(body, 0), sendBoth(body, 30)]))
  t.notMatch(received(), /hidden/)
  t.same(
    gateway.log.filter((line) => line.startsWith('a bug')),
    [],
  )
})

/** The gateway waits for a sender that rests for half a second at least: whom the machine stopped for longer proves nothing. */
const REST_MS = 450

t.test('whoever goes on sending behind a refused head reads why', async (t) => {
  const { gateway, received } = plain
  const before = received()
  const chunked = `${lines(POST, H, 'transfer-encoding: chunked')}${chunk('x'.repeat(20_000)).repeat(60)}0\r\n\r\n`
  const announced = `${lines('POST /models/m/%00 HTTP/1.1', H, 'content-length: 1200000')}${'x'.repeat(1_200_000)}`
  for (const [status, bytes] of [
    [411, chunked],
    [400, announced],
  ] as const) {
    let told = 0
    for (let round = 0; round < 20 && told < 5; round += 1) {
      const client = await RawClient.open(gateway.port)
      const sentAt = performance.now()
      client.send(bytes)
      const answer = await client.answer()
      if (answer.status === status) told += 1
      else if (performance.now() - sentAt < REST_MS) t.fail(`${answer.status} instead of ${status}`)
      t.equal(await client.closed(), true)
      client.close()
    }
    t.equal(told, 5, `${status} was read`)
  }
  // Whoever waits for a word before the body gets it at once.
  const took: number[] = []
  while (took.length < 8 && Math.min(...took) >= REST_MS) {
    const waits = await RawClient.open(gateway.port)
    const askedAt = performance.now()
    waits.send(lines(POST, H, 'transfer-encoding: chunked', 'expect: 100-continue'))
    t.equal((await waits.answer()).status, 411)
    took.push(performance.now() - askedAt)
    waits.close()
  }
  t.ok(Math.min(...took) < REST_MS, `without a wait for the body: ${took}`)
  t.equal(received(), before)
})

t.test('100 Continue is the server’s word, and who did not get it may never send its body', async (t) => {
  const { gateway } = plain
  const told = async (expect: string, length: number, isEnded: boolean) => {
    const client = await RawClient.open(gateway.port)
    t.teardown(() => client.close())
    client.send(lines(POST, H, `content-length: ${length}`, `expect: ${expect}`))
    await pause(100)
    client.send('x'.repeat(length))
    const { raw, status } = await client.answer()
    const isTold = raw.toString().startsWith('HTTP/1.1 100 Continue\r\n\r\n')
    return `${isTold} ${status} ${await client.closed(isEnded ? 20_000 : 300)}`
  }
  const all = [
    told('100-continue', 3, false),
    told('100-Continue', 3, false),
    told('100-continue', 65_537, false),
    told('100-Continue', 65_537, true),
  ]
  t.same(
    await Promise.all(all),
    ['true 200 false', 'false 200 false', 'true 413 false', 'false 413 true'],
    'what follows the last may be the next request',
  )
})

t.test('a body that comes too slowly is answered 408, closed and recorded', async (t) => {
  const [senders, patient, isHeadEnded] = await slowly
  for (const { name, answer, isClosed } of senders) {
    t.equal(answer.status, 408, name)
    t.equal(answer.headers.get('modelgate-error'), 'request-timeout', name)
    t.equal(isClosed, true, name)
    const decision = await decisionOf(chunking.gateway.dataDir, answer.headers.get('modelgate-request-id'))
    t.match(decision, { status: 408, fault: { code: 'request-timeout' } }, name)
  }
  t.ok(patient.includes(200) && !patient.includes(408), `four seconds are not too slow: ${patient}`)
  const served = patient.filter((status) => status === 200).length
  t.equal(
    chunking.slow.connections.flatMap(({ received }) => received.toString().match(/z{40}/g) ?? []).length,
    served,
  )
  t.notMatch(
    chunking.slow.connections.map(({ received }) => received.toString()).join(''),
    /[xy]$/m,
    'no part of a body was forwarded',
  )
  t.equal(isHeadEnded, true, 'a head that does not end is ended by the server')
})
