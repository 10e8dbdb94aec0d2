import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RESTARTS_MAX } from '../../src/control/restart-limit.ts'
import { ask, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

async function start(t: Test, lanes: number, answerMs: number) {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      await connection.request()
      if (answerMs > 0) await connection.pause(answerMs)
      connection.send(WELL)
    }
  })
  t.teardown(() => upstream.close())
  const orders = new BroadcastChannel('break-lanes')
  t.teardown(() => orders.close())
  const gateway = await startTestGateway(t, {
    laneEntry: new URL('../support/breaking-lane.js', import.meta.url),
    toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = ${lanes}
grace = "5s"
[models.m.versions.v1]
endpoints = ["${upstream.url}"]
`,
  })
  const breakSeat = (seat: number, stillMs = 0) => orders.postMessage({ seat, stillMs })
  return { gateway, breakSeat }
}

const restartsOf = async (gateway: TestGateway, lane: number) =>
  (await metricsOf(gateway)).value('modelgate_lane_restarts_total', { lane: String(lane) })

t.test('an error that nobody caught costs no caller anything, and the lane is replaced', async (t) => {
  const { gateway, breakSeat } = await start(t, 2, 20)
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  t.teardown(() => agent.destroy())
  let sent = 0
  let isOver = false
  const bad: string[] = []
  const worker = async () => {
    while (!isOver) {
      sent += 1
      const status = await infer(gateway.port, agent).catch((error: Error) => error.message)
      if (status !== 200) bad.push(String(status))
    }
  }
  const workers = Array.from({ length: 16 }, worker)
  await pause(200)
  breakSeat(0)
  await eventually(async () => (await restartsOf(gateway, 0)) === 1, {
    withinMs: 15_000,
    until: 'lane 0 is replaced',
  })
  // Its successor breaks, too, and the first seat is taken again.
  await eventually(() => gateway.log.filter((line) => /has ended/.test(line)).length === 1)
  breakSeat(2)
  await eventually(async () => (await restartsOf(gateway, 0)) === 2, { withinMs: 15_000, until: 'and again' })
  await pause(200)
  isOver = true
  await Promise.all(workers)
  t.same(bad, [], 'every caller got its answer')
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_lane_restarts_total', { lane: '1' }), 0)
  t.equal(metrics.value('modelgate_lanes'), 2)
  const served = { model: 'm', version: 'v1', reason: 'primary', class: '2xx' }
  t.equal(
    metrics.value('modelgate_requests_total', served),
    sent,
    'what the old threads counted stays counted',
  )
  t.match(
    gateway.log.filter((line) => line.startsWith('lane 0: an error')),
    [/TypeError: cannot go on/, /TypeError: cannot go on/],
    'the operator reads the whole error',
  )
  t.same(await gateway.stop(), { abandoned: 0 })
  const records = await recordsIn(gateway.dataDir)
  const notes = records.flatMap((one) => (one.type === 'lane' ? [one.note] : []))
  t.match(notes, [{ lane: 0, cause: /^TypeError at .*\(breaking-lane\.js:\d+:\d+\)$/ }, { lane: 0 }])
  t.notMatch(JSON.stringify(notes), /what a caller sent/, 'the log keeps no words of the error')
  const decisions = records.filter(({ type }) => type === 'decision')
  t.equal(decisions.length, sent, 'and nothing is missing in the log')
  t.same([...new Set(decisions.map(({ origin }) => origin.lane))].sort(), [0, 1, 2])
})

t.test(
  'what is under way in it is finished, and the only lane is replaced without a refused connection',
  async (t) => {
    const { gateway, breakSeat } = await start(t, 1, 1000)
    const slow = gateway.infer('m', tensorOf('x', [1]))
    await pause(150)
    breakSeat(0)
    let isOver = false
    const told: (number | string)[] = []
    const knocking = (async () => {
      // Each on a connection of its own.
      while (!isOver)
        told.push(await ask(gateway.port, '/v2/health/live').then(({ status }) => status, String))
    })()
    t.equal((await slow).status, 200, 'the request that was there before')
    await eventually(async () => (await restartsOf(gateway, 0)) === 1, { withinMs: 15_000 })
    await pause(200)
    isOver = true
    await knocking
    t.ok(told.length > 5)
    t.same([...new Set(told)], [200], 'nobody was refused')
  },
)

t.test('a gateway whose lanes keep breaking gives up and says why', async (t) => {
  const { gateway, breakSeat } = await start(t, 1, 0)
  let failure: Error | undefined
  void gateway.gateway.failed.then((error) => {
    failure = error
  })
  for (let count = 0; count < RESTARTS_MAX; count += 1) {
    breakSeat(count % 2)
    await eventually(async () => (await restartsOf(gateway, 0)) === count + 1, { withinMs: 15_000 })
    await eventually(() => gateway.log.filter((line) => /has ended/.test(line)).length === count + 1)
  }
  t.equal((await gateway.infer('m', tensorOf('x', [1]))).status, 200, 'so far it serves')
  breakSeat(RESTARTS_MAX % 2)
  await eventually(() => failure !== undefined)
  t.match(
    failure?.message,
    /^5 lanes were replaced within 60 s, and lane 0 had another error that nobody caught: TypeError: cannot go on/,
  )
})

t.test('few clients that stay are spread evenly over the lanes', async (t) => {
  const { gateway } = await start(t, 2, 0)
  for (let round = 1; round <= 5; round += 1) {
    const before = (await recordsIn(gateway.dataDir)).length
    const clients: RawClient[] = []
    for (let count = 0; count < 8; count += 1) {
      // Others that come and go between them must not put all that stay on one lane.
      if (count % 2 === 1 || round > 3) await ask(gateway.port, '/v2/health/live')
      const client = await RawClient.open(gateway.port)
      clients.push(client)
      await inferOn(client)
    }
    const lanes = await eventually(async () => {
      const records = (await recordsIn(gateway.dataDir)).slice(before)
      const decided = records.filter(({ type }) => type === 'decision').map(({ origin }) => origin.lane)
      return decided.length >= 8 && decided
    })
    const first = lanes.filter((lane) => lane === 0).length
    t.ok(first >= 3 && first <= 5, `round ${round}: ${first} of 8 on lane 0`)
    for (const client of clients) client.close()
  }
})

t.test('a lane whose loop stands still gets no new connections until it turns again', async (t) => {
  const { gateway, breakSeat } = await start(t, 2, 0)
  const stillMs = 3000
  const before = performance.now()
  breakSeat(1, stillMs)
  // Two of its beats and the entrance's look at them.
  await pause(1000)
  for (let count = 0; count < 20; count += 1)
    t.equal((await ask(gateway.port, '/v2/health/live')).status, 200)
  t.ok(performance.now() - before < stillMs, 'nobody had to wait for it')
})

function infer(port: number, agent: Agent): Promise<number | undefined> {
  const body = tensorOf('x', [1])
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        port,
        agent,
        path: '/v2/models/m/infer',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      },
      (answer) => {
        answer.resume()
        answer.on('end', () => resolve(answer.statusCode))
        answer.on('error', reject)
      },
    )
    asking.on('error', reject)
    asking.end(body)
  })
}

async function inferOn(client: RawClient): Promise<void> {
  const body = tensorOf('x', [1])
  client.send(
    `POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  const { status } = await client.answer()
  if (status !== 200) throw new Error(`answered ${status}`)
}
