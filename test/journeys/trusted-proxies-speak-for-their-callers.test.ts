import t, { type Test } from 'tap'
import { RawClient } from '../support/raw-client.ts'
import { decisionOf } from '../support/read-records.ts'
import {
  answering,
  plainAnswer,
  type ReceivedRequest,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

async function start(t: Test, trust: string, rules = '') {
  const requests: ReceivedRequest[] = []
  const endpoint = await ScriptedUpstream.start(async (connection) => {
    for (;;) {
      requests.push(await connection.request())
      connection.send(plainAnswer(200, 'fine'))
    }
  })
  const shadow = await ScriptedUpstream.start(answering(plainAnswer(200, 'fine')))
  t.teardown(() => Promise.all([endpoint.close(), shadow.close()]))
  const toml = `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
trust = [${trust}]
[models.m]
protocol = "raw"
key = ["client"]
[models.m.versions.v1]
endpoints = ["${endpoint.url}"]
[models.m.versions.trial]
endpoints = ["${shadow.url}"]
[models.m.route]
primary = "v1"
${rules}
shadows = [{ version = "trial", percent = 100, max_concurrent = 8, timeout = "1s" }]
`
  const received = () => endpoint.connections.map((one) => one.received.toString('latin1')).join('')
  return { gateway: await startTestGateway(t, { toml }), requests, received }
}

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
  const { gateway, requests } = await start(t, '"10.0.0.0/8"')
  const told = await gateway.ask('/models/m/x', { headers: SPOOFED })
  const id = String(told.headers['modelgate-request-id'])
  t.same(
    TOLD.map((name) => requests[0]!.headers.get(name)),
    ['127.0.0.1', 'models.example', 'http', '1.1 modelgate', undefined, undefined, undefined],
  )
  t.equal(requests[0]!.headers.get('modelgate-request-id'), id)
  t.not(id, SPOOFED['modelgate-request-id'])
  t.notOk(requests[0]!.headers.has('modelgate-shadow'))
  const decision = await decisionOf(gateway.dataDir, id)
  t.match(decision, {
    client: { address: '127.0.0.1' },
    isShadow: false,
    plan: { shadows: [{ fate: 'planned' }] },
  })
})

t.test('a trusted proxy says who asks: to the endpoint, in the record, and for the sticky key', async (t) => {
  const { gateway, requests } = await start(t, '"127.0.0.0/8", "::1"')
  const told = await gateway.ask('/models/m/x', { headers: SPOOFED })
  const id = String(told.headers['modelgate-request-id'])
  t.same(
    TOLD.map((name) => requests[0]!.headers.get(name)),
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
  'POST /models/m/a?b HTTP/1.1',
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

async function recorded(t: Test, trust: string) {
  const { gateway, received } = await start(t, trust)
  const client = await RawClient.open(gateway.port)
  t.teardown(() => client.close())
  client.send(LYING)
  const answer = await client.answer()
  t.equal(answer.status, 200)
  const id = String(answer.headers.get('modelgate-request-id'))
  const [head = '', body] = received().split('\r\n\r\n')
  const [line, ...fields] = head
    .replaceAll(id, 'ID')
    .replace(/127\.0\.0\.1:\d+/, 'ENDPOINT')
    .split('\r\n')
  return { line, fields: fields.sort(), body, decision: await decisionOf(gateway.dataDir, id) }
}

const OF_US = ['content-length: 4', 'host: ENDPOINT', 'modelgate-request-id: ID', 'via: 1.1 modelgate']

t.test('byte for byte, a liar’s endpoint reads nothing that it said of itself', async (t) => {
  const { line, fields, body, decision } = await recorded(t, '"10.0.0.0/8"')
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
  const { line, fields, body, decision } = await recorded(t, '"127.0.0.1"')
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
  const rules = `rules = [
  { when = { header = "x-real-ip", present = true }, version = "trial" },
  { when = { header = "x-tenant", equals = "beta" }, version = "trial" },
]`
  const { gateway, requests } = await start(t, '', rules)
  const servedTo = async (headers: Readonly<Record<string, string>>) =>
    (await gateway.ask('/models/m/x', { headers })).headers['modelgate-version']
  t.equal(await servedTo({ 'x-tenant': 'beta' }), 'trial')
  t.equal(await servedTo({ 'x-tenant': 'beta', connection: 'close, X-Tenant' }), 'v1')
  t.equal(await servedTo({ 'x-real-ip': '6.6.6.6' }), 'v1')
  t.same(
    requests.map(({ headers }) => [headers.get('x-tenant'), headers.get('x-real-ip')]),
    [
      [undefined, undefined],
      [undefined, undefined],
    ],
  )
})
