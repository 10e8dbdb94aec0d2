import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { decisionsIn } from '../support/read-records.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { javascriptModel } from '../support/start-gateway.ts'

const config = (more: string, port: number) => `
[server]
listen = "127.0.0.1:${port}"
admin = "127.0.0.1:0"
lanes = 1
grace = "5s"
${more}
[models.m.versions.v1]
runtime = "javascript"
file = "plain.js"
`
const FILES = { 'plain.js': javascriptModel('row[0] + 1') }
const infer = (port: number) =>
  ask(port, '/v2/models/m/infer', {
    body: tensorOf('x', [1]),
    headers: { 'content-type': 'application/json' },
  })

/** Free a moment ago. */
async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  listener.close()
  await once(listener, 'close')
  return port
}

/** Callers that connect anew for each request, until they are told to stop; to whatever was not a 200. */
function callers(t: Test, port: number) {
  const state = { isOver: false, answered: 0 }
  const troubles: string[] = []
  const running = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!state.isOver) {
        const end = await infer(port).then(({ status }) => (status === 200 ? '' : `status ${status}`), String)
        if (end === '') state.answered += 1
        else troubles.push(end)
      }
    }),
  )
  t.teardown(() => {
    state.isOver = true
  })
  return {
    state,
    async finish() {
      state.isOver = true
      await running
      return troubles
    },
  }
}

t.test('a stop serves as before for drain_delay, while readiness says no already', async (t) => {
  const { configFile, dataDir } = writeSetup(t, config('drain_delay = "1500ms"', 0), FILES)
  const gateway = serve(t, configFile)
  const { port, adminPort } = await gateway.ports()
  t.equal((await ask(adminPort, '/readyz')).status, 200)
  const load = callers(t, port)
  await eventually(() => load.state.answered > 5)
  const stoppedAt = performance.now()
  gateway.signal('SIGTERM')
  await eventually(async () => (await ask(adminPort, '/readyz')).status === 503)
  if (performance.now() - stoppedAt < 1000) t.equal((await infer(port)).status, 200, 'who comes is served')
  // A load balancer that asks for readiness has turned its callers away by now.
  t.same(await load.finish(), [], 'nobody was refused')
  t.match(await gateway.exited, { code: 0 })
  t.ok(performance.now() - stoppedAt >= 1500, 'it waited')
  t.ok((await decisionsIn(dataDir)).length >= load.state.answered, 'and all of it is recorded')
})

t.test('with share_port a new process takes over from an old one while callers keep coming', async (t) => {
  const port = await freePort()
  const old = writeSetup(t, config('share_port = true', port), FILES)
  const secondFile = join(dirname(old.configFile), 'second.toml')
  writeFileSync(secondFile, config('share_port = true\ndata_dir = "data-2"', port))
  const first = serve(t, old.configFile)
  await first.ports()
  const load = callers(t, port)
  await eventually(() => load.state.answered > 20)
  const second = serve(t, secondFile)
  const { adminPort } = await second.ports()
  t.equal((await ask(adminPort, '/readyz')).status, 200)
  first.signal('SIGTERM')
  t.match(await first.exited, { code: 0 })
  const before = load.state.answered
  await eventually(() => load.state.answered > before + 20)
  await pause(100)
  t.same(await load.finish(), [], 'nobody was refused, reset or cut')
  second.signal('SIGTERM')
  t.match(await second.exited, { code: 0 })
  const inFirst = (await decisionsIn(old.dataDir)).length
  const inSecond = (await decisionsIn(`${old.dataDir}-2`)).length
  t.ok(inFirst > 0 && inSecond > 0)
  t.equal(inFirst + inSecond, load.state.answered, 'each answer is in one of the two logs')
})

t.test('without share_port a second process is refused, and says how', async (t) => {
  const port = await freePort()
  const old = writeSetup(t, config('', port), FILES)
  const secondFile = join(dirname(old.configFile), 'second.toml')
  writeFileSync(secondFile, config('data_dir = "data-2"', port))
  const first = serve(t, old.configFile)
  await first.ports()
  const second = serve(t, secondFile)
  t.match(await second.exited, { code: 3 })
  t.match(second.stderr, /is taken by another process; stop it or change server\.listen/)
})
