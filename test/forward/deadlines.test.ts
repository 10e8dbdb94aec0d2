/** Time: every timer with its own fault, exactly when due; deadlines and cancel. */
import { Buffer } from 'node:buffer'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { FaultCode } from '../../src/domain/fault.ts'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import type { OutboundRequest } from '../../src/domain/wire.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { answering, plainAnswer, type Script } from '../support/scripted-upstream.ts'
import { POST, silent, stage, TIMEOUTS, textOf, until } from './carry.ts'

const OK = plainAnswer(200, 'ok')
/** Long enough for bytes to cross the loopback and be read. */
const CROSSING_MS = 40

/** Takes the request, sends this much, then nothing. */
function sends(...pieces: readonly string[]): Script {
  return async (connection) => {
    await connection.request()
    for (const piece of pieces) {
      connection.send(piece)
      await connection.pause(CROSSING_MS / 4)
    }
  }
}

interface TimerCase {
  readonly name: string
  readonly script: Script
  readonly request?: Partial<OutboundRequest>
  readonly limits: Record<string, number>
  /** Before time moves: let bytes cross. */
  readonly crosses: boolean
  readonly dueMs: number
  readonly code: FaultCode
  readonly message: string
}

const WHO = "version 'v2' of model 'fraud'"
const HALF = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha'
/** Larger than what the kernel buffers of both sides take. */
const HUGE = Buffer.alloc(24 * 1024 * 1024)

const TIMERS: readonly TimerCase[] = [
  {
    name: 'connect',
    script: silent,
    limits: { connectMs: 250 },
    crosses: false,
    dueMs: 250,
    code: 'connect-timeout',
    message: `${WHO} did not accept a connection within 250 ms`,
  },
  {
    name: 'first byte',
    script: silent,
    limits: { firstByteMs: 300 },
    crosses: true,
    dueMs: 300,
    code: 'first-byte-timeout',
    message: `${WHO} did not begin to answer within 300 ms`,
  },
  {
    name: 'first byte, which an interim answer is not',
    script: sends('HTTP/1.1 100 Continue\r\n\r\n'),
    limits: { firstByteMs: 300, idleMs: 100 },
    crosses: true,
    dueMs: 300,
    code: 'first-byte-timeout',
    message: `${WHO} did not begin to answer within 300 ms`,
  },
  {
    name: 'first byte, after an interim answer in two pieces',
    script: sends('HTTP/1.1 103 Hin', 'ts\r\n\r\n'),
    limits: { firstByteMs: 300, idleMs: 100 },
    crosses: true,
    dueMs: 300,
    code: 'first-byte-timeout',
    message: `${WHO} did not begin to answer within 300 ms`,
  },
  {
    name: 'idle, in the head',
    script: sends('HTTP/1.1 200 OK\r\ncont'),
    limits: { firstByteMs: 50, idleMs: 400 },
    crosses: true,
    dueMs: 400,
    code: 'idle-timeout',
    message: `${WHO} paused its answer for more than 400 ms`,
  },
  {
    name: 'idle, in the body',
    script: sends(HALF),
    limits: { firstByteMs: 50, idleMs: 400 },
    crosses: true,
    dueMs: 400,
    code: 'idle-timeout',
    message: `${WHO} paused its answer for more than 400 ms`,
  },
  {
    name: 'total, while waiting for the first byte',
    script: silent,
    limits: { firstByteMs: 2_000, totalMs: 600 },
    crosses: true,
    dueMs: 600,
    code: 'total-timeout',
    message: `${WHO} did not complete its answer within 600 ms`,
  },
  {
    name: 'total, while the answer comes',
    script: sends(HALF),
    limits: { idleMs: 2_000, totalMs: 600 },
    crosses: true,
    dueMs: 600,
    code: 'total-timeout',
    message: `${WHO} did not complete its answer within 600 ms`,
  },
  {
    name: 'total, while the request is being taken',
    script: (connection) => connection.stopReading(),
    request: { body: HUGE },
    limits: { firstByteMs: 100, totalMs: 600 },
    crosses: true,
    dueMs: 600,
    code: 'total-timeout',
    message: `${WHO} did not complete its answer within 600 ms`,
  },
  {
    name: 'the caller’s deadline, while connecting',
    script: silent,
    limits: { deadlineAt: 1_150 },
    crosses: false,
    dueMs: 150,
    code: 'deadline-exceeded',
    message: `the caller’s deadline passed before ${WHO} had answered`,
  },
  {
    name: 'the caller’s deadline, before the first byte',
    script: silent,
    limits: { deadlineAt: 1_150 },
    crosses: true,
    dueMs: 150,
    code: 'deadline-exceeded',
    message: `the caller’s deadline passed before ${WHO} had answered`,
  },
  {
    name: 'the caller’s deadline, while the answer comes',
    script: sends(HALF),
    limits: { deadlineAt: 1_150 },
    crosses: true,
    dueMs: 150,
    code: 'deadline-exceeded',
    message: `the caller’s deadline passed before ${WHO} had answered`,
  },
  {
    name: 'the model’s limit, when it is before the caller’s deadline',
    script: silent,
    limits: { deadlineAt: 1_700, totalMs: 600 },
    crosses: true,
    dueMs: 600,
    code: 'total-timeout',
    message: `${WHO} did not complete its answer within 600 ms`,
  },
]

for (const { name, script, request, limits, crosses, dueMs, code, message } of TIMERS) {
  t.test(`timer: ${name}`, async (t) => {
    const { upstream, carry, version } = await stage(t, [script], 'manual')
    const carrying = carry.send(version, request, limits)
    if (crosses) await upstream.scriptsEnded()
    if (crosses) await delay(CROSSING_MS)
    carry.advance(dueMs - 1)
    t.equal(carrying.calls(), 0, 'never early')
    carry.advance(1)
    const { fault, answer, phases } = await carrying.result
    t.equal(fault?.code, code)
    t.equal(fault?.message, message)
    t.equal(answer, null)
    t.equal(phases.totalMs, dueMs)
    t.equal(carry.forwarder.counts().open, 0, 'the connection is closed')
    for (const connection of upstream.connections) if (!request) await connection.closed
    t.equal(carrying.calls(), 1)
  })
}

t.test('the wait for content is the same, however the head of the stream is cut', async (t) => {
  const limits = {
    timeouts: { ...TIMEOUTS, firstByteMs: 300, idleMs: 100 },
    deadlineAt: Number.POSITIVE_INFINITY,
  }
  const STREAM = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n'
  for (const cut of [0, 1, 30, STREAM.length - 1]) {
    const { carry, upstream, version } = await stage(
      t,
      [sends(STREAM.slice(0, cut), STREAM.slice(cut), ': ping\n\n')],
      'manual',
    )
    let came = ''
    const ended: AttemptResult[] = []
    const attempt = carry.forwarder.send(version, POST, limits, {
      awaitsContent: true,
      bodyBytesMax: Number.POSITIVE_INFINITY,
      head: () => {},
      body: (bytes) => {
        came += Buffer.from(bytes).toString()
        return true
      },
      done: (result) => ended.push(result),
    })
    await upstream.scriptsEnded()
    await until(() => came !== '', 'the ping is here')
    carry.advance(299)
    t.strictSame(ended, [], `cut at ${cut}: never early`)
    t.equal(attempt.soFar().phases.firstByteMs, -1, 'neither head nor ping is the first byte')
    carry.advance(1)
    t.equal(ended[0]?.fault?.code, 'first-byte-timeout', `cut at ${cut}`)
  }
})

t.test('pauses shorter than idle add up without a fault', async (t) => {
  const script: Script = async (connection) => {
    await connection.request()
    for (const byte of plainAnswer(200, 'slow')) {
      connection.send(byte)
      await connection.pause(5)
    }
  }
  const { carry, version } = await stage(t, [script])
  const result = await carry.send(version, {}, { idleMs: 150, firstByteMs: 150 }).result
  t.equal(textOf(result), 'slow')
  t.ok(result.phases.totalMs > 150, `${result.phases.totalMs} ms in all`)
})

t.test('on real time a deadline holds within a tick or two', async (t) => {
  const { carry, version } = await stage(t, [silent])
  const took: number[] = []
  // A slow machine makes it late, never earlier: one of five tells what the gateway does.
  while (took.length < 5 && !took.some((ms) => ms < 200)) {
    const startedAt = systemClock.now()
    const result = await carry.send(version, {}, { deadlineAt: startedAt + 100 }).result
    t.equal(result.fault?.code, 'deadline-exceeded')
    took.push(systemClock.now() - startedAt)
  }
  t.ok(Math.min(...took) >= 100 && Math.min(...took) < 200, `${took} ms`)
})

t.test('a deadline that has passed starts nothing', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(OK)], 'manual')
  const { fault } = await carry.send(version, {}, { deadlineAt: 1_000 }).result
  t.equal(fault?.code, 'deadline-exceeded')
  await delay(CROSSING_MS)
  t.equal(upstream.connectionCount, 0)
})

t.test('a late answer reaches nobody', async (t) => {
  const late: Script = async (connection) => {
    await connection.request()
    await connection.pause(100)
    connection.send(plainAnswer(200, 'late'))
  }
  const { carry, version } = await stage(t, [late, answering(OK)])
  const first = carry.send(version, {}, { firstByteMs: 50 })
  t.equal((await first.result).fault?.code, 'first-byte-timeout')
  t.equal(textOf(await carry.send(version).result), 'ok')
  await delay(100)
  t.equal(first.calls(), 1)
})

t.test('cancel closes the connection within 50 ms, and done is never called', async (t) => {
  const scripts: readonly (readonly [string, Script])[] = [
    ['before the first byte', silent],
    ['in the answer', sends(HALF)],
  ]
  const cancelled = async (script: Script): Promise<number> => {
    const { upstream, carry, version } = await stage(t, [script])
    const carrying = carry.send(version)
    await upstream.scriptsEnded()
    const cancelledAt = systemClock.now()
    carrying.cancel()
    await upstream.connections[0]!.closed
    const tookMs = systemClock.now() - cancelledAt
    carrying.cancel()
    await delay(20)
    t.equal(carrying.calls(), 0)
    t.strictSame(carry.forwarder.counts(), { open: 0, idle: 0, waiting: 0 })
    return tookMs
  }
  for (const [name, script] of scripts) {
    let bestMs = Number.POSITIVE_INFINITY
    for (let tries = 0; tries < 5 && bestMs >= 50; tries += 1)
      bestMs = Math.min(bestMs, await cancelled(script))
    t.ok(bestMs < 50, `${name}: ${bestMs.toFixed(1)} ms`)
  }
})

t.test('cancel at once, and cancel after the answer', async (t) => {
  const { upstream, carry, version } = await stage(t, [answering(OK)])
  const unsent = carry.send(version)
  unsent.cancel()
  const refused = carry.send(version, { headers: ['x', '\n'] })
  refused.cancel()
  const answered = carry.send(version)
  await answered.result
  answered.cancel()
  t.equal(carry.forwarder.counts().idle, 1, 'a connection that is somebody else’s by now stays')
  await delay(CROSSING_MS)
  t.strictSame([unsent.calls(), refused.calls(), answered.calls()], [0, 0, 1])
  t.equal(upstream.openCount, 1)
})

t.test('nobody is blamed for what it did while the loop here was held up', async (t) => {
  const { carry, version } = await stage(t, [answering(OK)])
  const first = carry.send(version, {}, { connectMs: 60 })
  const until = performance.now() + 250
  while (performance.now() < until) {}
  t.equal(textOf(await first.result), 'ok', 'its kernel took the connection long before')
})
