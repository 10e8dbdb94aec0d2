/** The forwarder over real sockets: what an endpoint may do, and what comes of it. */
import { createHook } from 'node:async_hooks'
import { Buffer } from 'node:buffer'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { HeldAnswer } from '../../src/passage/held-answer.ts'
import { endpointAt } from '../support/endpoint-at.ts'
import { answering, plainAnswer, type Script } from '../support/scripted-upstream.ts'
import { Carrier, POST, stage, TIMEOUTS, textOf, until, versionOf } from './carry.ts'

/** One script: answers the first request with these bytes, then ends the connection if asked to. */
function once(bytes: string | Uint8Array, then: 'keep' | 'finish' | 'reset' = 'keep'): Script {
  return async (connection) => {
    await connection.request()
    connection.send(bytes)
    if (then === 'finish') connection.finish()
    // A reset overtakes bytes not yet read by the other side.
    if (then === 'reset') await connection.pause(20)
    if (then === 'reset') connection.reset()
  }
}

const OK = plainAnswer(200, 'ok')

t.test('a request arrives exactly as written and its whole answer comes back', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(plainAnswer(201, 'made', ['X-A: b']))])
  const result = await carry.send(version).result
  const head = [
    'POST /v2/models/fraud/infer HTTP/1.1',
    `host: 127.0.0.1:${upstream.port}`,
    'content-type: application/json',
    'content-length: 13',
  ]
  t.equal(upstream.connections[0]!.received.toString(), `${head.join('\r\n')}\r\n\r\n{"inputs":[]}`)
  t.equal(result.fault, null)
  t.equal(result.answer?.status, 201)
  t.strictSame(result.answer?.headers, ['x-a', 'b'])
  t.equal(textOf(result), 'made')
  t.equal(result.endpoint, upstream.url)
  const { queueMs, connectMs, firstByteMs, totalMs } = result.phases
  t.equal(queueMs, 0)
  t.ok(connectMs > 0 && firstByteMs >= connectMs && totalMs >= firstByteMs, JSON.stringify(result.phases))
})

t.test('a 5xx is an answer', async (t) => {
  const { carry, version } = await stage(t, [answering(plainAnswer(503, 'busy', ['retry-after: 2']))])
  const result = await carry.send(version).result
  t.equal(result.fault, null)
  t.equal(result.answer?.status, 503)
  t.strictSame(result.answer?.headers, ['retry-after', '2'])
})

t.test('every framing, in one piece and byte by byte', async (t) => {
  const chunked =
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\nx: y\r\n\r\n'
  const table: readonly (readonly [string, string, string, 'keep' | 'finish'])[] = [
    ['content length', plainAnswer(200, 'hello!'), 'hello!', 'keep'],
    ['chunked', chunked, 'hello!', 'keep'],
    ['until close', 'HTTP/1.1 200 OK\r\n\r\nhello!', 'hello!', 'finish'],
    ['http 1.0', 'HTTP/1.0 200 OK\r\n\r\nhello!', 'hello!', 'finish'],
    ['interim answers', `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n${OK}`, 'ok', 'keep'],
    ['no content', 'HTTP/1.1 204 No Content\r\n\r\n', '', 'keep'],
  ]
  for (const [name, bytes, body, end] of table) {
    const drip: Script = async (connection) => {
      await connection.request()
      await connection.drip(bytes, 0)
      if (end === 'finish') connection.finish()
    }
    const { carry, version } = await stage(t, [once(bytes, end), drip])
    t.equal(textOf(await carry.send(version).result), body, name)
    carry.close()
    const slowly = new Carrier()
    t.equal(textOf(await slowly.send(version).result), body, `${name}, byte by byte`)
    slowly.close()
  }
})

t.test('an answer to HEAD has no body, whatever it announces', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n'
  const { upstream, carry, version } = await stage(t, [answering(head)])
  for (let count = 0; count < 2; count += 1) {
    const result = await carry.send(version, { method: 'HEAD', body: new Uint8Array(0) }).result
    t.equal(result.answer?.body.length, 0)
  }
  t.equal(upstream.connectionCount, 2, 'and what was announced may follow late, so nothing else asks there')
})

t.test('connections are used again, the last one first', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(OK)])
  const first = await Promise.all([carry.send(version).result, carry.send(version).result])
  t.strictSame(
    first.map(({ reused }) => reused),
    [false, false],
  )
  for (let count = 0; count < 5; count += 1) {
    const result = await carry.send(version).result
    t.equal(result.reused, true)
    t.equal(result.phases.connectMs, 0)
  }
  t.equal(upstream.connectionCount, 2)
  t.strictSame(carry.forwarder.counts(), { open: 2, idle: 2, waiting: 0 })
})

t.test('a connection is not used again after', async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ['Connection: close', plainAnswer(200, 'ok', ['connection: close'])],
    ['an HTTP/1.0 answer', OK.replace('1.1', '1.0')],
    ['Keep-Alive: timeout=1, too short to be safe', plainAnswer(200, 'ok', ['keep-alive: timeout=1'])],
    ['bytes after the answer', `${OK}!`],
    ['a second answer', `${OK}${plainAnswer(200, 'stolen')}`],
  ]
  for (const [name, bytes] of table) {
    const { upstream, carry, version } = await stage(t, [answering(bytes)])
    t.equal(textOf(await carry.send(version).result), 'ok', `${name}: delivered`)
    t.equal(carry.forwarder.counts().open, 0, `${name}: closed`)
    t.equal(textOf(await carry.send(version).result), 'ok', `${name}: next one`)
    t.equal(upstream.connectionCount, 2, name)
  }
})

t.test('a byte or FIN on an idle connection ends it, and nobody sees that answer', async (t) => {
  for (const act of ['bytes', 'finish', 'reset'] as const) {
    const first: Script = async (connection) => {
      await connection.request()
      connection.send(OK)
      await connection.pause(30)
      if (act === 'bytes') connection.send(plainAnswer(200, 'stolen'))
      else connection[act]()
    }
    const { upstream, carry, version } = await stage(t, [first, answering(OK)])
    await carry.send(version).result
    t.equal(carry.forwarder.counts().idle, 1)
    await until(() => carry.forwarder.counts().open === 0, `${act}: gone`)
    const second = await carry.send(version).result
    t.equal(textOf(second), 'ok', act)
    t.equal(second.reused, false)
    t.equal(upstream.connectionCount, 2)
  }
})

t.test(
  'a reused connection that turns out dead is replaced once, if the request may be repeated',
  async (t) => {
    const dying: Script = async (connection) => {
      await connection.request()
      connection.send(OK)
      await connection.request()
      connection.finish()
    }
    const { upstream, carry, version } = await stage(t, [dying, answering(OK)])
    await carry.send(version).result
    const result = await carry.send(version).result
    t.equal(textOf(result), 'ok')
    t.equal(result.reused, false)
    t.ok(result.phases.connectMs > 0)
    t.equal(upstream.connectionCount, 2)

    const other = await stage(t, [dying, answering(OK)])
    await other.carry.send(other.version).result
    const unrepeatable = await other.carry.send(other.version, { repeatable: false }).result
    t.equal(unrepeatable.fault?.code, 'closed-before-answer')
    t.equal(other.upstream.connectionCount, 1, 'a request that may do harm twice is not sent twice')
  },
)

t.test('the second connection is the last, and one byte of an answer rules out a repeat', async (t) => {
  const shuts: Script = async (connection) => {
    await connection.request()
    connection.finish()
  }
  const second =
    (bytes: string): Script =>
    async (connection) => {
      await connection.request()
      connection.send(OK)
      await connection.request()
      connection.send(bytes)
      await connection.pause(20)
      connection.finish()
    }
  const twice = await stage(t, [second(''), shuts])
  await twice.carry.send(twice.version).result
  t.equal((await twice.carry.send(twice.version).result).fault?.code, 'closed-before-answer')
  t.equal(twice.upstream.connectionCount, 2)
  for (const [bytes, code] of [
    ['H', 'truncated-answer'],
    ['HTTP/1.1 100 Continue\r\n\r\n', 'closed-before-answer'],
  ] as const) {
    const { upstream, carry, version } = await stage(t, [second(bytes), shuts])
    await carry.send(version).result
    t.equal((await carry.send(version).result).fault?.code, code)
    t.equal(upstream.connectionCount, 1, 'not repeated')
  }
})

t.test('a fresh connection that closes is not tried again', async (t) => {
  for (const act of ['finish', 'reset'] as const) {
    const { upstream, carry, version } = await stage(t, [once('', act)])
    const { fault } = await carry.send(version).result
    t.equal(fault?.code, 'closed-before-answer', act)
    t.equal(fault?.message, "version 'v2' of model 'fraud' closed the connection before answering")
    t.match(fault?.detail, `http://127.0.0.1:${upstream.port}: `)
    t.equal(upstream.connectionCount, 1)
  }
})

t.test('an answer cut short is never taken for a whole one', async (t) => {
  const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
  const table: readonly (readonly [string, string, 'finish' | 'reset'])[] = [
    ['head', 'HTTP/1.1 200 O', 'finish'],
    ['length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell', 'finish'],
    ['length, by reset', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell', 'reset'],
    ['chunk', `${chunked}5\r\nhel`, 'finish'],
    ['before the last chunk', `${chunked}5\r\nhello\r\n`, 'finish'],
    ['before the end of the trailers', `${chunked}5\r\nhello\r\n0\r\n`, 'finish'],
    ['until close, by reset', 'HTTP/1.1 200 OK\r\n\r\nhello', 'reset'],
  ]
  for (const [name, bytes, act] of table) {
    const { carry, version } = await stage(t, [once(bytes, act)])
    const { answer, fault } = await carry.send(version).result
    t.equal(answer, null, name)
    t.equal(fault?.code, 'truncated-answer', name)
  }
})

t.test('an answer that breaks HTTP ends its connection, with the rule it broke', async (t) => {
  const bytes = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'
  const { carry, version } = await stage(t, [answering(bytes)])
  const { fault } = await carry.send(version).result
  t.equal(fault?.code, 'malformed-answer')
  const rule = 'sent an answer that breaks HTTP/1.1: both Transfer-Encoding and Content-Length'
  t.equal(fault?.message, `version 'v2' of model 'fraud' ${rule}`)
  t.equal(carry.forwarder.counts().open, 0)
})

t.test('answers are held up to the limit and not a byte further', async (t) => {
  const limit = { answerBytesMax: 1_000 }
  const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`
  const chunked = (bytes: number) =>
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunk(500)}${chunk(bytes - 500)}0\r\n\r\n`
  const close = (bytes: number) => `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(bytes)}`
  const sized = (bytes: number) => plainAnswer(200, 'x'.repeat(bytes))
  for (const make of [chunked, close, sized]) {
    const { carry, version } = await stage(
      t,
      [once(make(1_000), 'finish'), once(make(1_001), 'finish')],
      'real',
      limit,
    )
    t.equal((await carry.send(version).result).answer?.body.length, 1_000, make.name)
    const { fault } = await carry.send(version).result
    t.equal(fault?.code, 'answer-too-large', make.name)
    t.equal(fault?.message, "version 'v2' of model 'fraud' sent an answer larger than 1000 bytes")
  }
  const announced = 'HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n'
  const { carry, version } = await stage(t, [answering(announced)], 'real', limit)
  t.equal((await carry.send(version).result).fault?.code, 'answer-too-large', 'without waiting for it')
})

t.test('large bodies go both ways unharmed, several at a time', async (t) => {
  const echo: Script = async (connection) => {
    for (;;) {
      const { body } = await connection.request()
      connection.send(
        Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`), body]),
      )
    }
  }
  const { carry, version } = await stage(t, [echo])
  const sizes = [0, 1, 16_383, 16_384, 16_385, 300_000, 3_000_000]
  const sent = sizes.map((size) => Buffer.alloc(size, `body of ${size} `))
  const results = await Promise.all(sent.map((body) => carry.send(version, { body }).result))
  for (const [index, { answer }] of results.entries()) {
    t.ok(sent[index]!.equals(answer!.body), `${sizes[index]} bytes`)
  }
})

t.test('an answer may come before the request was taken, and is the answer', async (t) => {
  const early: Script = async (connection) => {
    await connection.bytes(1)
    connection.stopReading()
    connection.send(plainAnswer(413, 'too much'))
  }
  const { upstream, carry, version } = await stage(t, [early, answering(OK)])
  const body = Buffer.alloc(24 * 1024 * 1024)
  const result = await carry.send(version, { body }).result
  t.equal(result.answer?.status, 413)
  t.equal(carry.forwarder.counts().open, 0, 'what is left of the request ends with the connection')
  t.equal(textOf(await carry.send(version).result), 'ok')
  t.equal(upstream.connectionCount, 2)
})

t.test('endpoints take turns, version by version', async (t) => {
  const one = await stage(t, [answering(plainAnswer(200, 'one'))])
  const two = await stage(t, [answering(plainAnswer(200, 'two'))])
  const version = versionOf(one.upstream.endpoint, two.upstream.endpoint)
  const other = { ...version, index: 3, name: 'v3' }
  const order: string[] = []
  for (let count = 0; count < 4; count += 1) {
    order.push(textOf(await one.carry.send(version).result), textOf(await one.carry.send(other).result))
  }
  t.strictSame(order, ['one', 'one', 'two', 'two', 'one', 'one', 'two', 'two'])
})

t.test('an endpoint to be avoided is chosen only when there is no other', async (t) => {
  const first = await stage(t, [answering(plainAnswer(200, 'first'))])
  const second = await stage(t, [answering(plainAnswer(200, 'second'))])
  const version = versionOf(first.upstream.endpoint, second.upstream.endpoint)
  const avoid = [first.upstream.url]
  for (let count = 0; count < 4; count += 1) {
    t.equal(textOf(await first.carry.send(version, {}, { avoid }).result), 'second')
  }
  const all = [first.upstream.url, second.upstream.url]
  const { answer } = await first.carry.send(version, {}, { avoid: all }).result
  t.equal(answer?.status, 200, 'one that was tried is better than none')
})

t.test('an endpoint that is not there is named by version, not by address', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const carry = new Carrier()
  t.teardown(() => carry.close())
  const refused = endpointAt('127.0.0.1', port)
  const { fault, phases } = await carry.send(versionOf(refused)).result
  t.equal(fault?.code, 'connect-refused')
  t.equal(fault?.message, "version 'v2' of model 'fraud' refused the connection")
  t.equal(fault?.detail, `http://127.0.0.1:${port}: ECONNREFUSED connect ECONNREFUSED 127.0.0.1:${port}`)
  t.equal(phases.connectMs, -1)
  t.equal(carry.forwarder.counts().open, 0)
})

t.test('a request that cannot be written is refused without a connection', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(OK)])
  const { fault } = await carry.send(version, { headers: ['x', 'a\r\nhost: b'] }).result
  t.equal(fault?.code, 'malformed-request')
  t.equal(fault?.message, "the request cannot be passed on: header 'x' holds CR, LF or NUL")
  t.equal(upstream.connectionCount, 0)
})

t.test('a request on a kept connection makes no promise and no timer', async (t) => {
  const server = createServer((socket) => socket.on('data', () => socket.write(OK))).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const version = versionOf(endpointAt('127.0.0.1', port))
  const carry = new Carrier()
  t.teardown(() => {
    carry.close()
    server.close()
  })
  await carry.send(version).result
  const made = new Map<string, number>()
  const hook = createHook({ init: (_id, type) => made.set(type, (made.get(type) ?? 0) + 1) })
  const limits = { timeouts: TIMEOUTS, deadlineAt: Number.POSITIVE_INFINITY }
  await new Promise<void>((resolve) => {
    let left = 100
    const held = () => new HeldAnswer(next)
    const next = () => {
      left -= 1
      if (left > 0) carry.forwarder.send(version, POST, limits, held())
      else resolve()
    }
    hook.enable()
    carry.forwarder.send(version, POST, limits, held())
  })
  hook.disable()
  t.ok((made.get('PROMISE') ?? 0) < 5, `promises over 100 requests: ${made.get('PROMISE') ?? 0}`)
  t.ok((made.get('Timeout') ?? 0) < 5, `timers over 100 requests: ${made.get('Timeout') ?? 0}`)
  t.strictSame(carry.forwarder.counts(), { open: 1, idle: 1, waiting: 0 })
})

t.test('a body is shared by copies of a request and never changed', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(OK)])
  const before = Buffer.from(POST.body)
  await Promise.all([carry.send(version).result, carry.send(version).result])
  t.strictSame(Buffer.from(POST.body), before)
  for (const { received } of upstream.connections) t.ok(received.toString().endsWith('{"inputs":[]}'))
})

t.test('closing ends what is under way and everything that is open', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(OK), async () => {}])
  await carry.send(version).result
  const both = [carry.send(version), carry.send(version)]
  t.equal(textOf(await both[0]!.result), 'ok', 'on the idle one')
  const busy = both[1]!
  await until(() => upstream.connectionCount === 2, 'the second connection')
  const connecting = [carry.send(version), carry.send(version)][1]!
  carry.close()
  for (const { result } of [busy, connecting]) t.equal((await result).fault?.code, 'draining')
  t.equal((await carry.send(version).result).fault?.code, 'draining', 'and for those that come later')
  await until(() => upstream.openCount === 0, 'no open connection')
})
