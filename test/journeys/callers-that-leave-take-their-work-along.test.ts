import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { DeafPort } from '../support/deaf-port.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { PATIENCE, PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionsIn, recordsIn } from '../support/read-records.ts'
import { type ScriptedConnection, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'
import { unusedPort } from '../support/unused-port.ts'

/** What is promised; the best of some rounds, because a busy machine only ever adds. By FIN and by RST at least. */
const CANCEL_MS_MAX = 50
const ROUNDS_MIN = 2
const ROUNDS_MAX = 20
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const BIG = Buffer.alloc(1024 * 1024, 'x')

const model = (name: string, url: string, more = '') => `
[models.${name}]
protocol = "raw"
timeouts = { ${PATIENCE} }
breaker = { min_requests = 1, consecutive = 1, failure_rate = 0.01, slow_after = "20s" }
${more}
[models.${name}.versions.v1]
endpoints = ["${url}"]
`

const SHADOWED =
  'route = { primary = "v1", shadows = [{ version = "trial", max_concurrent = 8, timeout = "400ms" }] }'

/** An endpoint that begins as `start` says and then waits to be left. */
async function waiting(t: Test, start: (connection: ScriptedConnection) => void | Promise<void>) {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      await connection.request()
      await start(connection)
    }
  })
  t.teardown(() => upstream.close())
  return upstream
}

const runs = async (gateway: TestGateway, name: string, count: number) =>
  eventually(
    async () => (await metricsOf(gateway)).value('modelgate_requests_running', { model: name }) === count,
    { until: `${count} running of ${name}` },
  )

interface Phase {
  readonly name: string
  /** From the bytes that were sent until the phase is reached. */
  reached(caller: StreamCaller): Promise<unknown>
  readonly bytes: string
  readonly readsAtOnce?: boolean
  /** True once nothing works for the caller any more. */
  isCancelled(): boolean
  /** The answer has begun. */
  readonly isStream?: boolean
  /** No version was asked. */
  readonly isEarly?: boolean
}

const isOver = (took: readonly number[]) =>
  took.length >= ROUNDS_MAX || (took.length >= ROUNDS_MIN && Math.min(...took) <= CANCEL_MS_MAX)

/** Lets callers leave in a phase, by FIN and by RST, measures how long the work went on; to how many. */
async function leave(t: Test, gateway: TestGateway, phase: Phase): Promise<number> {
  const took: number[] = []
  for (let round = 0; !isOver(took); round += 1) {
    const caller = await StreamCaller.ask(gateway.port, phase.bytes, phase.readsAtOnce ?? true)
    await phase.reached(caller)
    t.notOk(phase.isCancelled() && !(phase.isEarly ?? false), `${phase.name}: it is under way`)
    const leftAt = performance.now()
    caller.leave(round % 2 === 0 ? 'fin' : 'reset')
    let lookedAt = performance.now()
    while (!phase.isCancelled() && lookedAt - leftAt <= 20_000) {
      await pause(1)
      lookedAt = performance.now()
    }
    // A look into the kernel's table of sockets takes longer than what it is to see, where there are many.
    took.push(lookedAt - leftAt)
    await runs(gateway, phase.name, 0)
  }
  t.ok(Math.min(...took) <= CANCEL_MS_MAX, `${phase.name}: cancelled after ${took.map(Math.round)} ms`)
  await told(t, gateway, phase, took.length)
  return took.length
}

async function told(t: Test, gateway: TestGateway, { name, isStream = false }: Phase, rounds: number) {
  const { decisions, streams } = await eventually(
    async () => {
      const records = await recordsIn(gateway.dataDir)
      const decisions = records.flatMap((one) => (one.type === 'decision' ? [one.decision] : []))
      const found = {
        decisions: decisions.filter(
          ({ model, request }) => model === name || request.path.includes(`/${name}/`),
        ),
        streams: records.flatMap((one) =>
          one.type === 'stream' && one.stream.model === name ? [one.stream] : [],
        ),
      }
      return found.decisions.length >= rounds && (!isStream || found.streams.length >= rounds) && found
    },
    { until: `the records of ${name}` },
  )
  t.equal(decisions.length, rounds, `${name}: one decision for each`)
  t.equal(streams.length, isStream ? rounds : 0, `${name}: one ending for each that had begun`)
  for (const decision of decisions) {
    if (isStream) t.match(decision, { status: 200, served: 'v1', fault: null }, name)
    else t.match(decision, { status: 499, served: '', fault: { code: 'client-gone' } }, name)
  }
  for (const stream of streams) {
    t.match(stream, { fate: 'client-gone', fault: { code: 'client-gone' } }, name)
    t.equal(stream.attempt.verdict, 'neutral', name)
  }
  const metrics = await metricsOf(gateway)
  const labels = { model: name, version: 'v1' }
  t.equal(metrics.value('modelgate_requests_queued', { model: name }), 0, name)
  t.equal(metrics.value('modelgate_streams_open', labels), 0, name)
  t.equal(metrics.sum('modelgate_attempts_total', { ...labels, verdict: 'failure' }), 0, name)
  t.equal(metrics.value('modelgate_breaker_state', { ...labels, state: 'closed' }), 1, name)
  if (decisions[0]!.model !== '')
    t.equal(metrics.value('modelgate_faults_total', { model: name, code: 'client-gone' }), rounds, name)
}

t.test('whoever leaves takes along what was done for them, in every phase', async (t) => {
  const silent = await waiting(t, () => {})
  const holder = await waiting(t, () => {})
  const talking = await waiting(t, (connection) => connection.send(`${HEAD}8\r\ndata: a\n\r\n`))
  const flooding = await waiting(t, async (connection) => {
    connection.send('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n')
    while (!connection.isClosed) {
      if (connection.socket.writableLength < 4 * BIG.length) connection.send(BIG)
      await pause(1)
    }
  })
  const half = await waiting(t, (connection) =>
    connection.send(`HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n${'x'.repeat(500)}`),
  )
  const second = await waiting(t, () => {})
  const watched = await waiting(t, () => {})
  const shadow = await waiting(t, () => {})
  const crowded = await waiting(t, () => {})
  const deaf = await DeafPort.open()
  t.teardown(() => deaf.close())
  const gateway = await startTestGateway(t, {
    toml: [
      model('sending', silent.url),
      model('queued', holder.url, 'limits = { concurrent = 1, queue = 10 }'),
      model('connecting', `http://127.0.0.1:${deaf.port}`),
      model('awaiting', silent.url),
      model('held', half.url),
      model(
        'falling',
        second.url,
        'on_failure = { error = ["version:v1", "fail"], breaker_open = ["version:v1", "fail"] }\nroute = { primary = "bad" }',
      ),
      `[models.falling.versions.bad]\nendpoints = ["http://127.0.0.1:${await unusedPort(t)}"]\n`,
      model('shadowed', watched.url, SHADOWED),
      `[models.shadowed.versions.trial]\nendpoints = ["${shadow.url}"]\n`,
      model('streaming', talking.url),
      model('paused', flooding.url),
      `[models.crowd]\n${PATIENT}\n[models.crowd.versions.v1]\nendpoints = ["${crowded.url}"]\n`,
    ].join(''),
  })
  const open = (upstream: ScriptedUpstream) => upstream.openCount
  const connected = (upstream: ScriptedUpstream) => eventually(() => open(upstream) === 1)

  await t.test('while sending the body', async (t) => {
    await leave(t, gateway, {
      name: 'sending',
      bytes: `PUT /models/sending/ HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n${'x'.repeat(500)}`,
      reached: ({ socket }) => eventually(() => socket.bytesRead > 0, { until: 'the body is wanted' }),
      isCancelled: () => true,
      isEarly: true,
    })
    t.equal(silent.connectionCount, 0, 'no version was asked')
  })

  await t.test('while sending the head', async (t) => {
    const page = () => metricsOf(gateway)
    const before = (await page()).value('modelgate_connections_unused_total')
    for (let round = 0; round < ROUNDS_MIN; round += 1) {
      const caller = await StreamCaller.ask(gateway.port, rawGet('sending').slice(0, 30))
      await eventually(async () => (await page()).value('modelgate_open_connections') === 1)
      caller.leave(round % 2 === 0 ? 'fin' : 'reset')
      await eventually(async () => (await page()).value('modelgate_open_connections') === 0)
    }
    const unused = (await page()).value('modelgate_connections_unused_total') - before
    t.equal(unused, ROUNDS_MIN, 'each is counted as a connection without a request')
    t.equal(silent.connectionCount, 0, 'no version was asked')
  })

  await t.test('while waiting for a place', async (t) => {
    const first = await StreamCaller.ask(gateway.port, rawGet('queued'))
    await connected(holder)
    let queued = 0
    const look = async () => {
      queued = (await metricsOf(gateway)).value('modelgate_requests_queued', { model: 'queued' })
    }
    const took: number[] = []
    for (let round = 0; !isOver(took); round += 1) {
      const caller = await StreamCaller.ask(gateway.port, rawGet('queued'))
      await eventually(async () => {
        await look()
        return queued === 1
      })
      const leftAt = performance.now()
      caller.leave(round % 2 === 0 ? 'fin' : 'reset')
      let lookedAt = leftAt
      while (queued === 1 && lookedAt - leftAt <= 20_000) {
        await pause(1)
        // A whole page of metrics takes longer than what it is to show: a look counts from its beginning.
        lookedAt = performance.now()
        await look()
      }
      took.push(lookedAt - leftAt)
    }
    t.ok(
      Math.min(...took) <= CANCEL_MS_MAX,
      `the place in the line was given back after ${took.map(Math.round)} ms`,
    )
    t.equal(holder.connectionCount, 1, 'and no version was asked')
    const gone = (await decisionsIn(gateway.dataDir)).filter((one) => one.model === 'queued')
    t.equal(gone.length, took.length)
    for (const one of gone) t.match(one, { status: 499, attempts: [], fault: { code: 'client-gone' } })
    first.leave()
    await runs(gateway, 'queued', 0)
    await eventually(() => open(holder) === 0)
  })

  await t.test('while its version is being connected', async (t) => {
    await leave(t, gateway, {
      name: 'connecting',
      bytes: rawGet('connecting'),
      reached: () => eventually(() => deaf.knocking > 0, { until: 'a SYN is out' }),
      isCancelled: () => deaf.knocking === 0,
    })
  })

  await t.test('while waiting for the first byte', async (t) => {
    await leave(t, gateway, {
      name: 'awaiting',
      bytes: rawGet('awaiting'),
      reached: () => connected(silent),
      isCancelled: () => open(silent) === 0,
    })
  })

  await t.test('in the middle of an answer that is held', async (t) => {
    await leave(t, gateway, {
      name: 'held',
      bytes: rawGet('held'),
      reached: async ({ socket }) => {
        await connected(half)
        await eventually(() => half.connections.at(-1)!.socket.bytesWritten > 500)
        await pause(30)
        t.equal(socket.bytesRead, 0, 'nothing of it has left')
      },
      isCancelled: () => open(half) === 0,
    })
  })

  await t.test('while the fallback works for them', async (t) => {
    await leave(t, gateway, {
      name: 'falling',
      bytes: rawGet('falling'),
      reached: () => connected(second),
      isCancelled: () => open(second) === 0,
    })
  })

  await t.test('while a shadow works beside the version', async (t) => {
    let copies = 0
    const rounds = await leave(t, gateway, {
      name: 'shadowed',
      bytes: rawGet('shadowed'),
      reached: async () => {
        await connected(watched)
        copies += 1
        await eventually(() => shadow.connectionCount === copies, { until: 'the copy is out' })
      },
      isCancelled: () => open(watched) === 0,
    })
    const fates = async () => {
      const records = await recordsIn(gateway.dataDir)
      return records.flatMap((one) => (one.type === 'shadow' ? [one.shadow.fate] : []))
    }
    await eventually(async () => (await fates()).length === rounds, { until: 'each copy is told' })
    t.same(await fates(), Array(rounds).fill('timeout'), 'copies go on to an end of their own')
    await eventually(() => open(shadow) === 0)
  })

  await t.test('in the middle of a stream', async (t) => {
    await leave(t, gateway, {
      name: 'streaming',
      bytes: rawGet('streaming'),
      reached: (caller) => eventually(() => caller.text.includes('data: a')),
      isCancelled: () => open(talking) === 0,
      isStream: true,
    })
  })

  await t.test('while the stream stands still because of them', async (t) => {
    let before = -1
    await leave(t, gateway, {
      name: 'paused',
      bytes: rawGet('paused'),
      readsAtOnce: false,
      reached: async () => {
        await connected(flooding)
        const { socket } = flooding.connections.at(-1)!
        await eventually(async () => {
          before = socket.bytesWritten - socket.writableLength
          await pause(100)
          return before > 0 && socket.bytesWritten - socket.writableLength === before
        })
      },
      isCancelled: () => open(flooding) === 0,
      isStream: true,
    })
  })

  await t.test('twenty at once', async (t) => {
    const callers = await Promise.all(
      Array.from({ length: 20 }, () => StreamCaller.ask(gateway.port, inferBytes('crowd'))),
    )
    await eventually(() => crowded.openCount === 20)
    for (const caller of callers) caller.leave()
    await eventually(() => crowded.openCount === 0, { until: 'twenty are cancelled at once' })
    await runs(gateway, 'crowd', 0)
    t.same(await gateway.stop(), { abandoned: 0 })
    const decisions = (await decisionsIn(gateway.dataDir)).filter((one) => one.model === 'crowd')
    t.same(new Set(decisions.map(({ fault }) => fault?.code)), new Set(['client-gone']))
    t.equal(decisions.length, 20)
  })
})
