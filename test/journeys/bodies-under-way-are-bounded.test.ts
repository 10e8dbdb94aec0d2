/** Many bodies, each within its limit, do not fill the memory together: who finds no room is told at once. */
import { connect } from 'node:net'
import t from 'tap'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf } from '../support/read-records.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const MIB = 1024 * 1024
const BODY = Buffer.alloc(MIB, 'x')
const MEMORY_MIB = 8
/** Of them for requests; the rest is for answers. */
const ROOM = 6

/** Answers when `go` is called; a target with "failing" by 500 and a MiB, any other by two bytes. */
async function heldUpstream() {
  const waiting: (() => void)[] = []
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      await new Promise<void>((resolve) => waiting.push(resolve))
      const isFailing = target.includes('failing')
      connection.send(
        `HTTP/1.1 ${isFailing ? '500 No' : '200 OK'}\r\ncontent-length: ${isFailing ? MIB : 2}\r\n\r\n`,
      )
      connection.send(isFailing ? BODY : 'ok')
    }
  })
  t.teardown(() => upstream.close())
  const go = () => {
    for (const answer of waiting.splice(0)) answer()
  }
  return { url: upstream.url, waiting, go }
}

const [crowded, left, failing] = [await heldUpstream(), await heldUpstream(), await heldUpstream()]
const gateway = await startTestGateway(t, {
  toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
data_dir = "data"
limits = { memory = "${MEMORY_MIB}MiB" }
${Object.entries({ crowded, left, failing })
  .map(
    ([name, { url }]) =>
      `[models.${name}]\nprotocol = "raw"\n${PATIENT}\n[models.${name}.versions.v1]\nendpoints = ["${url}"]\n`,
  )
  .join('')}`,
})
const post = (model: string) => ask(gateway.port, `/models/${model}/`, { method: 'POST', body: BODY })

t.test('bodies that find no room are refused at once, those that did are served', async (t) => {
  // Three times: all memory comes back.
  for (let round = 0; round < 3; round += 1) {
    const served = Array.from({ length: ROOM }, () => post('crowded'))
    await eventually(() => crowded.waiting.length === ROOM)
    const refused = await Promise.all([post('crowded'), post('crowded')])
    for (const { status, headers, text } of refused) {
      t.equal(status, 503)
      t.match(headers, { 'modelgate-error': 'memory-exhausted', 'retry-after': '1' })
      t.match(text, /server\.limits\.memory/)
    }
    const { fault, attempts } = await decisionOf(gateway.dataDir, refused[0]!.headers['modelgate-request-id'])
    t.match(fault, { code: 'memory-exhausted' })
    t.equal(attempts.length, 0)
    t.equal((await ask(gateway.port, '/v2/health/live')).status, 200, 'what has no body goes on')
    crowded.go()
    t.same(new Set((await Promise.all(served)).map(({ status }) => status)), new Set([200]))
  }
  const metrics = await metricsOf(gateway)
  t.equal(metrics.sum('modelgate_faults_total', { code: 'memory-exhausted' }), 6)
})

t.test('who leaves in the middle of a body, or while it waits, gives its room back', async (t) => {
  const open = async () => (await metricsOf(gateway)).value('modelgate_open_connections')
  await eventually(async () => (await open()) === 0)
  for (const sent of [BODY.length / 2, BODY.length]) {
    const callers = Array.from({ length: 3 }, () => {
      const socket = connect(gateway.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`POST /models/left/ HTTP/1.1\r\nhost: a\r\ncontent-length: ${BODY.length}\r\n\r\n`)
      socket.write(BODY.subarray(0, sent))
      return socket
    })
    if (sent === BODY.length) await eventually(() => left.waiting.length === 3)
    else await eventually(async () => (await open()) === 3)
    for (const socket of callers) socket.resetAndDestroy()
    await eventually(async () => (await open()) === 0)
    left.waiting.splice(0)
  }
  const served = Array.from({ length: ROOM }, () => post('left'))
  await eventually(() => left.waiting.length === ROOM)
  left.go()
  t.same(new Set((await Promise.all(served)).map(({ status }) => status)), new Set([200]))
})

t.test(
  'answers that must be held take room, too, and one without is the gateway’s doing, not the version’s',
  async (t) => {
    const asked = Array.from({ length: 2 * MEMORY_MIB }, () => ask(gateway.port, '/models/failing/failing'))
    await eventually(() => failing.waiting.length === 2 * MEMORY_MIB)
    failing.go()
    const told = await Promise.all(asked)
    const passed = told.filter(({ status }) => status === 500)
    const refused = told.filter(({ status }) => status === 503)
    t.ok(
      passed.length >= 1 && passed.length <= 2 * MEMORY_MIB,
      `${passed.length} got the endpoint’s own words`,
    )
    t.equal(passed.length + refused.length, 2 * MEMORY_MIB)
    for (const { headers } of refused) {
      t.match(headers, { 'modelgate-error': 'memory-exhausted' })
      const { attempts } = await decisionOf(gateway.dataDir, headers['modelgate-request-id'])
      t.match(attempts, [{ faultCode: 'memory-exhausted', verdict: 'neutral' }])
    }
  },
)
