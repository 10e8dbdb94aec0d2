/** A gateway whose lanes a test can break (breaking-lane.ts), before an endpoint that answers after a while. */
import type { Test } from 'tap'
import { plainAnswer, ScriptedUpstream } from './scripted-upstream.ts'
import { startTestGateway } from './start-gateway.ts'

const WELL = plainAnswer(200, '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[7]}]}', [
  'content-type: application/json',
])

export async function startBreakable(t: Test, lanes: number, answerMs: number) {
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
    laneEntry: new URL('./breaking-lane.js', import.meta.url),
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
