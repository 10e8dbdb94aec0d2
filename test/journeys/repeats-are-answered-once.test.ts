/**
 * Idempotency keys on real gateways: a repeat gets the first one's answer and asks no version, whichever lane it
 * lands on; never another caller's, never another request's, and each is a decision with a record of its own.
 */
import t from 'tap'
import { findDecision } from '../../src/audit/find.ts'
import { tellStory } from '../../src/cli/explain-text.ts'
import { JSON_TYPE, type Told, tensorOf } from '../support/ask.ts'
import { CountingEndpoint } from '../support/counting-endpoint.ts'
import { eventually } from '../support/eventually.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { PATIENT } from '../support/patient.ts'
import { RawClient } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn } from '../support/read-records.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'

const BODY = tensorOf('x', [1])

const endpoint = await CountingEndpoint.start()
t.teardown(() => endpoint.close())
t.beforeEach(() => {
  endpoint.count = 0
})

const KEYS = 'idempotency = { ttl = "10m", bytes = "1MiB", by = ["header:x-user", "client"] }'
/** Until the gateway knows that its callers are gone. */
const callersGone = (gateway: TestGateway) =>
  eventually(async () => (await metricsOf(gateway)).value('modelgate_open_connections') === 0, {
    until: 'the gateway sees its callers leave',
  })
const configured = (lanes: number, deadPort: number) => `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = ${lanes}
data_dir = "data"
grace = "2s"
[models.m]
${KEYS}
${PATIENT}
[models.m.versions.v1]
endpoints = ["${endpoint.url}"]
[models.r]
protocol = "raw"
idempotency = {}
${PATIENT}
[models.r.versions.v1]
endpoints = ["${endpoint.url}"]
[models.fallen]
${KEYS}
${PATIENT}
on_failure = { error = ["version:v1"] }
route = { primary = "v0" }
[models.fallen.versions.v0]
endpoints = ["http://127.0.0.1:${deadPort}"]
[models.fallen.versions.v1]
endpoints = ["${endpoint.url}"]
`

const gateway = await startTestGateway(t, { toml: configured(1, await unusedPort(t)) })

const send = (key: string, headers: Readonly<Record<string, string>> = {}, body = BODY) =>
  gateway.infer('m', body, { 'idempotency-key': key, ...headers })
const idOf = ({ headers }: Told) => String(headers['modelgate-request-id'])
const countOf = (told: Told) => (told.json() as { count: number }).count

t.test('a repeat gets the first answer, and its record names the request that was answered', async (t) => {
  const first = await send('k-1')
  const repeat = await send('"k-1"')
  t.match([first.status, repeat.status], [200, 200])
  t.equal(repeat.text, first.text)
  t.equal(endpoint.count, 1)
  t.notOk('idempotent-replayed' in first.headers)
  t.match(repeat.headers, {
    'idempotent-replayed': 'true',
    'modelgate-replay-of': idOf(first),
    'modelgate-version': 'v1',
    'modelgate-reason': 'primary',
    'content-type': 'application/json',
  })
  t.not(idOf(repeat), idOf(first))
  t.match(await decisionOf(gateway.dataDir, idOf(repeat)), {
    kept: { how: 'replayed', id: idOf(first) },
    attempts: [],
    status: 200,
    served: 'v1',
  })
  t.match(await decisionOf(gateway.dataDir, idOf(first)), { kept: null, attempts: [{ version: 'v1' }] })
  const story = tellStory((await findDecision(gateway.dataDir, idOf(repeat)))!)
  t.match(story, new RegExp(`it is the answer to request ${idOf(first)}, given .* before: it is a repeat`))
  const metrics = await metricsOf(gateway)
  const counted = (result: string) =>
    metrics.value('modelgate_idempotent_requests_total', { model: 'm', result })
  t.same([counted('first'), counted('replayed')], [1, 1])
  t.ok(metrics.value('modelgate_kept_answers_bytes', { model: 'm', store: 'idempotency' }) > 0)
  t.equal(metrics.sum('modelgate_attempts_total', { model: 'm' }), 1)
})

t.test('another request, another caller, another model, no key: each is asked anew', async (t) => {
  t.equal((await send('k', { 'x-user': 'ana' })).status, 200)
  const other = await send('k', { 'x-user': 'ana' }, tensorOf('x', [2]))
  t.equal(other.status, 422)
  t.match(other.headers, { 'modelgate-error': 'idempotency-mismatch' })
  t.match(other.json(), { error: /was used for another request/ })
  t.match(await decisionOf(gateway.dataDir, idOf(other)), {
    fault: { code: 'idempotency-mismatch' },
    attempts: [],
  })
  t.equal(endpoint.count, 1)
  const counts = [
    await send('k', { 'x-user': 'bo' }),
    await send('k', { 'x-user': 'ana', authorization: 'Bearer other' }),
    await send('k'),
    await send('l', { 'x-user': 'ana' }),
    await gateway.infer('m', BODY, { 'x-user': 'ana' }),
    await gateway.infer('m', BODY, { 'x-user': 'ana' }),
    await gateway.ask('/models/r/a', { body: BODY, headers: { ...JSON_TYPE, 'idempotency-key': 'k' } }),
    await gateway.ask('/models/r/b', { body: BODY, headers: { ...JSON_TYPE, 'idempotency-key': 'k' } }),
  ].map(countOf)
  t.same(counts, [2, 3, 4, 5, 6, 7, 8, 9])
  t.equal(
    countOf(await gateway.ask('/models/r/a', { headers: { 'idempotency-key': 'k' } })),
    10,
    'GET needs no key',
  )
  for (const bad of ['', 'a'.repeat(256)]) {
    const refused = await send(bad)
    t.match([refused.status, refused.headers['modelgate-error']], [400, 'malformed-request'])
  }
})

t.test('while the first is under way a repeat is told to come again', async (t) => {
  const first = send('slow', { 'x-do': 'wait' })
  await eventually(() => endpoint.waiting === 1, { until: 'the first is at its endpoint' })
  const early = await send('slow', { 'x-do': 'wait' })
  t.match([early.status, early.headers['retry-after']], [409, '1'])
  t.equal(early.headers['modelgate-error'], 'idempotency-in-progress')
  endpoint.letGo()
  t.equal((await first).status, 200)
  t.equal(countOf(await send('slow', { 'x-do': 'wait' })), 1)
})

t.test('a caller that lost its connection finds its answer when it comes again', async (t) => {
  const client = await RawClient.open(gateway.port)
  client.send(inferBytes('m', ['idempotency-key: lost', 'x-do: wait'], BODY))
  await eventually(() => endpoint.waiting === 1, { until: 'the request is at its endpoint' })
  client.close()
  await callersGone(gateway)
  endpoint.letGo()
  const decisions = await eventually(
    async () => {
      const found = (await decisionsIn(gateway.dataDir)).filter(({ status }) => status === 499)
      return found.length === 1 && found
    },
    { until: 'its story is told' },
  )
  t.match(decisions[0], {
    status: 499,
    fault: { code: 'client-gone' },
    attempts: [{ status: 200, verdict: 'success' }],
  })
  const again = await send('lost', { 'x-do': 'wait' })
  t.match([again.status, countOf(again), endpoint.count], [200, 1, 1])
  t.equal(again.headers['modelgate-replay-of'], decisions[0]!.id)
})

t.test('what the caller did wrong is kept, what went wrong at the version is not', async (t) => {
  const twice = async (what: string) => {
    const before = endpoint.count
    const headers = { 'x-do': what }
    const statuses = [await send(what, headers), await send(what, headers)].map(({ status }) => status)
    return [...statuses, endpoint.count - before]
  }
  t.same(await twice('status-404'), [404, 404, 1])
  t.same(await twice('status-429'), [429, 429, 2])
  t.same(await twice('status-503'), [503, 503, 2])
})

t.test('a stream is kept up to a mebibyte; what is larger is done anew', async (t) => {
  const ask = (what: string) =>
    gateway.ask('/models/r/x', { body: BODY, headers: { 'idempotency-key': what, 'x-do': what } })
  const [first, repeat] = [await ask('events'), await ask('events')]
  t.equal(first.text, 'data: 1\n\ndata: end\n\n')
  t.equal(repeat.text, first.text)
  t.equal(repeat.headers['content-type'], 'text/event-stream')
  t.equal(endpoint.count, 1)
  t.equal((await ask('large')).body.length, 2 * 1024 * 1024)
  t.equal((await ask('large')).body[0], 3)
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_idempotent_answers_not_kept_total', { model: 'r' }), 2)
})

t.test('a fallback’s answer is replayed as one', async (t) => {
  const ask = () => gateway.infer('fallen', BODY, { 'idempotency-key': 'k' })
  const [first, repeat] = [await ask(), await ask()]
  t.match(first.headers, { 'modelgate-degraded': 'version:v1', 'modelgate-error': 'connect-refused' })
  t.match(repeat.headers, {
    'modelgate-degraded': 'version:v1',
    'modelgate-reason': 'fallback',
    'idempotent-replayed': 'true',
  })
  t.equal(repeat.text, first.text)
  t.equal(endpoint.count, 1)
})

t.test('a stop does not wait longer for a caller that left, and tells its story all the same', async (t) => {
  const one = 'limits = { concurrent = 1, queue = 5 }'
  const toml = configured(1, 9)
    .replace('grace = "2s"', 'grace = "200ms"')
    .replace('[models.m]', `[models.m]\n${one}`)
  const gateway = await startTestGateway(t, { toml })
  const clients = [await RawClient.open(gateway.port), await RawClient.open(gateway.port)]
  for (const [index, client] of clients.entries()) {
    client.send(inferBytes('m', [`idempotency-key: ${index}`, 'x-do: wait'], BODY))
    await eventually(
      async () =>
        (await metricsOf(gateway)).value('modelgate_idempotent_requests_total', {
          model: 'm',
          result: 'first',
        }) ===
        index + 1,
      { until: 'the request is under way, or waits for the other one' },
    )
  }
  for (const client of clients) client.close()
  await callersGone(gateway)
  t.match(await gateway.stop(), { abandoned: 2 })
  const told = await decisionsIn(gateway.dataDir)
  t.same(
    told.map(({ status }) => status),
    [499, 499],
  )
  t.ok(
    told.some(({ attempts }) => attempts[0]?.faultCode === 'draining'),
    'one was at its endpoint',
  )
  endpoint.letGo()
})

t.test('on several lanes a repeat is answered once, wherever it lands', async (t) => {
  const gateway = await startTestGateway(t, { toml: configured(3, 9) })
  const send = (key: string, headers = {}, body = BODY) =>
    gateway.infer('m', body, { 'idempotency-key': key, ...headers })
  const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)
  const firsts = await Promise.all(keys.map((key) => send(key)))
  t.equal(endpoint.count, keys.length)
  for (let round = 0; round < 2; round += 1) {
    const repeats = await Promise.all(keys.map((key) => send(key)))
    t.same(
      repeats.map(({ text }) => text),
      firsts.map(({ text }) => text),
    )
    t.ok(repeats.every(({ headers }, index) => headers['modelgate-replay-of'] === idOf(firsts[index]!)))
  }
  const other = await Promise.all(keys.map((key) => send(key, {}, tensorOf('x', [7]))))
  t.ok(other.every(({ status }) => status === 422))
  t.equal(endpoint.count, keys.length)

  const races = await Promise.all(
    Array.from({ length: 30 }, () => send('all at once', { 'x-do': 'status-200' })),
  )
  t.equal(endpoint.count, keys.length + 1, 'of many at once one is asked')
  t.ok(races.every(({ status }) => status === 200 || status === 409))
  t.equal(new Set(races.filter(({ status }) => status === 200).map(({ text }) => text)).size, 1)
})
