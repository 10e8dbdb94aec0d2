import t, { type Test } from 'tap'
import { decisionOf } from '../support/read-records.ts'
import {
  answering,
  plainAnswer,
  type ReceivedRequest,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

async function start(t: Test, trust: string) {
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
shadows = [{ version = "trial", percent = 100, max_concurrent = 8, timeout = "1s" }]
`
  return { gateway: await startTestGateway(t, { toml }), requests }
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
