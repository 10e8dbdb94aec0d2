/** A gateway whose lanes a test can break (breaking-lane.ts), before an endpoint that answers when it may. */
import type { Test } from 'tap'
import { PATIENT } from './patient.ts'
import { plainAnswer, ScriptedUpstream } from './scripted-upstream.ts'
import { startTestGateway } from './start-gateway.ts'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

/** `mayAnswer` is awaited after each request. */
export async function startBreakable(t: Test, lanes: number, mayAnswer: () => unknown = () => {}) {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      await connection.request()
      await mayAnswer()
      connection.send(WELL)
    }
  })
  t.teardown(() => upstream.close())
  const orders = new BroadcastChannel('break-lanes')
  t.teardown(() => orders.close())
  const gateway = await startTestGateway(t, {
    laneEntry: new URL('./breaking-lane.js', import.meta.url),
    toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = ${lanes}
grace = "20s"
[models.m]
${PATIENT}
[models.m.versions.v1]
endpoints = ["${upstream.url}"]
`,
  })
  const breakSeat = (seat: number) => orders.postMessage({ seat, until: null })
  /** From soon on its loop does not turn, until the returned function is called. */
  const holdSeat = (seat: number): (() => void) => {
    const until = new Int32Array(new SharedArrayBuffer(4))
    orders.postMessage({ seat, until })
    const wake = () => {
      Atomics.store(until, 0, 1)
      Atomics.notify(until, 0)
    }
    t.teardown(wake)
    return wake
  }
  return { gateway, breakSeat, holdSeat }
}
