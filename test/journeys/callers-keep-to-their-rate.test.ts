/**
 * Rate limits per caller, on real gateways: who is over its limit is told so and when to come back, reaches no
 * endpoint and takes nothing from others; on several lanes the limit is one.
 */
import t, { type Test } from 'tap'
import { type Told, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, recordsIn } from '../support/read-records.ts'
import { plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const WELL = plainAnswer(200, '{"outputs":[]}', ['content-type: application/json', 'ratelimit: "theirs";r=1'])

const seen = { count: 0 }
const upstream = await ScriptedUpstream.start(async (connection) => {
  for (;;) {
    await connection.request()
    seen.count += 1
    connection.send(WELL)
  }
})
t.teardown(() => upstream.close())
const failing = await ScriptedUpstream.start(async (connection) => {
  for (;;) {
    await connection.request()
    connection.send(plainAnswer(503, 'no'))
  }
})
t.teardown(() => failing.close())

const model = (name: string, more: string) => `
[models.${name}]
${PATIENT}
${more}
[models.${name}.versions.v1]
endpoints = ["${upstream.url}"]
`
const as = (key: string) => ({ 'x-api-key': key })
const statuses = (answers: readonly Told[]) => answers.map(({ status }) => status)
const BODY = tensorOf('x', [1])

/** What a RateLimit header says of each limit. */
const standingOf = ({ headers }: Told) =>
  [...String(headers.ratelimit).matchAll(/"([^"]+)";r=(\d+);t=(\d+)/g)].map(([, name, left, seconds]) => ({
    name,
    left: Number(left),
    seconds: Number(seconds),
  }))
/** Or a little less: instants are counted in 16ths of a request, which makes one of them either way, and the machine may be slow. */
function isAbout(t: Test, value: unknown, most: number): void {
  t.ok(Number(value) <= most && Number(value) > most * 0.8, `${value} of ${most}`)
}

const limited = startTestGateway(t, {
  toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 2
data_dir = "data"
${model('slow', 'limits.rate = [{ requests = 20, per = "24h", burst = 30 }]')}
${model('quick', 'limits.rate = [{ requests = 20, per = "1s", burst = 30 }]')}
${model('m', 'limits.rate = [{ requests = 2, per = "1h", burst = 3, by = ["header:x-api-key", "client"] }]')}
${model('plain', '')}
[models.shadowed]
${PATIENT}
limits.rate = [{ requests = 2, per = "1h" }]
retry = { attempts = 2, on = ["503"] }
on_failure = { error = ["version:v2"] }
route = { primary = "v1", shadows = [{ version = "v2", percent = 100 }] }
[models.shadowed.versions.v1]
endpoints = ["${failing.url}"]
[models.shadowed.versions.v2]
endpoints = ["${upstream.url}"]
`,
})

t.test('who is over its limit is told when to come back, and reaches no endpoint', async (t) => {
  const gateway = await limited
  const answers: Told[] = []
  for (let index = 0; index < 5; index += 1) answers.push(await gateway.infer('m', BODY, as('secret-1')))
  t.same(statuses(answers), [200, 200, 200, 429, 429])
  t.equal(seen.count, 3, 'only those let in reached the endpoint')
  t.equal(answers[0]!.headers['ratelimit-policy'], '"2-per-1h";q=2;w=3600;modelgate-burst=3')
  t.match(standingOf(answers[0]!), [{ name: '2-per-1h', left: 2 }])
  isAbout(t, standingOf(answers[0]!)[0]?.seconds, 1800)
  const refused = answers[4]!
  t.equal(refused.headers['modelgate-error'], 'rate-limited')
  // Told up to a 16th of a request too long.
  isAbout(t, refused.headers['retry-after'], 1800 + 1800 / 16)
  isAbout(t, refused.headers['retry-after-ms'], 1_800_000 * (1 + 1 / 16))
  t.equal(standingOf(refused)[0]?.left, 0)
  isAbout(t, standingOf(refused)[0]?.seconds, 5400)
  t.match(refused.json(), { error: /too many requests to model 'm' from this caller/ })

  t.equal((await gateway.infer('m', BODY, as('secret-2'))).status, 200, 'another caller is not affected')
  t.equal((await gateway.infer('m', BODY)).status, 200, 'nor is one without a key')

  const record = await decisionOf(gateway.dataDir, refused.headers['modelgate-request-id'])
  t.match(record, {
    status: 429,
    attempts: [],
    model: 'm',
    fault: { code: 'rate-limited', detail: '2 in 3600 s, 3 at once, by header:x-api-key, client' },
  })
  t.notMatch(JSON.stringify(record), /secret/)
  const metrics = await metricsOf(gateway)
  const counted = (result: string) =>
    metrics.value('modelgate_rate_limit_requests_total', { model: 'm', result })
  t.same([counted('admitted'), counted('refused')], [5, 2])
  t.equal(metrics.value('modelgate_faults_total', { model: 'm', code: 'rate-limited' }), 2)
  t.notMatch(metrics.series.join('\n'), /secret/)
})

t.test('all limits hold, the server’s over all models, and a refusal costs nothing', async (t) => {
  const gateway = await startTestGateway(t, {
    toml: `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
limits = { rate = [{ requests = 6, per = "1h", name = "everything" }] }
${model('m', 'limits.rate = [{ requests = 1, per = "1h", burst = 2, by = ["header:x-user"], name = "user" }]')}
${model('n', '')}
`,
  })
  const asUser = (user: string) => gateway.infer('m', BODY, { 'x-user': user })
  t.same(statuses([await asUser('a'), await asUser('a'), await asUser('a')]), [200, 200, 429])
  const third = await asUser('b')
  t.equal(third.status, 200)
  t.equal(
    third.headers['ratelimit-policy'],
    '"user";q=1;w=3600;modelgate-burst=2, "everything";q=6;w=3600;modelgate-burst=6',
  )
  t.match(standingOf(third), [
    { name: 'user', left: 1 },
    { name: 'everything', left: 3 },
  ])
  isAbout(t, standingOf(third)[1]?.seconds, 1800)
  const rest = [
    await gateway.infer('n', BODY),
    await gateway.infer('n', BODY),
    await gateway.infer('n', BODY),
  ]
  t.same(statuses(rest), [200, 200, 200], 'what m’s own limit refused was not charged to the server’s')
  const over = await gateway.infer('n', BODY)
  t.equal(over.status, 429)
  isAbout(t, over.headers['retry-after'], 600 + 600 / 16)
  t.match(over.json(), { error: /limit everything/ })
  t.equal((await asUser('c')).status, 429, 'the server’s limit holds for the other model, too')
  t.equal(over.headers['ratelimit-policy'], '"everything";q=6;w=3600;modelgate-burst=6')
})

t.test('without limits an endpoint’s own are passed on, and nothing is added', async (t) => {
  const { headers } = await (await limited).infer('plain', BODY)
  t.equal(headers.ratelimit, '"theirs";r=1')
  t.notOk('ratelimit-policy' in headers)
})

t.test('shadow copies and retries are not charged', async (t) => {
  const gateway = await limited
  const before = seen.count
  const answers = [
    await gateway.infer('shadowed', BODY),
    await gateway.infer('shadowed', BODY),
    await gateway.infer('shadowed', BODY),
  ]
  t.same(statuses(answers), [200, 200, 429])
  await eventually(() => seen.count - before >= 4, { until: 'each was answered by a fallback, and copied' })
})

t.test('on two lanes a caller gets what its limit says, not twice that', async (t) => {
  const gateway = await limited
  const before = (await recordsIn(gateway.dataDir)).length
  const ask90 = (name: string) => Promise.all(Array.from({ length: 90 }, () => gateway.infer(name, BODY)))
  const admittedOf = (told: readonly Told[]) => statuses(told).filter((status) => status === 200).length
  // Each on a connection of its own: both lanes get some. One more request is let in every 72 minutes.
  const told = await ask90('slow')
  t.same(statuses(told).sort(), [...Array(30).fill(200), ...Array(60).fill(429)], 'once the burst')
  const records = (await recordsIn(gateway.dataDir)).slice(before)
  const lanes = records.flatMap((one) => (one.type === 'decision' ? [one.origin.lane] : []))
  t.same([...new Set(lanes)].sort(), [0, 1], 'on both lanes')

  const startedAt = performance.now()
  const admitted = admittedOf(await ask90('quick'))
  const mostly = 30 + (20 * (performance.now() - startedAt)) / 1000
  t.ok(admitted >= 30 && admitted <= mostly + 1, `${admitted} of ${mostly}`)
  await eventually(async () => (await gateway.infer('quick', BODY)).status === 200, {
    until: 'time lets more in',
  })
})
