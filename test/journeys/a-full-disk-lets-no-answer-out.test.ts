import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { Metrics } from '../support/read-metrics.ts'
import { decisionsIn } from '../support/read-records.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'

const LARGE = Buffer.alloc(1024 * 1024, 'x')
const EVENT = 'data: 1\n\n'
const ANSWERS: Readonly<Record<string, Buffer>> = {
  small: Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  large: Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${LARGE.length}\r\n\r\n`), LARGE]),
  events: Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\n${EVENT}\r\n0\r\n\r\n`,
  ),
}
const WAYS = Object.keys(ANSWERS)

/** A gateway whose data lies on a disk of 3 MiB that nobody else sees but through `/proc`. Null where that is not allowed. */
async function onSmallDisk(t: Test, url: string) {
  const { configFile, dataDir } = writeSetup(
    t,
    `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\n[models.m]\nprotocol = "raw"\n${PATIENT}\n[models.m.versions.v1]\nendpoints = ["${url}"]\n`,
  )
  mkdirSync(dataDir)
  const mount = `mount -t tmpfs -o size=3m none '${dataDir}'`
  if (spawnSync('unshare', ['-rm', 'sh', '-c', mount]).status !== 0) return null
  const gateway = serve(t, configFile, ['unshare', '-rm', 'sh', '-c', `${mount} && exec "$@"`, 'sh'])
  const { port, adminPort } = await gateway.ports()
  return { gateway, port, adminPort, disk: join(`/proc/${gateway.pid}/root`, dataDir) }
}

/** Leaves no free byte. */
function fill(file: string): void {
  for (const bytes of [64 * 1024, 1024, 1]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
    } catch {
      // No room for as much any more.
    }
  }
}

t.test('a full disk lets no answer out, small, large or streamed, and serves again with room', async (t) => {
  let asked = 0
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      asked += 1
      connection.send(ANSWERS[target.slice(1)]!)
    }
  })
  t.teardown(() => upstream.close())
  const running = await onSmallDisk(t, upstream.url)
  if (running === null) {
    t.comment('SKIPPED: this system lets nobody mount a small tmpfs')
    return
  }
  const { gateway, port, adminPort, disk } = running
  const recorded: unknown[] = []
  const answersTo = async (way: string): Promise<number> => {
    const told = await ask(port, `/models/m/${way}`)
    if (told.status === 200) {
      recorded.push(told.headers['modelgate-request-id'])
      if (way === 'large' && !told.body.equals(LARGE)) t.fail('a large answer came changed')
    } else if (
      told.headers['modelgate-error'] !== 'audit-unavailable' ||
      told.headers['retry-after'] !== '1'
    ) {
      t.fail(`${told.status} ${JSON.stringify(told.headers)}`)
    }
    return told.status
  }
  for (const way of WAYS) t.equal(await answersTo(way), 200, way)
  for (const way of WAYS) {
    const ballast = join(disk, 'ballast')
    fill(ballast)
    // What is left of the last page takes a few more; the first that is refused has been asked, those behind it have not.
    await eventually(async () => (await answersTo(way)) === 503, { until: `${way}: refused` })
    const before = asked
    for (let count = 0; count < 3; count += 1) t.equal(await answersTo(way), 503, way)
    t.equal(asked, before, `${way}: no endpoint is asked for what could not be recorded`)
    rmSync(ballast)
    await eventually(async () => (await answersTo(way)) === 200, { until: `${way}: served again` })
  }
  const metrics = new Metrics((await ask(adminPort, '/metrics')).text)
  t.equal(metrics.value('modelgate_streams_open', { model: 'm', version: 'v1' }), 0)
  t.equal(metrics.value('modelgate_requests_running', { model: 'm' }), 0)
  const known = new Set((await decisionsIn(disk)).map(({ id }) => id))
  t.same(
    recorded.filter((id) => !known.has(String(id))),
    [],
    `each of the ${recorded.length} that were answered is in the log`,
  )
  await gateway.kill()
})
