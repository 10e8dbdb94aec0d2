/** The connections to an endpoint: how many, whose turn, how long an idle one is kept. */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { CONNECTIONS_MAX, IDLE_MS_MAX } from '../../src/forward/pool.ts'
import { answering, plainAnswer, type Script } from '../support/scripted-upstream.ts'
import { type Carrying, silent, stage, textOf } from './carry.ts'

const OK = plainAnswer(200, 'ok')
const WHO = "version 'v2' of model 'fraud'"
/** Long enough for bytes to cross the loopback and be read. */
const CROSSING_MS = 40

t.test('requests beyond the connection limit wait their turn', async (t) => {
  const slow: Script = async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      await connection.pause(20)
      connection.send(plainAnswer(200, target))
    }
  }
  const { upstream, carry, version } = await stage(t, [slow], 'real', { poolLimits: { connectionsMax: 2 } })
  const ended: string[] = []
  const sent = Array.from({ length: 6 }, (_, index) =>
    carry.send(version, { target: `/${index}` }, { queueMs: 2_000 }).result.then((result) => {
      ended.push(textOf(result))
      return result
    }),
  )
  t.strictSame(carry.forwarder.counts(), { open: 2, idle: 0, waiting: 4 })
  const results = await Promise.all(sent)
  t.equal(upstream.connectionCount, 2)
  t.strictSame(ended.slice().sort(), ['/0', '/1', '/2', '/3', '/4', '/5'])
  t.strictSame(ended.slice(4).sort(), ['/4', '/5'], 'first come, first served')
  const waited = results.map(({ phases }) => phases.queueMs)
  t.strictSame(waited.slice(0, 2), [0, 0])
  t.ok(
    waited.slice(2).every((ms) => ms > 10),
    waited.join(' '),
  )
})

t.test('a connection that dies makes room for one that waits', async (t) => {
  const shuts: Script = async (connection) => {
    await connection.request()
    await connection.pause(20)
    connection.finish()
  }
  const { upstream, carry, version } = await stage(t, [shuts, answering(OK)], 'real', {
    poolLimits: { connectionsMax: 1 },
  })
  const [first, second] = [carry.send(version), carry.send(version)]
  t.equal((await first!.result).fault?.code, 'closed-before-answer')
  t.equal(textOf(await second!.result), 'ok')
  t.equal(upstream.connectionCount, 2)
})

t.test('a cancelled request makes room for one that waits', async (t) => {
  const { upstream, carry, version } = await stage(t, [silent, answering(OK)], 'real', {
    poolLimits: { connectionsMax: 1 },
  })
  const [first, second] = [carry.send(version), carry.send(version)]
  await upstream.scriptsEnded()
  first!.cancel()
  t.equal(textOf(await second!.result), 'ok')
})

t.test(
  'waiting ends by its own timer, by the deadline, by cancel, or at once when the line is full',
  async (t) => {
    const { upstream, carry, version } = await stage(t, [silent], 'manual', {
      poolLimits: { connectionsMax: 1, waitingMax: 3 },
    })
    const holder = carry.send(version)
    const timed = carry.send(version, {}, { queueMs: 100 })
    const dead = carry.send(version, {}, { queueMs: 100, deadlineAt: 1_050 })
    const left = carry.send(version, {}, { queueMs: 100 })
    const full = (await carry.send(version).result).fault
    t.equal(full?.code, 'overloaded')
    t.equal(full?.message, `too many requests wait for a connection to ${WHO}`)
    t.strictSame(full?.headers, ['retry-after', '1'])
    left.cancel()
    await delay(CROSSING_MS)
    t.equal(carry.forwarder.counts().waiting, 2)
    carry.advance(50)
    t.equal((await dead.result).fault?.code, 'deadline-exceeded')
    carry.advance(50)
    const { fault, phases } = await timed.result
    t.equal(fault?.code, 'queue-timeout')
    t.equal(fault?.message, `no connection to ${WHO} became free within 100 ms`)
    t.strictSame(phases, { queueMs: -1, connectMs: -1, firstByteMs: -1, totalMs: 100 })
    t.strictSame([holder.calls(), left.calls()], [0, 0])
    t.equal(carry.forwarder.counts().waiting, 0)
    t.equal(upstream.connectionCount, 1)
  },
)

t.test('those that wait are told when the forwarder closes', async (t) => {
  const { carry, version } = await stage(t, [silent], 'manual', { poolLimits: { connectionsMax: 1 } })
  const both: Carrying[] = [carry.send(version), carry.send(version)]
  carry.close()
  for (const { result } of both) t.equal((await result).fault?.code, 'draining')
})

t.test('idle connections are let go in time, and before the endpoint said it would', async (t) => {
  for (const [headers, keptMs] of [
    [[], IDLE_MS_MAX],
    [['keep-alive: timeout=5'], 4_000],
    [['keep-alive: timeout=600'], IDLE_MS_MAX],
  ] as const) {
    const { upstream, carry, version } = await stage(
      t,
      [answering(plainAnswer(200, 'ok', headers))],
      'manual',
    )
    await carry.send(version).result
    carry.advance(keptMs - 1)
    t.equal((await carry.send(version).result).reused, true, 'still good')
    carry.advance(keptMs - 1)
    t.equal(carry.forwarder.counts().idle, 1, 'each use begins it anew')
    carry.advance(1)
    t.equal(carry.forwarder.counts().open, 0)
    await upstream.connections[0]!.closed
    t.equal((await carry.send(version).result).reused, false)
  }
})

t.test('no more idle connections are kept than allowed', async (t) => {
  const { carry, version } = await stage(t, [answering(OK)], 'real', { poolLimits: { idleMax: 2 } })
  await Promise.all(Array.from({ length: 5 }, () => carry.send(version).result))
  t.strictSame(carry.forwarder.counts(), { open: 2, idle: 2, waiting: 0 })
})

t.test('a load that needs every connection comes back to the ones it had', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(OK)])
  for (let wave = 0; wave < 3; wave += 1) {
    const sent = Array.from({ length: CONNECTIONS_MAX }, () =>
      carry.send(version, {}, { connectMs: 5_000, firstByteMs: 5_000 }),
    )
    for (const { result } of sent) t.equal(textOf(await result), 'ok')
  }
  t.equal(upstream.connectionCount, CONNECTIONS_MAX)
})

t.test('endpoints nobody asks for any more are forgotten', async (t) => {
  const closing = answering(plainAnswer(200, 'ok', ['connection: close']))
  const old = await stage(t, [closing])
  const fresh = await stage(t, [closing])
  await old.carry.send(old.version).result
  t.equal(textOf(await old.carry.send(fresh.version).result), 'ok')
  t.equal(textOf(await old.carry.send(old.version).result), 'ok', 'and come back when asked for')
})
