/**
 * The cache of a model on real gateways: an equal question gets the answer that was kept and asks no version; a
 * hit is a decision like any other; and nothing crosses from one caller, version or question to another.
 */
import t from 'tap'
import { findDecision } from '../../src/audit/find.ts'
import { tellStory } from '../../src/cli/explain-text.ts'
import { type Told, tensorOf } from '../support/ask.ts'
import { CountingEndpoint } from '../support/counting-endpoint.ts'
import { inferBytes } from '../support/infer-bytes.ts'
import { PATIENT } from '../support/patient.ts'
import { rawRequest } from '../support/raw-client.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, shadowsOf } from '../support/read-records.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'

const BODY = tensorOf('x', [1])

const endpoint = await CountingEndpoint.start()
t.teardown(() => endpoint.close())
t.beforeEach(() => {
  endpoint.count = 0
})
const dead = `http://127.0.0.1:${await unusedPort(t)}`

/** A model with a version v1 at the endpoint; each test has its own, so that none finds what another kept. */
const model = (name: string, cache: string, more = '') => `
[models.${name}]
cache = { ${cache} }
${PATIENT}
${more}
[models.${name}.versions.v1]
endpoints = ["${endpoint.url}"]
`
const gateway = await startTestGateway(t, {
  toml: [
    model('m', 'ttl = "1h"'),
    model('tenants', 'vary = ["header:x-tenant"]'),
    model('open', 'shared = true'),
    model('wishes', ''),
    model('errors', ''),
    model('r', '', 'protocol = "raw"'),
    model('fallen', '', 'on_failure = { error = ["version:v1"] }\nroute = { primary = "v0" }'),
    `[models.fallen.versions.v0]\nendpoints = ["${dead}"]`,
    model('checked', '', 'output = { count = { path = "/count", type = "number", max = 0 } }'),
    model(
      'versions',
      '',
      'route = { primary = "v1", rules = [{ when = { header = "x-beta", present = true }, version = "v2" }], shadows = [{ version = "v2", percent = 100 }] }',
    ),
    `[models.versions.versions.v2]\nendpoints = ["${dead}"]`,
    model('keys', '', 'idempotency = {}'),
  ].join('\n'),
})

type Fields = Readonly<Record<string, string>>
const send = (model: string, fields: Fields = {}, body = BODY) => gateway.infer(model, body, fields)
const idOf = ({ headers }: Told) => String(headers['modelgate-request-id'])
const countOf = (told: Told) => (told.json() as { count: number }).count
const statusOf = ({ headers }: Told) => headers['cache-status']

t.test('an equal question gets the answer that was kept, and its record says whose that is', async (t) => {
  const first = await send('m')
  const hit = await send('m')
  t.equal(hit.text, first.text)
  t.equal(endpoint.count, 1)
  t.equal(statusOf(first), 'modelgate; fwd=miss; stored')
  t.match(String(statusOf(hit)), /^modelgate; hit; ttl=3[56]\d\d$/)
  t.match(hit.headers, { age: /^\d+$/, 'modelgate-version': 'v1', 'modelgate-reason': 'primary' })
  t.match(await decisionOf(gateway.dataDir, idOf(hit)), {
    kept: { how: 'cached', id: idOf(first) },
    attempts: [],
    served: 'v1',
    reason: 'primary',
    plan: { version: 'v1' },
  })
  const story = tellStory((await findDecision(gateway.dataDir, idOf(hit)))!)
  t.match(
    story,
    new RegExp(`it is the answer to request ${idOf(first)}, given .* before: both asked the same`),
  )
  const metrics = await metricsOf(gateway)
  const counted = (result: string) => metrics.value('modelgate_cache_requests_total', { model: 'm', result })
  t.same([counted('hit'), counted('miss'), counted('bypass')], [1, 1, 0])
  t.equal(metrics.value('modelgate_cache_stored_total', { model: 'm' }), 1)
  t.ok(metrics.value('modelgate_kept_answers_bytes', { model: 'm', store: 'cache' }) > 0)
  t.equal(metrics.sum('modelgate_requests_total', { model: 'm', version: 'v1', class: '2xx' }), 2)
  t.equal(metrics.sum('modelgate_attempts_total', { model: 'm' }), 1)
})

t.test('callers share nothing unless the configuration says so', async (t) => {
  const counts = [
    await send('tenants'),
    await send('tenants', { authorization: 'Bearer ana' }),
    await send('tenants', { authorization: 'Bearer bo' }),
    await send('tenants', { authorization: 'Bearer bo', 'x-api-key': '7' }),
    await send('tenants', { cookie: 'session=1' }),
    await send('tenants', { 'x-tenant': 'a' }),
    await send('tenants', { 'x-tenant': 'b' }),
    await send('tenants', { accept: 'application/json' }),
    await send('tenants', {}, tensorOf('x', [2])),
    await send('tenants', { authorization: 'Bearer ana' }),
  ].map(countOf)
  t.same(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9, 2])
  t.equal(countOf(await send('open', { authorization: 'Bearer ana' })), 10)
  t.equal(countOf(await send('open', { authorization: 'Bearer bo' })), 10)
})

t.test('a header that is there twice counts with both values: endpoints may read either', async (t) => {
  const asked = async (tenant: string) => {
    const bytes = inferBytes('tenants', ['x-tenant: victim', `x-tenant: ${tenant}`], tensorOf('twice', [1]))
    return JSON.parse((await rawRequest(gateway.port, bytes)).body.toString()).count as number
  }
  t.same([await asked('mine'), await asked('victim'), await asked('mine')], [1, 2, 1])
  t.equal(countOf(await send('tenants', { 'x-tenant': 'victim' }, tensorOf('twice', [1]))), 3)
})

t.test('callers can go around it, and endpoints can forbid it', async (t) => {
  const going = async (control: string) => {
    const told = await send('wishes', { 'cache-control': control })
    return [countOf(told), statusOf(told)]
  }
  t.same(await going('no-store'), [1, 'modelgate; fwd=bypass'])
  t.same(await going('max-age=60'), [2, 'modelgate; fwd=miss; stored'], 'the one before was not kept')
  t.same(await going('no-cache'), [3, 'modelgate; fwd=miss; stored'])
  t.match(await going('max-age=60'), [3, /hit/], 'and what it brought is kept')
  t.match(await going('no-store'), [4, 'modelgate; fwd=bypass'])

  for (const say of ['cache-control: no-store', 'vary: x-user', 'set-cookie: a=b']) {
    // What the endpoint is to say is no part of the question; the body makes each round another one.
    const asked = () => send('wishes', { 'x-say': say }, tensorOf(say.slice(0, 4).replace(/\W/g, ''), [1]))
    const before = countOf(await asked())
    const second = await asked()
    t.same([countOf(second), statusOf(second)], [before + 1, 'modelgate; fwd=miss'], say)
  }
  const brief = () => send('wishes', { 'x-say': 'cache-control: max-age=1' }, tensorOf('brief', [1]))
  const first = countOf(await brief())
  await new Promise((resolve) => setTimeout(resolve, 1050))
  t.equal(countOf(await brief()), first + 1)
})

t.test('errors, streams and what replaced a failed answer are not kept', async (t) => {
  for (const what of ['status-404', 'status-500', 'status-201']) {
    const before = endpoint.count
    await send('errors', { 'x-do': what })
    await send('errors', { 'x-do': what })
    t.equal(endpoint.count - before, 2, what)
  }
  const stream = () => gateway.ask('/models/r/s', { headers: { 'x-do': 'events' } })
  t.not((await stream()).text, (await stream()).text)
  const post = () => gateway.ask('/models/r/p', { body: BODY })
  t.not((await post()).text, (await post()).text, 'a raw POST is no question')
  const get = () => gateway.ask('/models/r/g?a=1')
  t.equal((await get()).text, (await get()).text)
  t.not((await get()).text, (await gateway.ask('/models/r/g?a=2')).text)
  const fallen = [await send('fallen'), await send('fallen')]
  t.match(fallen[1]!.headers, { 'modelgate-degraded': 'version:v1', 'cache-status': 'modelgate; fwd=miss' })
  t.not(countOf(fallen[0]!), countOf(fallen[1]!))
})

t.test('an answer that fails its checks is never kept', async (t) => {
  for (let index = 0; index < 2; index += 1) {
    t.match(await send('checked'), { status: 502, headers: { 'cache-status': 'modelgate; fwd=miss' } })
  }
  t.equal(endpoint.count, 2)
})

t.test('each version has its own, and a hit sends no shadow a copy', async (t) => {
  const first = await send('versions')
  t.equal((await shadowsOf(gateway.dataDir, idOf(first)))[0]!.fate, 'failed')
  t.equal((await send('versions', { 'x-beta': '1' })).status, 502, 'what v1 answered is not v2’s')
  const hit = await send('versions')
  t.match(String(statusOf(hit)), /hit/)
  t.equal((await shadowsOf(gateway.dataDir, idOf(hit)))[0]!.fate, 'not_asked')
  t.equal(endpoint.count, 1)
})

t.test('an idempotency key and a cache get along', async (t) => {
  const first = await send('keys', { 'idempotency-key': 'a' })
  const hit = await send('keys', { 'idempotency-key': 'b' })
  const replay = await send('keys', { 'idempotency-key': 'b', 'cache-control': 'no-store' })
  t.equal(endpoint.count, 1)
  t.equal(hit.text, first.text)
  t.equal(replay.headers['modelgate-replay-of'], idOf(hit))
  t.equal(replay.text, first.text)
})
