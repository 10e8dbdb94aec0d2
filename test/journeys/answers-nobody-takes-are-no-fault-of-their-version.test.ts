import t from 'tap'
import { eventually } from '../support/eventually.ts'
import { PATIENCE } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionsIn, streamOf } from '../support/read-records.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'

const toml = (url: string) => `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
grace = "200ms"

[models.m]
protocol = "raw"
timeouts = { ${PATIENCE} }
breaker = { min_requests = 1, consecutive = 1, failure_rate = 0.01, slow_after = "20s" }
[models.m.versions.v1]
endpoints = ["${url}"]
`

const whole = await ScriptedUpstream.start(async (connection) => {
  const { target } = await connection.request()
  const bytes = Number(target.slice(1))
  connection.send(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${bytes}\r\n\r\n`)
  connection.send(Buffer.alloc(bytes))
})
t.teardown(() => whole.close())
const gateway = await startTestGateway(t, { toml: toml(whole.url) })
const streamsEnded = async () => (await metricsOf(gateway)).sum('modelgate_streams_total', { model: 'm' })

// How much the kernels take of an answer that nobody reads is not known, and differs a little from time to time.
let [low, high] = [256 * 1024, 16 * 1024 * 1024]

/** A caller that reads nothing, of an answer that its version has finished and the caller has not taken. */
async function heldForItsCaller(): Promise<StreamCaller> {
  const before = await streamsEnded()
  for (let asked = before + 1; asked <= before + 60; asked += 1) {
    const bytes = Math.round((low + high) / 2)
    const caller = await StreamCaller.ask(gateway.port, rawGet('m', String(bytes)), false)
    const first = await stateOf(asked)
    const state = first === 'waits' ? await stateOf(asked) : first
    if (state === 'waits') {
      ;[low, high] = [bytes - 64 * 1024, bytes + 64 * 1024]
      return caller
    }
    caller.leave()
    if (state === 'taken') low = bytes
    else high = bytes
    if (high - low < 32 * 1024) [low, high] = [low - 256 * 1024, high + 256 * 1024]
    await eventually(async () => (await streamsEnded()) === asked)
  }
  throw new Error('no answer waits for its caller alone')
}

/** Of the last of so many: the kernels took it, it waits in the gateway for its caller alone, or its version is busy. */
function stateOf(asked: number): Promise<'taken' | 'waits' | 'busy'> {
  const since = performance.now()
  return eventually(async () => {
    const metrics = await metricsOf(gateway)
    if (metrics.sum('modelgate_streams_total', { model: 'm' }) === asked) return 'taken'
    if (metrics.value('modelgate_streams_open', { model: 'm', version: 'v1' }) !== 1) return false
    if (metrics.value('modelgate_requests_running', { model: 'm' }) === 0) return 'waits'
    return performance.now() - since > 100 && 'busy'
  })
}

t.test('whoever leaves what its version has finished is told apart from a version that failed', async (t) => {
  const caller = await heldForItsCaller()
  caller.leave()
  const { id } = (await decisionsIn(gateway.dataDir)).at(-1)!
  t.match(await streamOf(gateway.dataDir, id), {
    fate: 'client-gone',
    fault: { code: 'client-gone' },
    attempt: { verdict: 'success', faultCode: '' },
  })
})

t.test(
  'a gateway that stops before its caller took the rest says that it was the one that left',
  async (t) => {
    const caller = await heldForItsCaller()
    t.same(await gateway.stop(), { abandoned: 1 })
    const { id } = (await decisionsIn(gateway.dataDir)).at(-1)!
    t.match(await streamOf(gateway.dataDir, id), {
      fate: 'broken',
      fault: { code: 'draining' },
      attempt: { verdict: 'success', faultCode: '' },
    })
    caller.socket.resume()
    t.equal((await caller.told).end, 'cut')
  },
)
