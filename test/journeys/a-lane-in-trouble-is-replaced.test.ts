import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { RESTARTS_MAX } from '../../src/control/restart-limit.ts'
import { ask, tensorOf } from '../support/ask.ts'
import { startBreakable } from '../support/breakable-gateway.ts'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import type { TestGateway } from '../support/start-gateway.ts'

/** A whole thread starts meanwhile, on a machine that may have much else to do. */
const WITHIN = { withinMs: 40_000 }

const restartsOf = async (gateway: TestGateway, lane: number) =>
  (await metricsOf(gateway)).value('modelgate_lane_restarts_total', { lane: String(lane) })

t.test('an error that nobody caught costs no caller anything, and the lane is replaced', async (t) => {
  const { gateway, breakSeat } = await startBreakable(t, 2, () => pause(50))
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())
  let [sent, answered] = [0, 0]
  let isOver = false
  const bad: string[] = []
  const worker = async () => {
    while (!isOver) {
      sent += 1
      const status = await infer(gateway.port, agent).catch((error: Error) => error.message)
      if (status !== 200) bad.push(String(status))
      answered += 1
    }
  }
  const workers = Array.from({ length: 8 }, worker)
  await eventually(() => answered > 2 * workers.length)
  breakSeat(0)
  await eventually(async () => (await restartsOf(gateway, 0)) === 1, {
    ...WITHIN,
    until: 'lane 0 is replaced',
  })
  // Its successor breaks, too, and the first seat is taken again.
  await eventually(() => gateway.log.filter((line) => /has ended/.test(line)).length === 1)
  const servesSecond = async () => (await recordsIn(gateway.dataDir)).some(({ origin }) => origin.lane === 2)
  await eventually(servesSecond, { until: 'the successor has served' })
  breakSeat(2)
  await eventually(async () => (await restartsOf(gateway, 0)) === 2, { ...WITHIN, until: 'and again' })
  const before = answered
  await eventually(() => answered > before + 2 * workers.length)
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
  t.match(notes, [{ lane: 0, cause: /^TypeError at .*\(breaking-lane\.[jt]s:\d+:\d+\)$/ }, { lane: 0 }])
  t.notMatch(JSON.stringify(notes), /what a caller sent/, 'the log keeps no words of the error')
  const decisions = records.filter(({ type }) => type === 'decision')
  t.equal(decisions.length, sent, 'and nothing is missing in the log')
  t.same([...new Set(decisions.map(({ origin }) => origin.lane))].sort(), [0, 1, 2])
})

t.test('an only lane is replaced without a refused connection, until it breaks too often', async (t) => {
  let finish: () => void = () => {}
  const mayFinish = new Promise<void>((resolve) => {
    finish = resolve
  })
  let asked = 0
  const { gateway, breakSeat } = await startBreakable(t, 1, () => {
    asked += 1
    return mayFinish
  })
  let failure: Error | undefined
  void gateway.gateway.failed.then((error) => {
    failure = error
  })
  const slow = gateway.infer('m', tensorOf('x', [1]))
  await eventually(() => asked === 1)
  let isOver = false
  const told: (number | string)[] = []
  const knocking = (async () => {
    // Each on a connection of its own.
    while (!isOver) {
      told.push(await ask(gateway.port, '/v2/health/live').then(({ status }) => status, String))
      await pause(10)
    }
  })()
  for (let count = 0; count < RESTARTS_MAX; count += 1) {
    breakSeat(count % 2)
    await eventually(async () => (await restartsOf(gateway, 0)) === count + 1, WITHIN)
    finish()
    await eventually(() => gateway.log.filter((line) => /has ended/.test(line)).length === count + 1, WITHIN)
  }
  t.equal((await slow).status, 200, 'the request that was there before')
  t.equal((await gateway.infer('m', tensorOf('x', [1]))).status, 200, 'so far it serves')
  isOver = true
  await knocking
  t.ok(told.length > 5)
  t.same([...new Set(told)], [200], 'nobody was refused')
  breakSeat(RESTARTS_MAX % 2)
  await eventually(() => failure !== undefined)
  t.match(
    failure?.message,
    /^5 lanes were replaced within 60 s, and lane 0 had another error that nobody caught: TypeError: cannot go on/,
  )
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
