import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { Metrics } from '../support/read-metrics.ts'
import { decisionsIn, recordsIn } from '../support/read-records.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { fill, onSmallDisk } from '../support/small-disk.ts'

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

const versionAt = (url: string) => `versions = { v1 = { endpoints = ["${url}"] } }\n`

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
  const running = await onSmallDisk(t, `[models.m]\nprotocol = "raw"\n${PATIENT}\n${versionAt(upstream.url)}`)
  if (running === null) return
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

t.test('a full disk keeps nobody from a best-effort model, and the log counts what it lost', async (t) => {
  let asked = 0
  const upstream = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      const { target } = await connection.request()
      if (target.startsWith('/sure')) asked += 1
      connection.send(ANSWERS.small!)
    }
  })
  t.teardown(() => upstream.close())
  const modelOf = (name: string, mode: string) =>
    `[models.${name}]\nprotocol = "raw"\n${PATIENT}\naudit = { mode = "${mode}" }\n${versionAt(upstream.url)}`
  const running = await onSmallDisk(t, modelOf('quick', 'best-effort') + modelOf('sure', 'durable'))
  if (running === null) return
  const { gateway, port, adminPort, disk } = running
  const ids: unknown[] = []
  const statusOf = async (model: string): Promise<number> => {
    const { status, headers } = await ask(port, `/models/${model}/${model}`)
    ids.push(headers['modelgate-request-id'])
    return status
  }
  t.same([await statusOf('quick'), await statusOf('sure')], [200, 200])
  const ballast = join(disk, 'ballast')
  fill(ballast)
  await eventually(async () => (await statusOf('sure')) === 503, { until: 'the disk is full' })
  const before = asked
  for (let count = 0; count < 20; count += 1) {
    t.equal(await statusOf('quick'), 200)
    t.equal(await statusOf('sure'), 503)
  }
  t.equal(asked, before, 'no endpoint is asked for what could not be made sure')
  const ready = async () => (await ask(adminPort, '/readyz')).status
  await eventually(async () => (await ready()) === 503, { until: 'readiness says so' })
  rmSync(ballast)
  await eventually(async () => (await statusOf('sure')) === 200, { until: 'served again' })
  await eventually(async () => (await ready()) === 200, { until: 'ready again' })
  const records = await recordsIn(disk)
  const known = new Set(records.flatMap((record) => (record.type === 'decision' ? [record.decision.id] : [])))
  const missing = ids.filter((id) => !known.has(String(id))).length
  let counted = 0
  for (const record of records) if (record.type === 'gap') counted += Number(record.note.records)
  t.ok(missing >= 40, `${missing} of ${ids.length} are not in the log`)
  const metrics = new Metrics((await ask(adminPort, '/metrics')).text)
  t.equal(counted, metrics.value('modelgate_log_records_lost_total', {}), 'and it says of how many')
  // That an answer was withheld is a record, too, and may be lost like any.
  const withheld = metrics.value('modelgate_log_answers_withheld_total', {})
  t.ok(missing <= counted && counted <= missing + withheld, `${counted} lost, ${withheld} withheld`)
  await gateway.kill()
})
