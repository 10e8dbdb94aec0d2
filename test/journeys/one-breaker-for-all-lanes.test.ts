import { EventEmitter, once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENCE } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { recordsIn } from '../support/read-records.ts'
import { plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

/** An endpoint that fails, or is well and answers when it is let, and counts what it is asked. */
async function endpoint(t: Pick<Test, 'teardown'>) {
  const gate = new EventEmitter().setMaxListeners(0)
  const state = { isWell: true, asked: 0, isHeld: false, release: () => gate.emit('open') }
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      await connection.request()
      state.asked += 1
      if (state.isHeld) await once(gate, 'open')
      connection.send(state.isWell ? WELL : plainAnswer(500, 'ill'))
    }
  })
  t.teardown(() => upstream.close())
  return { state, url: upstream.url }
}

const model = (name: string, url: string, breaker: string) => `
[models.${name}]
timeouts = { ${PATIENCE} }
limits = { concurrent = 2000, queue = 2000 }
breaker = { slow_after = "20s", ${breaker} }
[models.${name}.versions.v1]
endpoints = ["${url}"]
`

const CALLERS = 400
const PROBES = 4

const probed = await endpoint(t)
const counted = await endpoint(t)
const gateway = await startTestGateway(t, {
  toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
${model('probed', probed.url, `consecutive = 3, open_for = "100ms", open_for_max = "100ms", probes = ${PROBES}`)}
${model('counted', counted.url, 'window = "10m", consecutive = 1000, min_requests = 30, failure_rate = 0.5, open_for = "10m", open_for_max = "10m"')}
`,
})

const ask = (model: string) => gateway.infer(model, tensorOf('x', [1]))
const askAll = (model: string, count: number) => Promise.all(Array.from({ length: count }, () => ask(model)))

/** Which lanes have decided how many requests of a model so far. */
async function decidedOf(model: string): Promise<{ lanes: readonly number[]; count: number }> {
  const lanes = (await recordsIn(gateway.dataDir)).flatMap((one) =>
    one.type === 'decision' && one.decision.model === model ? [one.origin.lane] : [],
  )
  return { lanes: [...new Set(lanes)].sort(), count: lanes.length }
}

t.test(
  'of hundreds of callers at once over two lanes, as many try a version as there are probes',
  async (t) => {
    const { state } = probed
    state.isWell = false
    for (let count = 0; count < 3; count += 1) await ask('probed')
    state.isWell = true
    // Whoever may try is under way until all others have been answered.
    state.isHeld = true
    await pause(130)
    const before = state.asked
    let answered = 0
    const asking = Array.from({ length: CALLERS }, async () => {
      const one = await ask('probed')
      answered += 1
      return one
    })
    await eventually(() => answered === CALLERS - PROBES, { until: 'all but the probes are refused' })
    state.isHeld = false
    state.release()
    const told = await Promise.all(asking)
    t.equal(state.asked - before, PROBES, 'the endpoint saw the probes and nobody else')
    t.equal(told.filter(({ status }) => status === 200).length, PROBES)
    const refused = told.filter(({ headers }) => headers['modelgate-error'] === 'breaker-open')
    t.equal(refused.length, CALLERS - PROBES, 'all others were refused by the breaker')
    t.ok(refused.every(({ headers }) => headers['retry-after'] !== undefined))
    await eventually(async () => (await decidedOf('probed')).count === CALLERS + 3)
    t.same((await decidedOf('probed')).lanes, [0, 1], 'both lanes were asked')

    t.ok(
      (await askAll('probed', 30)).every(({ status }) => status === 200),
      'the four closed it for both lanes',
    )
    const metrics = await metricsOf(gateway)
    const of = { model: 'probed', version: 'v1' }
    t.same(
      ['closed', 'half-open', 'open'].map((name) =>
        metrics.value('modelgate_breaker_state', { ...of, state: name }),
      ),
      [1, 0, 0],
    )
    t.equal(metrics.value('modelgate_breaker_opens_total', of), 1)
    t.equal(metrics.value('modelgate_breaker_refusals_total', of), CALLERS - PROBES)
    const changes = async () =>
      (await recordsIn(gateway.dataDir)).flatMap((one) => (one.type === 'breaker' ? [one.note] : []))
    const notes = await eventually(async () => (await changes()).length >= 3 && changes(), {
      until: 'the changes are recorded',
    })
    t.match(
      notes.sort(({ at: one }, { at: other }) => Number(one) - Number(other)),
      [
        { from: 'closed', to: 'open', cause: /^3 requests failed in a row/ },
        { from: 'open', to: 'half-open', cause: /now 4 probes may try/ },
        { from: 'half-open', to: 'closed', cause: '4 of 4 probes succeeded' },
      ],
      'each change is recorded once, by the lane that made it',
    )
    t.equal(notes.length, 3)
  },
)

t.test(
  'failures that are spread over lanes count together, and one lane’s finding holds for all',
  async (t) => {
    const { state } = counted
    state.isWell = false
    // Each request comes on a connection of its own: about half reach each lane, and neither sees 30.
    for (let count = 0; count < 30; count += 1) await ask('counted')
    t.same((await decidedOf('counted')).lanes, [0, 1])
    const told = (await gateway.admin('/api/v1/breakers')).json() as {
      breakers: readonly {
        model: string
        state: string
        why: string
        opens: number
        changes: readonly unknown[]
      }[]
    }
    const [breaker] = told.breakers.filter(({ model }) => model === 'counted')
    t.match(breaker, { state: 'open', opens: 1, why: /^30 of 30 requests failed in 600 s/ })
    t.equal(breaker?.changes.length, 1, 'told once')
    const after = await askAll('counted', 40)
    t.ok(
      after.every(({ headers }) => headers['modelgate-error'] === 'breaker-open'),
      'no lane lets anybody through',
    )
    t.equal(state.asked, 30)
  },
)
