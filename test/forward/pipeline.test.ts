/** Several requests on one connection: in order, in one write, and what becomes of those behind when one breaks. */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { RemoteVersion } from '../../src/domain/routes.ts'
import { endpointAt } from '../support/endpoint-at.ts'
import { answering, plainAnswer, type Script } from '../support/scripted-upstream.ts'
import { type Carrier, stage, textOf, until, versionOf } from './carry.ts'

/** Answers each request with its own target, after `pauseMs`. */
const echo =
  (pauseMs = 0): Script =>
  async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      if (pauseMs > 0) await connection.pause(pauseMs)
      connection.send(plainAnswer(200, target))
    }
  }

async function pipelined(
  t: Test,
  scripts: readonly Script[],
  ...more: ConstructorParameters<typeof Carrier>
) {
  const { upstream, carry } = await stage(t, scripts, ...more)
  const version = versionOf(endpointAt('127.0.0.1', upstream.port, { pipeline: 8 }))
  const send = (target: string, request = {}, limits = {}) =>
    carry.send(version, { target, ...request }, limits)
  return { upstream, carry, version, send }
}

/** A connection that stands, so that what follows is not about connecting. */
async function warm(carry: Carrier, version: RemoteVersion) {
  await carry.send(version, { target: '/warm' }).result
}

const targets = (count: number) => Array.from({ length: count }, (_, index) => `/${index}`)

t.test('the requests of one turn share a connection and leave in one write', async (t) => {
  const chunks: number[] = []
  const { upstream, carry, version, send } = await pipelined(t, [
    (connection) => {
      connection.socket.on('data', (bytes: Buffer) => chunks.push(bytes.length))
      return echo()(connection)
    },
  ])
  await warm(carry, version)
  chunks.length = 0
  const results = await Promise.all(targets(8).map((target) => send(target).result))
  t.strictSame(results.map(textOf), targets(8), 'each has the answer to its own request')
  t.equal(chunks.length, 1, 'one write')
  t.equal(upstream.connectionCount, 1)
  t.strictSame(carry.forwarder.counts(), { open: 1, idle: 1, waiting: 0 })
})

t.test('no connection carries more than it may, and the pool its limit', async (t) => {
  let most = 0
  const { upstream, send } = await pipelined(
    t,
    [
      async (connection) => {
        for (let answered = 0; ; answered += 1) {
          const { target } = await connection.request()
          await connection.pause(5)
          const received = connection.received.toString('latin1').split(' HTTP/1.1\r\n').length - 1
          most = Math.max(most, received - answered)
          connection.send(plainAnswer(200, target))
        }
      },
    ],
    'real',
    { poolLimits: { connectionsMax: 3 } },
  )
  const results = await Promise.all(targets(60).map((target) => send(target, {}, { queueMs: 3_000 }).result))
  t.strictSame(results.map(textOf), targets(60))
  t.equal(upstream.connectionCount, 3)
  t.ok(most > 1 && most <= 8, `${most} at once`)
})

t.test('what may not be sent twice is carried alone', async (t) => {
  const { upstream, send } = await pipelined(t, [echo(10)])
  const results = await Promise.all(targets(4).map((target) => send(target, { repeatable: false }).result))
  t.strictSame(results.map(textOf), targets(4))
  t.equal(upstream.connectionCount, 4)
  for (const connection of upstream.connections) {
    t.equal(connection.received.toString().split('POST').length - 1, 1)
  }
})

t.test('answers cut anywhere reach those they are for', async (t) => {
  const { send } = await pipelined(t, [
    async (connection) => {
      const answers: string[] = []
      for (const target of targets(5)) {
        await connection.request()
        answers.push(plainAnswer(200, target))
      }
      await connection.drip(answers.join(''), 1, 7)
    },
  ])
  const results = await Promise.all(targets(5).map((target) => send(target).result))
  t.strictSame(results.map(textOf), targets(5))
})

t.test('a connection that dies takes the first along, and the others are sent once more', async (t) => {
  const { upstream, carry, version, send } = await pipelined(t, [
    async (connection) => {
      await connection.request()
      connection.send(plainAnswer(200, 'warm'))
      for (let count = 0; count < 5; count += 1) await connection.request()
      connection.send('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
      await connection.pause(5)
      connection.reset()
    },
    echo(),
  ])
  await warm(carry, version)
  const [first, ...others] = await Promise.all(targets(5).map((target) => send(target).result))
  t.equal(first!.fault?.code, 'truncated-answer')
  t.strictSame(others.map(textOf), targets(5).slice(1))
  t.ok(upstream.connectionCount >= 2)
})

t.test('others are sent once more, and not twice', async (t) => {
  const { upstream, carry, version, send } = await pipelined(t, [
    async (connection) => {
      await connection.request()
      connection.send(plainAnswer(200, 'warm'))
      for (let count = 0; count < 3; count += 1) await connection.request()
      connection.reset()
    },
    async (connection) => {
      await connection.request()
      connection.reset()
    },
  ])
  await warm(carry, version)
  const results = await Promise.all(targets(3).map((target) => send(target).result))
  t.strictSame(
    results.map(({ fault }) => fault?.code),
    Array(3).fill('closed-before-answer'),
  )
  t.equal(
    upstream.connections.reduce(
      (sum, { received }) => sum + received.toString().split('POST /').length - 1,
      0,
    ),
    1 + 3 + 3,
  )
})

t.test('a timeout of the first hands its answer to nobody', async (t) => {
  const { upstream, carry, version, send } = await pipelined(t, [
    async (connection) => {
      await connection.request()
      connection.send(plainAnswer(200, 'warm'))
      await connection.request()
      await connection.pause(200)
      connection.send(plainAnswer(200, 'late'))
    },
    echo(),
  ])
  await warm(carry, version)
  const first = send('/slow', {}, { firstByteMs: 50 })
  const others = targets(3).map((target) => send(target))
  t.equal((await first.result).fault?.code, 'first-byte-timeout')
  t.strictSame((await Promise.all(others.map(({ result }) => result))).map(textOf), targets(3))
  await until(() => upstream.connections[0]!.isClosed, 'the first connection is closed')
})

t.test('who leaves from the middle leaves the others in order', async (t) => {
  const { upstream, carry, version, send } = await pipelined(t, [echo(15)])
  await warm(carry, version)
  const all = targets(5).map((target) => send(target))
  await delay(5)
  all[2]!.cancel()
  const results = await Promise.all([0, 1, 3, 4].map((index) => all[index]!.result))
  t.strictSame(results.map(textOf), ['/0', '/1', '/3', '/4'])
  t.equal(all[2]!.calls(), 0)
  t.equal(upstream.connectionCount, 1, 'nobody else was disturbed')
})

t.test('a connection that nobody waits for any more is closed', async (t) => {
  const { upstream, carry, version, send } = await pipelined(t, [
    async (connection) => {
      await connection.request()
      connection.send(plainAnswer(200, 'warm'))
      await connection.closed
    },
  ])
  await warm(carry, version)
  const all = targets(3).map((target) => send(target))
  await delay(5)
  for (const one of all.reverse()) one.cancel()
  await until(() => upstream.openCount === 0, 'closed')
  t.strictSame(carry.forwarder.counts(), { open: 0, idle: 0, waiting: 0 })
})

t.test('a connection whose next answer nobody waits for is not kept for it', async (t) => {
  const { upstream, carry, version, send } = await pipelined(t, [
    async (connection) => {
      await connection.request()
      connection.send(plainAnswer(200, 'warm'))
      await connection.request()
      await connection.request()
      connection.send(plainAnswer(200, 'first'))
      await connection.closed
    },
    echo(),
  ])
  await warm(carry, version)
  const [first, second] = [send('/first'), send('/left')]
  second.cancel()
  t.equal(textOf(await first.result), 'first')
  await until(() => upstream.openCount === 0, 'closed, though its endpoint says nothing more')
  t.strictSame(carry.forwarder.counts(), { open: 0, idle: 0, waiting: 0 })
  await Promise.all(targets(3).map((target) => send(target).result))
  t.equal(upstream.connectionCount, 2, 'and what comes next may share a connection')
})

t.test('bytes that came before a request went out answer nothing', async (t) => {
  const stray = plainAnswer(200, 'stray')
  const { carry, version, send } = await pipelined(t, [
    async (connection) => {
      await connection.request()
      connection.send(plainAnswer(200, 'warm') + stray)
    },
    echo(),
  ])
  await warm(carry, version)
  const [first, second] = [send('/a'), send('/b')]
  t.strictSame([textOf(await first.result), textOf(await second.result)], ['/a', '/b'])
})

t.test('one answer too many ends the connection', async (t) => {
  const { upstream, carry, version, send } = await pipelined(t, [
    async (connection) => {
      await connection.request()
      connection.send(plainAnswer(200, 'warm'))
      await connection.request()
      await connection.request()
      connection.send(plainAnswer(200, '/0') + plainAnswer(200, '/1') + plainAnswer(200, 'surplus'))
    },
    echo(),
  ])
  await warm(carry, version)
  const results = await Promise.all(targets(2).map((target) => send(target).result))
  t.strictSame(results.map(textOf), targets(2))
  t.equal(textOf(await send('/next').result), '/next')
  t.equal(upstream.connectionCount, 2)
})

t.test('an endpoint that closes after each answer serves all the same', async (t) => {
  const { upstream, send } = await pipelined(t, [
    async (connection) => {
      const { target } = await connection.request()
      connection.send(plainAnswer(200, target, ['connection: close']))
      connection.finish()
    },
  ])
  const results = await Promise.all(targets(6).map((target) => send(target).result))
  t.strictSame(results.map(textOf), targets(6), 'those behind are sent once more, each alone')
  const more = await Promise.all(targets(6).map((target) => send(target).result))
  t.strictSame(more.map(textOf), targets(6))
  t.equal(upstream.connectionCount, 6 + 6, 'and it is not asked for several again so soon')
})

t.test('many at once get their own answers, with answers of every size and leavers among them', async (t) => {
  const { carry, version } = await pipelined(t, [
    async (connection) => {
      for (;;) {
        const { target } = await connection.request()
        connection.send(plainAnswer(200, target.repeat(1 + (Number(target.slice(1)) % 700))))
      }
    },
  ])
  let wrong = 0
  const one = async (index: number) => {
    const sent = carry.send(version, { target: `/${index}` })
    if (index % 13 === 0) {
      if (index % 2 === 0) await delay(0)
      sent.cancel()
      return
    }
    const text = textOf(await sent.result)
    if (text !== `/${index}`.repeat(1 + (index % 700))) wrong += 1
  }
  for (let start = 0; start < 3_000; start += 60) {
    await Promise.all(Array.from({ length: 60 }, (_, index) => one(start + index)))
  }
  t.equal(wrong, 0)
})

t.test('without pipelining each request has a connection to itself', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(plainAnswer(200, 'ok'))])
  await Promise.all([1, 2, 3].map(() => carry.send(version).result))
  t.equal(upstream.connectionCount, 3)
})
