import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, recordsIn } from '../support/read-records.ts'
import { plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const WELL = plainAnswer(200, '{"outputs":[]}', ['content-type: application/json'])
const BODY_BYTES = 160 * 1024

/**
 * Callers whose large bodies are read to the end only to be refused: work for the lane and for nobody else. How many it
 * takes depends on the machine.
 */
function flood(t: Test, port: number) {
  const body = Buffer.alloc(BODY_BYTES, '[1,2]'.padEnd(8))
  body.write('{"inputs":[[1]')
  for (let at = 14; at < BODY_BYTES - 8; at += 8) body.write(',[1,2]  ', at)
  body.write(']]      ', BODY_BYTES - 8)
  const head = `POST /v2/models/busy/infer HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  const sockets: Socket[] = []
  let answers = 0
  let answersAtGrowth = 0
  const add = () => {
    const socket = connect({ port, host: '127.0.0.1' })
    const send = () => {
      socket.write(head)
      socket.write(body)
    }
    socket.on('error', () => {})
    socket.on('connect', send)
    socket.on('data', () => {
      answers += 1
      send()
    })
    sockets.push(socket)
  }
  /** Some more, once all there are were answered: a slow lane is not buried. */
  const grow = () => {
    if (answers - answersAtGrowth < sockets.length) return
    answersAtGrowth = answers
    for (let count = Math.max(64, sockets.length / 2); count > 0; count -= 1) add()
  }
  const stop = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(stop)
  return { grow, stop }
}

t.test(
  'a lane that is short of time goes without shadows first, then low priority, and takes all back',
  async (t) => {
    const upstream = await ScriptedUpstream.start(async (connection) => {
      for (;;) {
        await connection.request()
        connection.send(WELL)
      }
    })
    t.teardown(() => upstream.close())
    const model = (name: string, more = '') => `
[models.${name}]
${PATIENT}
${more}
[models.${name}.versions.v1]
endpoints = ["${upstream.url}"]
[models.${name}.versions.v2]
endpoints = ["${upstream.url}"]
`
    const gateway = await startTestGateway(t, {
      toml: [
        model('copied', 'route = { primary = "v1", shadows = [{ version = "v2" }] }'),
        model('low', 'priority = "low"\nroute = { primary = "v1" }'),
        model('busy', 'route = { primary = "v1" }'),
      ].join(''),
    })
    const ask = (name: string) => gateway.infer(name, tensorOf('x', [1]))
    const level = async () => (await metricsOf(gateway)).value('modelgate_pressure_level', { lane: '0' })
    const shed = async () =>
      (await metricsOf(gateway)).sum('modelgate_shadows_total', { model: 'copied', fate: 'overload' })
    const isServed = () =>
      eventually(async () => (await ask('low')).status === 200, {
        withinMs: 30_000,
        until: 'low priority is served',
      })
    await isServed()

    const { grow, stop } = flood(t, gateway.port)
    // The lane is kept short of time until each has been seen.
    const refused = await eventually(
      async () => {
        grow()
        await pause(20)
        if ((await level()) < 2) return false
        const told = await ask('low')
        return told.status !== 200 && told
      },
      { withinMs: 90_000, until: 'the lane is short of time, and low priority is refused' },
    )
    await eventually(
      async () => {
        grow()
        await ask('copied')
        return (await shed()) >= 1
      },
      { withinMs: 60_000, until: 'a copy is not sent' },
    )
    stop()
    t.equal(refused.status, 503, 'low priority is refused')
    t.match(refused.headers, { 'modelgate-error': 'gateway-overloaded', 'retry-after': '1' })
    t.match(await decisionOf(gateway.dataDir, refused.headers['modelgate-request-id']), {
      attempts: [],
      fault: { code: 'gateway-overloaded', detail: /^priority low: / },
    })
    await eventually(async () => (await level()) === 0, { withinMs: 30_000, until: 'the pressure is gone' })
    await isServed()
    t.match(
      gateway.log.join('\n'),
      /lane 0: pressure level [123], was 0 \(a turn of the loop takes \d+ ms, \d+ % of the heap is in use\): /,
    )
    const levelsIn = async () =>
      (await recordsIn(gateway.dataDir)).flatMap((one) => (one.type === 'pressure' ? [one.note] : []))
    const levels = await eventually(async () => (await levelsIn()).at(-1)?.to === 0 && levelsIn(), {
      until: 'the last change has a record',
    })
    t.match(levels[0], { from: 0, cause: /a turn of the loop takes \d+ ms/, lane: 0 })
    t.ok(levels.some(({ to }) => Number(to) >= 2))
    for (const [index, { from }] of levels.entries()) t.equal(from, levels[index - 1]?.to ?? 0)
  },
)
