import { Agent } from 'node:http'
import t from 'tap'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { BusyEndpoint } from '../support/busy-endpoint.ts'
import { overload } from '../support/overload-scenario.ts'
import { PATIENCE } from '../support/patient.ts'
import { decisionsIn } from '../support/read-records.ts'
import { startTestGateway } from '../support/start-gateway.ts'

/** Fewest of the answers that an endpoint can give where it, and the machine, are said to have kept their pace. */
const PACE = 0.75

t.test(
  'ten times too many callers: the model works on, refusals come at once, and it ends with them',
  async (t) => {
    const report = await overload(t, {
      places: 4,
      serviceMs: 100,
      lanes: 2,
      triggerMs: 1_500,
      wellInARow: 10,
    })
    const words = JSON.stringify(report)
    // A machine that stalls spoils some of these pieces of time; it makes none better.
    const best = Math.max(...report.slices.map(({ goodput }) => goodput))
    t.ok(best >= 0.9, `the places are in use all the time: ${words}`)
    t.ok(report.refused > 0, words)
    t.equal(report.withRetryAfter, report.refused, words)
    t.equal(report.most, 4, 'limits.concurrent holds over both lanes')
    t.equal(report.other.failed, 0, `another model knows nothing of it: ${words}`)
    t.ok(report.other.waited <= report.other.asked / 10, `nor do its requests wait: ${words}`)
    t.ok(report.refusalMs.p50 <= 5, `who is refused at the door is refused at once: ${words}`)
    const steady = report.slices.filter(({ pace, refused }) => pace >= PACE && refused > 0)
    // Callers and endpoint are on this machine, too: where they cannot keep up, no gateway can foresee who waits in vain.
    if (steady.length === 0) t.comment(`this machine is too busy to tell who should have waited: ${words}`)
    // Where places are held in step they are freed in step, which the estimate, a mean, cannot know: in each of two lanes
    // two may hope at a time, for 50 of the 100 ms that a place is held. That makes 8 of 36 who are refused.
    else {
      const inVain = Math.min(...steady.map(({ inVain, refused }) => inVain / refused))
      t.ok(inVain <= 1 / 3, `most are told at the door: ${words}`)
    }
  },
)

const CALLERS = 8
const ROUNDS = 12
const TIMES = 4

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
timeouts = { ${PATIENCE} }
breaker = { enforce = false }
[models.m.versions.v1]
endpoints = ["${endpoint.upstream.url}"]
`,
    })
    // A connection stays with its lane, and each lane has about half of them: lines of its own all the while.
    const caller = async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const asked = { body: tensorOf('x', [1]), headers: JSON_TYPE, agent }
      for (let count = 0; count < ROUNDS; count += 1) {
        t.equal((await gateway.ask('/v2/models/m/infer', asked)).status, 200)
      }
      agent.destroy()
    }
    // How many others got the place while one waited, not how long that took: a slow machine is slow for all. A lane that
    // gets none while the other has callers is passed by six times as many as there are callers, each time anew; one that
    // the machine did not let run, once.
    let most = Number.POSITIVE_INFINITY
    for (let time = 1; time <= TIMES && most > 4 * CALLERS; time += 1) {
      const before = (await decisionsIn(gateway.dataDir)).length
      await Promise.all(Array.from({ length: CALLERS }, caller))
      const waits = (await decisionsIn(gateway.dataDir)).slice(before).map(({ receivedAt, attempts }) => {
        const { afterMs, queueMs } = attempts[0]!
        return { from: receivedAt + afterMs, until: receivedAt + afterMs + queueMs }
      })
      t.equal(waits.length, CALLERS * ROUNDS)
      const passedBy = waits.map(
        ({ from, until }) => waits.filter((other) => other.until > from && other.until < until).length,
      )
      most = Math.max(...passedBy)
    }
    t.equal(endpoint.most, 1, 'one place over both lanes')
    t.ok(most <= 4 * CALLERS, `one waited while ${most} of ${CALLERS} callers’ requests had the place`)
  },
)
