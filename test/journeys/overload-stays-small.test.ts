import { Agent } from 'node:http'
import t from 'tap'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { BusyEndpoint } from '../support/busy-endpoint.ts'
import { overload } from '../support/overload-scenario.ts'
import { decisionsIn } from '../support/read-records.ts'
import { startTestGateway } from '../support/start-gateway.ts'

/** Answers that the endpoint can give during the overload. */
const CAPACITY = 4 * 15

t.test(
  'ten times too many callers: the model works on, refusals come at once, and it ends with them',
  async (t) => {
    const report = await overload(t, {
      places: 4,
      serviceMs: 100,
      lanes: 2,
      triggerMs: 1_500,
      wellInARow: 20,
    })
    const words = JSON.stringify(report)
    t.ok(report.goodput >= 0.9, `the places are in use all the time: ${words}`)
    t.equal(report.withRetryAfter, report.refused, words)
    t.equal(report.most, 4, 'limits.concurrent holds over both lanes')
    t.same([report.other.failed, report.other.waited], [0, 0], `another model knows nothing of it: ${words}`)
    t.ok(report.other.asked > 20, words)
    // Callers and endpoint are on this machine, too: where they could not keep up, times say nothing.
    if (report.unsent > 0 || report.answered < CAPACITY / 2) {
      t.comment(`this machine is too busy to tell how long things take: ${words}`)
      return
    }
    t.ok(report.refused > 5 * report.answered, words)
    t.ok(report.refusalMs.p90 <= 5, words)
    // Where places are held in step they are freed in step, which the estimate, a mean, cannot know: in each of two lanes
    // two may hope at a time, for 50 of the 100 ms that a place is held. That makes 8 of 36 who are refused.
    t.ok(report.inVain <= report.refused / 3, `most are told at the door: ${words}`)
    t.ok(report.recovery.requests <= 20, words)
  },
)

t.test(
  'over two lanes nobody waits much longer than others, whichever lane a connection came to',
  async (t) => {
    const endpoint = await BusyEndpoint.start(t, { places: 8, serviceMs: 20 })
    const gateway = await startTestGateway(t, {
      toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
data_dir = "data"
[models.m]
limits = { concurrent = 1, queue = 512 }
timeouts = { queue = "20s", first_byte = "20s", total = "20s" }
breaker = { enforce = false }
[models.m.versions.v1]
endpoints = ["${endpoint.upstream.url}"]
`,
    })
    // A connection stays with its lane, and each lane has about half of them: lines of its own all the while.
    const caller = async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const asked = { body: tensorOf('x', [1]), headers: JSON_TYPE, agent }
      for (let count = 0; count < 5; count += 1) {
        t.equal((await gateway.ask('/v2/models/m/infer', asked)).status, 200)
      }
      agent.destroy()
    }
    await Promise.all(Array.from({ length: 16 }, caller))
    t.equal(endpoint.most, 1, 'one place over both lanes')
    const waits = (await decisionsIn(gateway.dataDir)).map(({ attempts }) => attempts[0]!.queueMs)
    const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length
    const longest = Math.max(...waits)
    t.ok(longest < 2 * mean + 100, `the longest wait is ${longest} ms, the mean ${mean}`)
  },
)
