/** Two copies of one request over real sockets: which answer counts, and what becomes of the other copy. */
import { Buffer } from 'node:buffer'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { AnswerHead, AttemptResult } from '../../src/domain/outcome.ts'
import type { AttemptLimits, InProgress, OutboundRequest, Receiver } from '../../src/domain/wire.ts'
import { KEPT_BYTES_MAX } from '../../src/forward/copy.ts'
import { plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { Carrier, POST, silent, TIMEOUTS, until, versionOf } from './carry.ts'

const AFTER_MS = 30

class Terms {
  told: [ms: number, isOvertaken: boolean][] = []
  asked = 0
  isAllowed = true
  afterMs = () => AFTER_MS
  mayStart = () => {
    this.asked += 1
    return this.isAllowed
  }
  began = (ms: number, isOvertaken: boolean) => void this.told.push([ms, isOvertaken])
}

class Told implements Receiver {
  awaitsContent = false
  bodyBytesMax = Number.POSITIVE_INFINITY
  heads: AnswerHead[] = []
  bytes = ''
  results: AttemptResult[] = []
  head = (head: AnswerHead) => void this.heads.push(head)
  body = (bytes: Uint8Array) => {
    this.bytes += Buffer.from(bytes).toString()
    return true
  }
  done = (result: AttemptResult) => void this.results.push(result)

  get result(): AttemptResult {
    if (this.results.length !== 1) throw new Error(`${this.results.length} ends`)
    return this.results[0]!
  }

  get status(): number | undefined {
    return this.heads[0]?.status
  }
}

interface Stage {
  readonly carry: Carrier
  readonly upstreams: readonly ScriptedUpstream[]
  readonly terms: Terms
  readonly told: Told
  send(more?: Partial<OutboundRequest>, limits?: Partial<AttemptLimits>): InProgress
  /** Time passes until a second copy may go, on a clock moved by hand. */
  late(): Promise<void>
  end(): Promise<AttemptResult>
}

/** Round-robin: the first copy goes to the first upstream. */
async function race(
  t: Test,
  scripts: readonly Script[],
  options: { pipeline?: number } = {},
): Promise<Stage> {
  const upstreams = await Promise.all(scripts.map((script) => ScriptedUpstream.start(script)))
  const carry = new Carrier('manual')
  const terms = new Terms()
  const told = new Told()
  t.teardown(async () => {
    carry.close()
    for (const upstream of upstreams) await upstream.close()
    if (carry.sweep.size > 0) throw new Error(`${carry.sweep.size} still watched`)
  })
  const endpoints = upstreams.map(({ endpoint }) => ({ ...endpoint, pipeline: options.pipeline ?? 1 }))
  const version = versionOf(...endpoints)
  return {
    carry,
    upstreams,
    terms,
    told,
    send: (more = {}, limits = {}) =>
      carry.forwarder.send(
        version,
        { ...POST, ...more },
        { timeouts: TIMEOUTS, deadlineAt: Number.POSITIVE_INFINITY, hedge: terms, ...limits },
        told,
      ),
    late: async () => {
      await until(() => upstreams[0]!.connections.some(({ received }) => received.length > 0), 'it arrived')
      carry.advance(AFTER_MS)
    },
    end: async () => {
      await until(() => told.results.length > 0, 'the attempt ended')
      return told.result
    },
  }
}

/** Answers when it is told to. */
function onWord(): { script: Script; say: (bytes: string) => void; requests: () => number } {
  const waiting: ((bytes: string) => void)[] = []
  let requests = 0
  return {
    script: async (connection) => {
      for (;;) {
        await connection.request()
        requests += 1
        connection.send(await new Promise<string>((resolve) => waiting.push(resolve)))
      }
    },
    say: (bytes) => waiting.shift()?.(bytes),
    requests: () => requests,
  }
}

const says = (answer: string): Script => {
  return async (connection) => {
    for (;;) {
      await connection.request()
      connection.send(answer)
    }
  }
}

const hangsUp: Script = async (connection) => {
  await connection.request()
  connection.finish()
}

t.test('a request in time is sent once', async (t) => {
  const stage = await race(t, [says(plainAnswer(200, 'first')), silent])
  stage.send()
  const result = await stage.end()
  t.equal(result.hedge, undefined)
  stage.carry.advance(10 * AFTER_MS)
  t.match([stage.told.bytes, stage.terms.asked, stage.upstreams[1]!.connectionCount], ['first', 0, 0])
  t.strictSame(stage.terms.told, [[0, false]], 'and how long it took is told')
})

t.test('of a late request the second copy’s answer counts, and the first is cut within 10 ms', async (t) => {
  let bestMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round += 1) {
    const second = onWord()
    const stage = await race(t, [silent, second.script])
    stage.send()
    await stage.late()
    await until(() => second.requests() === 1, 'the second copy arrived')
    const [loser] = stage.upstreams[0]!.connections
    let decidedAt = 0
    stage.told.head = (head) => {
      decidedAt = performance.now()
      stage.told.heads.push(head)
    }
    second.say(plainAnswer(200, 'second'))
    await loser!.closed
    bestMs = Math.min(bestMs, performance.now() - decidedAt)
    const result = await stage.end()
    const [first, other] = stage.upstreams.map(({ url }) => url)
    t.strictSame(
      result.hedge,
      { first, second: other, afterMs: AFTER_MS, won: 'second' },
      'the result tells both endpoints',
    )
    t.match(result, { endpoint: other, fault: null, phases: { firstByteMs: AFTER_MS, totalMs: AFTER_MS } })
    t.equal(stage.told.bytes, 'second')
    t.strictSame(stage.terms.told, [[AFTER_MS, true]], 'the first takes at least so long')
    t.strictSame(stage.carry.forwarder.counts(), { open: 1, idle: 1, waiting: 0 })
  }
  t.ok(bestMs < 10, `${bestMs.toFixed(2)} ms`)
})

t.test('the first copy counts when it is the first to answer after all', async (t) => {
  const first = onWord()
  const stage = await race(t, [first.script, silent])
  stage.send()
  await stage.late()
  await until(() => stage.upstreams[1]!.connectionCount === 1, 'the second copy is on its way')
  first.say(plainAnswer(200, 'first'))
  const result = await stage.end()
  t.match(result.hedge, { won: 'first' })
  t.equal(result.endpoint, stage.upstreams[0]!.url)
  await stage.upstreams[1]!.connections[0]!.closed
  t.equal(stage.told.bytes, 'first')
})

t.test('who only has one endpoint gets the second copy on another connection', async (t) => {
  for (const pipeline of [1, 4]) {
    let count = 0
    const script: Script = async (connection) => {
      await connection.request()
      count += 1
      if (connection.index > 0) connection.send(plainAnswer(200, `on ${connection.index}`))
    }
    const stage = await race(t, [script], { pipeline })
    stage.send()
    await stage.late()
    const result = await stage.end()
    t.equal(stage.told.bytes, 'on 1', `pipeline ${pipeline}`)
    t.equal(count, 2)
    const { url } = stage.upstreams[0]!
    t.match(result.hedge, { first: url, second: url, won: 'second' })
    await stage.upstreams[0]!.connections[0]!.closed
  }
})

const BAD = plainAnswer(503, 'ill')
const BUSY = plainAnswer(429, 'busy')

t.test('a bad answer does not end it while the other copy is under way', async (t) => {
  for (const bad of [says(BAD), says(BUSY), hangsUp]) {
    const slow = onWord()
    const stage = await race(t, [slow.script, bad])
    stage.send()
    await stage.late()
    await delay(30)
    t.equal(stage.told.heads.length, 0, 'nothing is told yet')
    slow.say(plainAnswer(200, 'slow'))
    t.match(await stage.end(), { fault: null, hedge: { won: 'first' } })
    t.match([stage.told.status, stage.told.bytes, stage.told.heads.length], [200, 'slow', 1])
  }
})

t.test('a bad answer is still better than none', async (t) => {
  const first = onWord()
  const stage = await race(t, [first.script, hangsUp])
  stage.send()
  await stage.late()
  await until(() => stage.upstreams[1]!.connectionCount === 1, 'the second copy is on its way')
  first.say(BAD)
  const result = await stage.end()
  t.match(result, { endpoint: stage.upstreams[0]!.url, fault: null, hedge: { won: 'none' } })
  t.match([stage.told.status, stage.told.bytes], [503, 'ill'])
  t.strictSame(stage.terms.told, [], 'bad answers say nothing about how long good ones take')
})

t.test('a kept answer that is not whole goes on when it has to serve after all', async (t) => {
  const second = onWord()
  const half: Script = async (connection) => {
    await connection.request()
    connection.send('HTTP/1.1 500 Ill\r\ncontent-length: 8\r\n\r\nhalf')
    await delay(60)
    connection.send('rest')
  }
  const stage = await race(t, [second.script, half])
  stage.send()
  await stage.late()
  await until(() => stage.upstreams[1]!.connectionCount === 1, 'the second copy is on its way')
  await delay(30)
  second.say('nonsense\r\n\r\n')
  t.match(await stage.end(), { fault: null, hedge: { won: 'none' } })
  t.match([stage.told.status, stage.told.bytes], [500, 'halfrest'])
})

t.test('when both fail, it is told what happened last, once', async (t) => {
  const stage = await race(t, [silent, hangsUp])
  stage.send()
  await stage.late()
  await until(() => stage.upstreams[1]!.connections[0]?.isClosed === true, 'the second failed')
  t.equal(stage.told.results.length, 0)
  stage.carry.advance(TIMEOUTS.firstByteMs - AFTER_MS)
  const result = await stage.end()
  t.match(result, { fault: { code: 'first-byte-timeout' }, hedge: { won: 'none' } })
  t.equal(result.endpoint, stage.upstreams[0]!.url)
  t.equal(result.phases.totalMs, TIMEOUTS.firstByteMs)
})

t.test('the times run from the start of the first copy', async (t) => {
  const both = await race(t, [silent, silent])
  both.send()
  await both.late()
  await until(() => (both.upstreams[1]!.connections[0]?.received.length ?? 0) > 0, 'the second arrived')
  await delay(20)
  both.carry.advance(TIMEOUTS.firstByteMs - AFTER_MS - 1)
  t.equal(both.told.results.length, 0, 'never early')
  both.carry.advance(1)
  const result = await both.end()
  t.equal(result.fault?.code, 'first-byte-timeout', 'the second has no time of its own')
  t.strictSame(both.carry.forwarder.counts(), { open: 0, idle: 0, waiting: 0 })
})

t.test('not beyond the caller’s deadline, and not without leave', async (t) => {
  const stage = await race(t, [silent, silent])
  stage.send({}, { deadlineAt: stage.carry.clock.now() + AFTER_MS })
  await stage.late()
  t.match((await stage.end()).fault, { code: 'deadline-exceeded' })
  t.equal(stage.terms.asked, 0)
  const refused = await race(t, [silent, silent])
  refused.terms.isAllowed = false
  const progress = refused.send()
  await refused.late()
  refused.carry.advance(AFTER_MS)
  t.equal(refused.terms.asked, 1, 'it is asked once')
  t.equal(refused.upstreams[1]!.connectionCount, 0)
  progress.cancel()
})

t.test('the second endpoint is told how much time is left then', async (t) => {
  const stage = await race(t, [silent, silent])
  const headers = ['x', 'modelgate-deadline-ms', 'modelgate-deadline-ms', '1000', 'y', 'z']
  const progress = stage.send({ headers })
  await stage.late()
  await until(() => (stage.upstreams[1]!.connections[0]?.received.length ?? 0) > 0, 'both are under way')
  const told = stage.upstreams.map(({ connections }) => connections[0]!.received.toString())
  t.match(told[0], 'modelgate-deadline-ms: 1000\r\n')
  t.match(told[1], `x: modelgate-deadline-ms\r\nmodelgate-deadline-ms: ${1000 - AFTER_MS}\r\ny: z`)
  progress.cancel()
})

t.test('a caller that leaves takes both copies along', async (t) => {
  const stage = await race(t, [silent, silent])
  const progress = stage.send()
  await stage.late()
  await until(() => (stage.upstreams[1]!.connections[0]?.received.length ?? 0) > 0, 'both are under way')
  const soFar = progress.soFar()
  t.match(soFar, { endpoint: stage.upstreams[0]!.url, hedge: { won: 'none', afterMs: AFTER_MS } })
  progress.cancel()
  progress.cancel()
  for (const upstream of stage.upstreams) await upstream.connections[0]!.closed
  await delay(20)
  t.strictSame(stage.told.results, [])
  t.strictSame(stage.carry.forwarder.counts(), { open: 0, idle: 0, waiting: 0 })
})

t.test(
  'of two streams the first with content counts, and what went before it is kept in order',
  async (t) => {
    const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
    const pings: Script = async (connection) => {
      await connection.request()
      connection.send(HEAD + chunk('ping1 '))
    }
    const speaks: Script = async (connection) => {
      await connection.request()
      connection.send(HEAD + chunk('ping2 '))
      await delay(20)
      connection.send(chunk('content ') + chunk('more'))
      await delay(20)
      connection.send(`${chunk(' end')}0\r\n\r\n`)
    }
    const stage = await race(t, [pings, speaks])
    const probing = Object.assign(stage.told, {
      probe: () => {
        let text = ''
        return {
          get awaitsContent() {
            return !text.includes('content')
          },
          push: (bytes: Uint8Array) => {
            text += Buffer.from(bytes).toString()
          },
        }
      },
    })
    stage.send()
    await stage.late()
    const result = await stage.end()
    t.match(result, { fault: null, hedge: { won: 'second' } })
    t.equal(probing.bytes, 'ping2 content more end')
    await stage.upstreams[0]!.connections[0]!.closed
  },
)

t.test('what is kept of an answer that does not count yet has a limit', async (t) => {
  const long: Script = async (connection) => {
    await connection.request()
    connection.send(plainAnswer(500, 'x'.repeat(KEPT_BYTES_MAX + 1)))
  }
  const slow = onWord()
  const stage = await race(t, [slow.script, long])
  stage.send()
  await stage.late()
  await until(() => stage.upstreams[1]!.connections[0]?.isClosed === true, 'it is given up')
  slow.say(plainAnswer(200, 'slow'))
  t.match(await stage.end(), { fault: null, hedge: { won: 'first' } })
  t.equal(stage.told.bytes, 'slow')
})
