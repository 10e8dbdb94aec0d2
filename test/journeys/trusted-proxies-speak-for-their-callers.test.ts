/**
 * What callers say of themselves, to a gateway that believes nobody here and to one that believes everybody on this machine.
 * Each test has a model, and so an endpoint, of its own.
 */
import t, { type Test } from 'tap'
import { RawClient } from '../support/raw-client.ts'
import { decisionOf } from '../support/read-records.ts'
import {
  answering,
  plainAnswer,
  type ReceivedRequest,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { startTestGateway, type TestGateway } from '../support/start-gateway.ts'

const NAMES = ['m', 'lying', 'ruled'] as const
const RULES = `rules = [
  { when = { header = "x-real-ip", present = true }, version = "trial" },
  { when = { header = "x-tenant", equals = "beta" }, version = "trial" },
]`

const shadow = await ScriptedUpstream.start(answering(plainAnswer(200, 'fine')))
t.teardown(() => shadow.close())

async function start(trust: string) {
  const requests = { m: [], lying: [], ruled: [] } as Record<(typeof NAMES)[number], ReceivedRequest[]>
  const endpointOf = async (name: (typeof NAMES)[number]) => {
    const endpoint = await ScriptedUpstream.start(async (connection) => {
      for (;;) {
        requests[name].push(await connection.request())
        connection.send(plainAnswer(200, 'fine'))
      }
    })
    t.teardown(() => endpoint.close())
    return `
[models.${name}]
protocol = "raw"
timeouts = { connect = "20s", first_byte = "20s", idle = "20s", total = "20s" }
key = ["client"]
[models.${name}.versions.v1]
endpoints = ["${endpoint.url}"]
[models.${name}.versions.trial]
endpoints = ["${shadow.url}"]
[models.${name}.route]
primary = "v1"
${name === 'ruled' ? RULES : ''}
shadows = [{ version = "trial", percent = 100, max_concurrent = 8, timeout = "20s" }]
`
  }
  const models = await Promise.all(NAMES.map(endpointOf))
  const toml = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
data_dir = "data"
trust = [${trust}]
${models.join('')}`
  return { gateway: await startTestGateway(t, { toml }), requests }
}

const doubting = await start('"10.0.0.0/8"')
const trusting = await start('"127.0.0.0/8", "::1"')

const SPOOFED = {
  host: 'models.example',
  'x-forwarded-for': '6.6.6.6, 203.0.113.9, 127.0.0.2',
  'x-forwarded-host': 'shop.example',
  'x-forwarded-proto': 'https',
  forwarded: 'for=6.6.6.6',
  'x-real-ip': '6.6.6.6',
  X_Forwarded_For: '6.6.6.6',
  via: '1.0 somebody',
  'modelgate-request-id': '01900000-0000-7000-8000-000000000000',
  'modelgate-shadow': '1',
}
const TOLD = [
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'via',
  'forwarded',
  'x-real-ip',
  'x_forwarded_for',
]

t.test('what a stranger says of itself is not passed on, and is not believed', async (t) => {
  const { gateway, requests } = doubting
  const told = await gateway.ask('/models/m/x', { headers: SPOOFED })
  const id = String(told.headers['modelgate-request-id'])
  const { headers } = requests.m[0]!
  t.same(
    TOLD.map((name) => headers.get(name)),
    ['127.0.0.1', 'models.example', 'http', '1.1 modelgate', undefined, undefined, undefined],
  )
  t.equal(headers.get('modelgate-request-id'), id)
  t.not(id, SPOOFED['modelgate-request-id'])
  t.notOk(headers.has('modelgate-shadow'))
  const decision = await decisionOf(gateway.dataDir, id)
  t.match(decision, {
    client: { address: '127.0.0.1' },
    isShadow: false,
    plan: { shadows: [{ fate: 'planned' }] },
  })
})

t.test('a trusted proxy says who asks: to the endpoint, in the record, and for the sticky key', async (t) => {
  const { gateway, requests } = trusting
  const told = await gateway.ask('/models/m/x', { headers: SPOOFED })
  const id = String(told.headers['modelgate-request-id'])
  t.same(
    TOLD.map((name) => requests.m[0]!.headers.get(name)),
    [
      '6.6.6.6, 203.0.113.9, 127.0.0.2, 127.0.0.1',
      'shop.example',
      'https',
      '1.1 modelgate',
      undefined,
      undefined,
      undefined,
    ],
  )
  t.not(id, SPOOFED['modelgate-request-id'], 'ids are ours even then: one record has one id')
  const decision = await decisionOf(gateway.dataDir, id)
  t.match(decision, { client: { address: '203.0.113.9' }, keySource: 'client', isShadow: true })
  t.match(decision.plan?.shadows, [{ version: 'trial', fate: 'is_shadow' }])
  const plain = await gateway.ask('/models/m/x')
  const next = await decisionOf(gateway.dataDir, plain.headers['modelgate-request-id'])
  t.match(
    next,
    { client: { address: '127.0.0.1' }, isShadow: false },
    'a proxy that asks for itself is the caller',
  )
})

/** One request in the bytes of a caller that lies, in every spelling a reader might fall for. */
const LYING = [
  'POST /models/lying/a?b HTTP/1.1',
  'Host: models.example',
  'X-FORWARDED-FOR: 6.6.6.6',
  'x-forwarded-for:7.7.7.7 , 2001:db8::9',
  'X-Forwarded-Host: shop.example',
  'X-Forwarded-Proto: https',
  'X_Forwarded_For: 8.8.8.8',
  'X-Forwarded-Server: evil',
  'X-Forwarded-Port: 1',
  'X-Real-IP: 6.6.6.6',
  'X-Client-IP: 6.6.6.6',
  'True-Client-IP: 6.6.6.6',
  'Forwarded: for=6.6.6.6;proto=https',
  'X-Forwarded: 6.6.6.6',
  'Fly-Client-IP: 6.6.6.6',
  'X-Original-URL: /admin',
  'Via: 1.0 evil',
  'Modelgate-Shadow: 1',
  'MODELGATE-Request-ID: 01900000-0000-7000-8000-000000000000',
  'modelgate-version: v9',
  'X-Own: kept  as is',
  'Content-Length: 4',
  '',
  'body',
].join('\r\n')

async function recorded(
  t: Test,
  { gateway, requests }: { gateway: TestGateway; requests: { lying: readonly ReceivedRequest[] } },
) {
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  client.send(LYING)
  const answer = await client.answer()
  t.equal(answer.status, 200)
  const id = String(answer.headers.get('modelgate-request-id'))
  const { head, body } = requests.lying[0]!
  const [line, ...fields] = head
    .trimEnd()
    .replaceAll(id, 'ID')
    .replace(/127\.0\.0\.1:\d+/, 'ENDPOINT')
    .split('\r\n')
  return {
    line,
    fields: fields.sort(),
    body: body.toString(),
    decision: await decisionOf(gateway.dataDir, id),
  }
}

const OF_US = ['content-length: 4', 'host: ENDPOINT', 'modelgate-request-id: ID', 'via: 1.1 modelgate']

t.test('byte for byte, a liar’s endpoint reads nothing that it said of itself', async (t) => {
  const { line, fields, body, decision } = await recorded(t, doubting)
  t.equal(line, 'POST /a?b HTTP/1.1')
  t.same(
    fields,
    [
      ...OF_US,
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-host: models.example',
      'x-forwarded-proto: http',
      'x-own: kept  as is',
    ].sort(),
  )
  t.equal(body, 'body')
  t.match(decision, { client: { address: '127.0.0.1' }, isShadow: false })
})

t.test('byte for byte, a trusted proxy’s chain is one header, extended by the proxy', async (t) => {
  const { line, fields, body, decision } = await recorded(t, trusting)
  t.equal(line, 'POST /a?b HTTP/1.1')
  t.same(
    fields,
    [
      ...OF_US,
      'fly-client-ip: 6.6.6.6',
      'modelgate-shadow: 1',
      'true-client-ip: 6.6.6.6',
      'x-client-ip: 6.6.6.6',
      'x-forwarded: 6.6.6.6',
      'x-forwarded-for: 6.6.6.6, 7.7.7.7, 2001:db8::9, 127.0.0.1',
      'x-forwarded-host: shop.example',
      'x-forwarded-port: 1',
      'x-forwarded-proto: https',
      'x-forwarded-server: evil',
      'x-original-url: /admin',
      'x-own: kept  as is',
    ].sort(),
  )
  t.equal(body, 'body')
  t.match(decision, { client: { address: '2001:db8::9' }, isShadow: true })
})

t.test('nobody is routed by a header that its endpoint does not get', async (t) => {
  const { gateway, requests } = doubting
  const servedTo = async (headers: Readonly<Record<string, string>>) =>
    (await gateway.ask('/models/ruled/x', { headers })).headers['modelgate-version']
  t.equal(await servedTo({ 'x-tenant': 'beta' }), 'trial')
  t.equal(await servedTo({ 'x-tenant': 'beta', connection: 'close, X-Tenant' }), 'v1')
  t.equal(await servedTo({ 'x-real-ip': '6.6.6.6' }), 'v1')
  t.same(
    requests.ruled.map(({ headers }) => [headers.get('x-tenant'), headers.get('x-real-ip')]),
    [
      [undefined, undefined],
      [undefined, undefined],
    ],
  )
})
