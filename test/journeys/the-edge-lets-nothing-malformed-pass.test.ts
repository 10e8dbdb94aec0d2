import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn } from '../support/read-records.ts'
import { answering, plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

async function start(t: Test, limits = '') {
  const endpoint = await ScriptedUpstream.start(answering(plainAnswer(200, 'fine')))
  t.teardown(() => endpoint.close())
  const toml = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { body = "64KiB", headers = "8KiB"${limits} }
[models.m]
protocol = "raw"
[models.m.versions.v1]
endpoints = ["${endpoint.url}"]
`
  return { gateway: await startTestGateway(t, { toml }), endpoint }
}

const GET = 'GET /models/m/x HTTP/1.1'
const POST = 'POST /models/m/x HTTP/1.1'
const H = 'host: a'
const lines = (...all: readonly string[]) => `${all.join('\r\n')}\r\n\r\n`
const escaped = (path: string) => lines(`GET /models/m/${path} HTTP/1.1`, H)
const hosted = (host: string) => lines(GET, `host: ${host}`)
const coded = (coding: string) => `${lines(POST, H, `transfer-encoding: ${coding}`)}0\r\n\r\n`
const naming = (names: string) => lines(POST, H, `connection: ${names}`, 'content-length: 0')

/** Bytes by the status they are refused with, each closing its connection and leaving one record. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  '400 malformed-request': [
    ...[
      'a%2fb',
      'a%2Fb',
      'a%5cb',
      'a%00b',
      'a\\b',
      '../b',
      '%2e%2E/b',
      '..',
      './b',
      '..;x/b',
      'a%zz',
      'a%',
      'a%4',
      '..%3b/b',
      '%2E%2e%3Bx/b',
      'a%c0%afb',
      '%C0%AE%c0%ae/b',
      'a%c1%9Cb',
      'a%c0%80',
      'a%e0%80%af',
      'a%F0%80%80%af',
    ].map(escaped),
    ...['a#b', 'a\u007f', 'a\u0080', 'a?b\u00ff'].map(escaped),
    ...[
      'u@a',
      'a:65536',
      'a:99999',
      'a:x',
      'a:',
      'a b',
      'a/b',
      '[::1',
      '[:::]',
      'a%zz',
      '',
      'x'.repeat(300),
    ].map(hosted),
    ...['gzip', 'gzip, chunked', 'xchunked', 'chunked, chunked', 'identity', ''].map(coded),
    `${lines(POST, H, 'transfer-encoding: chunked', 'transfer-encoding: chunked')}0\r\n\r\n`,
    ...[
      'content-length',
      'close, Host',
      'authorization',
      'content-type',
      'X-Forwarded-For',
      'modelgate-pin',
    ].map(naming),
    lines(POST, H, 'content-length: 0', 'content-length: 0'),
    `${lines(POST, H, 'content-length: 3', 'content-length: 2')}abc`,
    lines(POST, H, 'content-length: '),
    lines(POST, H, 'content-length: 1000000000000000'),
    lines(POST, H, 'content-length: 0', 'content_length: 3'),
    lines(POST, H, 'content-length: 0', 'Transfer_Encoding: chunked'),
    lines(GET, H, 'content-type: a/b', 'content_type: c/d'),
    lines(GET, H, 'content-type: a/b', 'content-type: c/d'),
    lines(GET, H, 'authorization: a', 'authorization: b'),
    lines(GET, H, 'x: a\u007fb'),
    lines(GET, H, 'x: caf\u00e9 noir'),
  ],
  '405 method-not-allowed': ['get', 'TRACE', 'QUERY', 'G@T', 'CONNECT', 'PRI', ''].map((method) =>
    lines(`${method} /models/m/x HTTP/1.1`, H),
  ),
  '411 length-required': [coded('chunked'), coded('CHUNKED'), coded('\tchunked '), lines(POST, H)],
  '413 body-too-large': [lines(POST, H, 'content-length: 999999999999999')],
  '417 expectation-failed': [lines(GET, H, 'expect: miracles')],
  '431 header-fields-too-large': [lines(GET, H, `x: ${'y'.repeat(8 * 1024)}`)],
}

t.test('each malformed request is refused, closed and recorded, and none is forwarded', async (t) => {
  const { gateway, endpoint } = await start(t)
  let asked = 0
  for (const [refusal, all] of Object.entries(REFUSED)) {
    const [status, code] = refusal.split(' ')
    for (const bytes of all) {
      asked += 1
      const client = await RawClient.open(gateway.port)
      client.send(Buffer.from(bytes, 'latin1'))
      const answer = await client.answer()
      const said = JSON.stringify(bytes.slice(0, 100))
      t.equal(`${answer.status} ${answer.headers.get('modelgate-error')}`, refusal, said)
      t.equal(await client.closed(), true, `${said}: closed`)
      client.close()
      const decision = await decisionOf(gateway.dataDir, answer.headers.get('modelgate-request-id'))
      t.match(decision, { status: Number(status), fault: { code } }, said)
    }
  }
  t.equal((await decisionsIn(gateway.dataDir)).length, asked, 'one record each')
  t.equal(endpoint.connectionCount, 0)
  t.equal((await gateway.ask('/models/m/x')).status, 200, 'a good request afterwards is served')
})

t.test('what the server refuses by itself ends its connection, is counted, and reaches nobody', async (t) => {
  const { gateway, endpoint } = await start(t)
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
  await eventually(
    async () => (await metricsOf(gateway)).value('modelgate_connections_unused_total') === refused.length + 1,
    { until: 'each is counted as a connection without a request' },
  )
  t.equal((await gateway.ask('/models/m/x')).status, 200)
  const after = await metricsOf(gateway)
  t.equal(after.value('modelgate_connections_unused_total'), refused.length + 1, 'a served connection is not')
  const told = (await decisionsIn(gateway.dataDir)).map(({ status, fault }) => `${status} ${fault?.code}`)
  t.same(told, [...lengths.map(() => '400 malformed-request'), '200 undefined'], 'no record is invented')
  t.equal(endpoint.connectionCount, 1)
})

t.test('a header block is measured to the byte, and a body too', async (t) => {
  const { gateway } = await start(t)
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
  const { gateway, endpoint } = await start(t)
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
  const sent = endpoint.connections.flatMap(({ received }) =>
    [...received.toString('latin1').matchAll(/^GET (\S*) HTTP\/1\.1\r$/gm)].map(([, target]) => target),
  )
  t.same(sent.sort(), [...targets].sort())
})

t.test('a body that comes too slowly is answered 408, closed and recorded', async (t) => {
  const { gateway, endpoint } = await start(t)
  const senders: readonly (readonly [string, string, number])[] = [
    ['nothing after the head', '', 0],
    ['a byte now and then', 'x', 200],
    ['a start and then nothing', 'y'.repeat(60_000), 0],
  ]
  const slow = senders.map(async ([name, bytes, everyMs]) => {
    const client = await RawClient.open(gateway.port)
    client.send(lines(POST, H, 'content-length: 65000') + bytes)
    const drip = everyMs === 0 ? undefined : setInterval(() => client.send(bytes), everyMs)
    const answer = await client.answer(14_000)
    clearInterval(drip)
    t.equal(answer.status, 408, name)
    t.equal(answer.headers.get('modelgate-error'), 'request-timeout', name)
    t.equal(await client.closed(), true, name)
    client.close()
    const decision = await decisionOf(gateway.dataDir, answer.headers.get('modelgate-request-id'))
    t.match(decision, { status: 408, fault: { code: 'request-timeout' } }, name)
  })
  const idle = await RawClient.open(gateway.port)
  idle.send('GET /models/m/x HT')
  const patient = await RawClient.open(gateway.port)
  patient.send(lines(POST, H, 'content-length: 60'))
  for (let sent = 0; sent < 60; sent += 1) {
    patient.send('z')
    await pause(100)
  }
  t.equal((await patient.answer()).status, 200, 'six seconds are not too slow')
  patient.close()
  await Promise.all(slow)
  t.equal(endpoint.connectionCount, 1, 'no part of a body was forwarded')
  t.equal(await idle.closed(14_000), true, 'a head that does not end is ended by the server')
})

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

t.test('chunked bodies are read where a deployment says so, and forwarded with a length', async (t) => {
  const { gateway, endpoint } = await start(t, ', chunked_requests = "accept"')
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
  const received = Buffer.concat(endpoint.connections.map((one) => one.received)).toString()
  t.equal(received.match(/^content-length: 11\r$/gm)?.length, cuts.length)
  t.equal(received.match(/hello world/g)?.length, cuts.length)
  t.notMatch(received, /transfer-encoding/i)

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
  const { gateway, endpoint } = await start(t, ', chunked_requests = "accept"')
  const hidden = lines('GET /models/m/hidden HTTP/1.1', H)
  const head = lines(POST, H, 'transfer-encoding: chunked')
  // Chunk framings that the server takes and a strict reader does not.
  for (const body of [
    '0\r\n\r\n',
    '\r\n\r\n',
    '3\r\nabcXX0\r\n\r\n',
    '3\nabc\n0\n\n',
    '3;a=b\r\nabc\r\n0\r\n\r\n',
  ]) {
    for (const gapMs of [0, 30]) {
      const client = await RawClient.open(gateway.port)
      client.send(head + body)
      if (gapMs > 0) await pause(gapMs)
      client.send(hidden)
      await client.closed(300)
      client.close()
    }
  }
  const received = Buffer.concat(endpoint.connections.map((one) => one.received)).toString()
  t.notMatch(received, /hidden/)
  t.same(gateway.log, [])
})

t.test('whoever goes on sending behind a refused head reads why', async (t) => {
  const { gateway, endpoint } = await start(t)
  const chunked = `${lines(POST, H, 'transfer-encoding: chunked')}${chunk('x'.repeat(20_000)).repeat(60)}0\r\n\r\n`
  const announced = `${lines('POST /models/m/%00 HTTP/1.1', H, 'content-length: 1200000')}${'x'.repeat(1_200_000)}`
  for (const [status, bytes] of [
    [411, chunked],
    [400, announced],
  ] as const) {
    for (let round = 0; round < 10; round += 1) {
      const client = await RawClient.open(gateway.port)
      client.send(bytes)
      t.equal((await client.answer()).status, status)
      t.equal(await client.closed(), true)
      client.close()
    }
  }
  // Whoever waits for a word before the body gets it at once.
  const waits = await RawClient.open(gateway.port)
  const askedAt = performance.now()
  waits.send(lines(POST, H, 'transfer-encoding: chunked', 'expect: 100-continue'))
  t.equal((await waits.answer()).status, 411)
  t.ok(performance.now() - askedAt < 400, 'without a wait for the body')
  waits.close()
  t.equal(endpoint.connections.length, 0)
})

t.test('100 Continue is the server’s word, and who did not get it may never send its body', async (t) => {
  const { gateway } = await start(t)
  const told = async (expect: string, length: number) => {
    const client = await RawClient.open(gateway.port)
    t.teardown(() => client.close())
    client.send(lines(POST, H, `content-length: ${length}`, `expect: ${expect}`))
    await pause(100)
    client.send('x'.repeat(length))
    const { raw, status } = await client.answer()
    const isTold = raw.toString().startsWith('HTTP/1.1 100 Continue\r\n\r\n')
    return `${isTold} ${status} ${await client.closed(300)}`
  }
  t.equal(await told('100-continue', 3), 'true 200 false')
  t.equal(await told('100-Continue', 3), 'false 200 false')
  t.equal(await told('100-continue', 65_537), 'true 413 false')
  t.equal(await told('100-Continue', 65_537), 'false 413 true', 'what follows may be the next request')
})
