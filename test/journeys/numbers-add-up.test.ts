import { EventEmitter, once } from 'node:events'
import { decodeFromCompressedBase64 } from 'hdr-histogram-js'
import t, { type Test } from 'tap'
import type { LogRecord } from '../../src/audit/decode.ts'
import { tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { PATIENCE, PATIENT } from '../support/patient.ts'
import { RawClient } from '../support/raw-client.ts'
import { type Metrics, metricsOf } from '../support/read-metrics.ts'
import { endedDecisions, recordsIn } from '../support/read-records.ts'
import { type ScriptedConnection, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'

const FILES = { 'plus.js': javascriptModel('row[0] + 1') }

const toml = (nobody: number, silent: string, streaming: string) => `
[models.m]
timeouts = { ${PATIENCE} }
breaker = { consecutive = 1000, min_requests = 1000, slow_after = "20s" }
on_failure = { error = ["version:one"] }
[models.m.versions.one]
runtime = "javascript"
file = "plus.js"
[models.m.versions.two]
runtime = "javascript"
file = "plus.js"
[models.m.versions.bad]
endpoints = ["http://127.0.0.1:${nobody}"]
[models.m.route]
primary = "one"
pin = true
shadows = [{ version = "two" }]
[models.s]
${PATIENT}
[models.s.versions.v1]
endpoints = ["${silent}"]
[models.t]
protocol = "raw"
${PATIENT}
[models.t.versions.v1]
endpoints = ["${streaming}"]
`

const HOSTILE = [
  '__proto__',
  'constructor',
  'a%22%7D%201%0Amodelgate_faults_total',
  'M',
  'm%20',
  `${'x'.repeat(500)}`,
]

const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const ONE_EVENT = '9\r\ndata: 1\n\n\r\n'

/** By the request's target: its caller has the stream's beginning. */
const begun = new EventEmitter()

/** Streams one event; then, once its reader has that, ends as the request's path asks for. */
async function stream(connection: ScriptedConnection): Promise<void> {
  const { target } = await connection.request()
  const isBegun = once(begun, target)
  connection.send(EVENTS + ONE_EVENT)
  await isBegun
  if (target.startsWith('/whole')) connection.send('0\r\n\r\n')
  if (target.startsWith('/left')) await connection.closed
  connection.finish()
}

/** Three streams that end well, two that are cut, and one whose caller leaves. */
async function sendStreams({ port }: TestGateway): Promise<void> {
  const begin = async (how: string) => {
    const client = await RawClient.open(port)
    client.send(`POST /models/t/${how} HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}`)
    await once(client.socket, 'data')
    begun.emit(`/${how}`)
    return client
  }
  const answers = await Promise.all(
    ['whole-1', 'cut-1', 'whole-2', 'cut-2', 'whole-3'].map(async (how) => {
      const client = await begin(how)
      const answer = await client.answer()
      client.close()
      return answer
    }),
  )
  t.same(
    answers.map(({ complete }) => complete),
    [true, false, true, false, true],
  )
  const leaver = await begin('left')
  leaver.close()
}

/** Sends requests of every kind, so many of each. */
async function send(gateway: TestGateway, upstream: ScriptedUpstream): Promise<void> {
  const times = (count: number, one: () => Promise<unknown>) =>
    Promise.all(Array.from({ length: count }, one))
  const good = tensorOf('x', [1])
  await times(7, () => gateway.infer('m', good))
  await times(5, () => gateway.infer('m', good, { 'modelgate-pin': 'two' }))
  await times(4, () => gateway.infer('m', good, { 'modelgate-pin': 'bad' }))
  await times(3, () => gateway.infer('m', tensorOf('y', [1])))
  await times(2, () => gateway.infer('m', '{'))
  await Promise.all(HOSTILE.map((name) => gateway.infer(name, good)))
  await times(3, () => gateway.ask('/v2/health/live'))
  await times(2, () => gateway.ask('/v2/models/m/ready'))
  const leaver = await RawClient.open(gateway.port)
  leaver.send(inferBytes('s'))
  await eventually(() => upstream.connectionCount === 1)
  leaver.close()
  await sendStreams(gateway)
}

/** How often each combination of words occurs. */
function countBy(keys: Iterable<readonly string[]>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key.join(' '), (counts.get(key.join(' ')) ?? 0) + 1)
  return counts
}

const classOf = (status: number) => `${Math.floor(status / 100)}xx`

t.test('what was sent, what was counted and what was recorded are the same', async (t) => {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    await connection.request()
    await connection.closed
  })
  t.teardown(() => upstream.close())
  const streaming = await ScriptedUpstream.start(stream)
  t.teardown(() => streaming.close())
  const gateway = await startTestGateway(t, {
    files: FILES,
    toml: toml(await unusedPort(t), upstream.url, streaming.url),
  })
  await send(gateway, upstream)
  const metrics = await eventually(
    async () => {
      const found = await metricsOf(gateway)
      const isOver = found.sum('modelgate_faults_total', { code: 'client-gone' }) === 2
      const isQuiet =
        found.value('modelgate_open_connections') + found.sum('modelgate_requests_running') === 0
      return isOver && isQuiet && found.sum('modelgate_shadows_total') === 19 && found
    },
    { until: 'nobody is connected, and all shadows are told' },
  )
  const requests = (model: string, version: string, reason: string, of: string) =>
    metrics.value('modelgate_requests_total', { model, version, reason, class: of })
  t.equal(requests('m', 'one', 'primary', '2xx'), 7 + 2, 'inferences and questions about readiness')
  t.equal(requests('m', 'two', 'pin', '2xx'), 5)
  t.equal(requests('m', 'one', 'fallback', '2xx'), 4)
  t.equal(requests('m', '(none)', 'none', '4xx'), 3 + 2)
  t.equal(requests('(unknown)', '(none)', 'none', '4xx'), HOSTILE.length)
  t.equal(requests('s', '(none)', 'none', '4xx'), 1)
  t.equal(metrics.sum('modelgate_requests_total'), 30 + 6)
  const streams = ['complete', 'broken', 'client-gone'].map((fate) =>
    metrics.value('modelgate_streams_total', { model: 't', version: 'v1', fate }),
  )
  t.same(streams, [3, 2, 1])
  t.equal(metrics.sum('modelgate_streams_open'), 0)
  t.equal(metrics.value('modelgate_server_questions_total'), 3)
  t.equal(metrics.value('modelgate_consequences_total', { model: 'm', class: 'error', action: 'version' }), 4)
  const shadows = (fate: string) =>
    metrics.value('modelgate_shadows_total', { model: 'm', version: 'two', fate })
  // A lane that is short of time sends no copies, and counts them as such.
  const unsent = shadows('overload')
  t.equal(shadows('answered') + shadows('failed') + unsent, 11 + 3)
  t.ok(shadows('failed') <= 3 && shadows('failed') + unsent >= 3)
  t.equal(shadows('served_version'), 5)

  const records = await eventually(
    async () => {
      const found = await recordsIn(gateway.dataDir)
      const streams = found.filter(({ type }) => type === 'stream').length
      return endedDecisions(found).length === 30 + 6 && streams === 6 && found
    },
    { until: 'every request and every stream has its record' },
  )
  agrees(t, metrics, records)
  await histogramsAgree(t, gateway, records)
  const names = [...metrics.series].join('\n')
  for (const piece of ['__proto__', 'constructor', 'xxxx', 'm%20', 'model=M\n']) {
    t.notOk(names.includes(piece), `no series by the name of ${piece}`)
  }
})

/** Every counter that has a counterpart in the log, series by series. */
function agrees(t: Test, metrics: Metrics, records: readonly LogRecord[]): void {
  const decisions = endedDecisions(records)
  const copies = records.flatMap((record) => (record.type === 'shadow' ? [record.shadow] : []))
  const ends = records.flatMap((record) => (record.type === 'stream' ? [record.stream] : []))
  t.equal(decisions.length, 30 + 6)
  const counted = (name: string, labels: readonly string[], counts: Map<string, number>) => {
    let total = 0
    for (const [key, count] of counts) {
      const values = key.split(' ')
      const pairs = Object.fromEntries(labels.map((label, index) => [label, values[index]!]))
      t.equal(metrics.value(name, pairs), count, `${name} ${key}`)
      total += count
    }
    t.equal(metrics.sum(name), total, `${name}: and nothing else`)
  }
  counted(
    'modelgate_requests_total',
    ['model', 'version', 'reason', 'class'],
    countBy(
      decisions.map(({ model, served, reason, status }) => [
        model || '(unknown)',
        served || '(none)',
        reason || 'none',
        classOf(status),
      ]),
    ),
  )
  counted(
    'modelgate_faults_total',
    ['model', 'code'],
    countBy(
      decisions.flatMap(({ model, fault }) => (fault === null ? [] : [[model || '(unknown)', fault.code]])),
    ),
  )
  const attempts = [
    ...decisions.flatMap(({ model, attempts }) => attempts.map((attempt) => ({ model, attempt }))),
    ...copies.flatMap(({ model, attempt }) => (attempt === null ? [] : [{ model, attempt }])),
  ]
  counted(
    'modelgate_attempts_total',
    ['model', 'version', 'role', 'verdict'],
    countBy(attempts.map(({ model, attempt }) => [model, attempt.version, attempt.role, attempt.verdict])),
  )
  const fates = countBy(copies.map(({ model, version, fate }) => [model, version, fate]))
  for (const { model, plan } of decisions) {
    for (const { version, fate } of plan?.shadows ?? []) {
      if (fate === 'planned') continue
      const key = `${model} ${version} ${fate}`
      fates.set(key, (fates.get(key) ?? 0) + 1)
    }
  }
  counted('modelgate_shadows_total', ['model', 'version', 'fate'], fates)
  counted(
    'modelgate_streams_total',
    ['model', 'version', 'fate'],
    countBy(ends.map(({ model, attempt, fate }) => [model, attempt.version, fate])),
  )
  const bytes = decisions.reduce((sum, { request }) => sum + request.bodyBytes, 0)
  t.equal(metrics.value('modelgate_request_body_bytes_total'), bytes)
  const sent = decisions.reduce(
    (sum, { served, answer }) => sum + (served === '' ? 0 : (answer?.bodyBytes ?? 0)),
    0,
  )
  t.equal(metrics.value('modelgate_answer_body_bytes_total'), sent)
}

interface Series {
  readonly model: string
  readonly version: string
  readonly role: string
  readonly phase: string
  readonly count: number
}

/** Durations: the statistics, the encoded histograms and the page count the same, and as many as the log. */
async function histogramsAgree(t: Test, gateway: TestGateway, records: readonly LogRecord[]): Promise<void> {
  const stats = (await gateway.admin('/api/v1/stats')).json() as {
    durations: (Series & { max_ms: number })[]
  }
  const encoded = (await gateway.admin('/api/v1/histograms')).json() as {
    series: (Series & { hdr_v2: string })[]
  }
  const page = await metricsOf(gateway)
  t.equal(stats.durations.length, encoded.series.length)
  for (const [index, { hdr_v2, ...series }] of encoded.series.entries()) {
    const { model, version, role, phase, count } = stats.durations[index]!
    t.match(series, { model, version, role, phase, count })
    const histogram = decodeFromCompressedBase64(hdr_v2)
    t.equal(histogram.totalCount, count, `${model} ${version} ${role} ${phase}`)
    if (phase === 'total') {
      t.equal(page.value('modelgate_attempt_duration_seconds_count', { model, version, role }), count)
    }
    if (phase === 'request' && model !== '') {
      t.equal(page.value('modelgate_request_duration_seconds_count', { model }), count)
    }
  }
  const decisions = endedDecisions(records)
  const known = countBy(decisions.map(({ model }) => [model]))
  for (const [model, count] of known) {
    const series = stats.durations.find((one) => one.phase === 'request' && one.model === model)
    t.equal(series?.count, count, `requests of '${model}'`)
  }
  const tried = decisions.flatMap(({ model, attempts }) => attempts.map((attempt) => ({ model, attempt })))
  const reached = countBy(
    tried
      .filter(({ attempt }) => attempt.endpoint !== '' && attempt.faultCode !== 'client-gone')
      .map(({ model, attempt }) => [model, attempt.version, attempt.role]),
  )
  for (const { model, version, role, phase, count } of stats.durations) {
    if (phase !== 'total' || role === 'shadow') continue
    t.equal(count, reached.get(`${model} ${version} ${role}`), `attempts ${model} ${version} ${role}`)
  }
}
