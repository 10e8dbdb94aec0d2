/** A process that may open few files: a crowd beyond its share is turned away, nothing else suffers, and it recovers. */
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { verifyLog } from '../../src/audit/verify/verify-log.ts'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { decisionsIn } from '../support/read-records.ts'
import { answering, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { rawGet } from '../support/stream-caller.ts'

const FILES_MAX = 170
const CROWD = 400
const WITHIN = ['bash', '-c', `ulimit -n ${FILES_MAX} && exec "$@"`, '--']

const SERVER = '[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\n'
const modelOf = (name: string, url: string) =>
  `[models.${name}]\nprotocol = "raw"\n${PATIENT}\n[models.${name}.versions.v1]\nendpoints = ["${url}"]\n`
const NAMES = ['a', 'b', 'c'] as const

t.test('a process that may open few files keeps to shares of them', async (t) => {
  const upstream = await ScriptedUpstream.start(answering('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  let answers = 0
  const slow: Script = async (connection) => {
    for (;;) {
      await connection.request()
      await connection.pause(20)
      answers += 1
      connection.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    }
  }
  const upstreams = await Promise.all(NAMES.map(() => ScriptedUpstream.start(slow)))
  t.teardown(() => Promise.all([upstream, ...upstreams].map((one) => one.close())))
  const models = [...upstreams, upstream].map(({ url }, index) => modelOf(NAMES[index] ?? 'm', url))
  const { configFile, dataDir } = writeSetup(t, SERVER + models.join(''))
  const gateway = serve(t, configFile, WITHIN)
  const { port, adminPort } = await gateway.ports()
  const told = /at most (\d+) client connections, not 20000 .*may open 170 files/.exec(gateway.stderr)
  const share = Number(told?.[1])
  t.ok(share > 8 && share < FILES_MAX, `the operator is told: ${gateway.stderr}`)

  await t.test('connections to endpoints: who finds none waits, and idle ones make room', async (t) => {
    // As many clients as there may be, all at one endpoint, then all at the next: idle connections must give way.
    for (const name of NAMES) {
      const asked = Array.from({ length: share - 2 }, () => ask(port, `/models/${name}/`))
      const statuses = (await Promise.all(asked)).map(({ status }) => status)
      t.same(new Set(statuses), new Set([200]), `${name}: every caller is answered`)
    }
    t.equal(answers, NAMES.length * (share - 2))
    const open = upstreams.reduce((sum, { openCount }) => sum + openCount, 0)
    t.ok(open > 0 && open <= FILES_MAX / 2, `${open} connections are kept to three endpoints`)
  })

  await t.test('a crowd larger than they are is turned away, and who came before it is served', async (t) => {
    const early = connect(port, '127.0.0.1')
    t.teardown(() => early.destroy())
    let answers = 0
    early.on('data', (bytes) => {
      answers += bytes.toString('latin1').split('\r\n\r\nok').length - 1
    })
    const askEarly = async () => {
      const before = answers
      early.write(rawGet('m'))
      await eventually(() => answers > before, { until: 'who came first is answered' })
    }
    await askEarly()
    const crowd: Socket[] = []
    let turnedAway = 0
    for (let count = 0; count < CROWD; count += 1) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.on('close', () => {
        turnedAway += 1
      })
      crowd.push(socket)
    }
    t.teardown(() => {
      for (const socket of crowd) socket.destroy()
    })
    await eventually(() => turnedAway >= CROWD - share, { until: 'the crowd is turned away' })
    for (let count = 0; count < 5; count += 1) await askEarly()
    t.equal((await ask(adminPort, '/readyz')).status, 200, 'the admin port is open')
    for (const socket of crowd) socket.destroy()
    await eventually(async () => (await ask(port, '/models/m/').catch(() => null))?.status === 200, {
      until: 'others are served again',
    })
    early.destroy()
    gateway.signal('SIGTERM')
    t.match(await gateway.exited, { code: 0 })
    t.notMatch(gateway.stderr, /deleted|cannot be written|bug/)
    t.equal(
      (await decisionsIn(dataDir)).filter(({ model, status }) => model === 'm' && status === 200).length,
      7,
    )
    t.match(verifyLog(dataDir), { isWhole: true, tailBytes: 0 })
  })
})
