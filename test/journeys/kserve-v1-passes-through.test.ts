/** KServe's V1 protocol through a whole gateway: bytes, names, readiness, errors, checks and comparison. */
import t from 'tap'
import { JSON_TYPE } from '../support/ask.ts'
import { PATIENT } from '../support/patient.ts'
import { decisionOf, shadowsOf } from '../support/read-records.ts'
import {
  plainAnswer,
  type ReceivedRequest,
  type Script,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const JSON_HEADER = ['content-type: application/json']
const answers = new Map([
  ['GET /v1/models/far', plainAnswer(200, '{"name": "far", "ready":true}', JSON_HEADER)],
  ['POST /v1/models/far:predict', plainAnswer(200, '{"predictions": [0.25, {"name":"far"}]}', JSON_HEADER)],
  ['POST /v1/models/far:predict?trace=1', plainAnswer(200, '{"predictions":[7]}', JSON_HEADER)],
  ['POST /v1/models/far:explain', plainAnswer(200, '{"predictions":[0.5],"explanations":[]}', JSON_HEADER)],
  ['POST /v1/models/churn:predict', plainAnswer(200, '{"predictions":[0.125]}', JSON_HEADER)],
  ['GET /v1/models/churn', plainAnswer(503, '{"error":"still loading"}', JSON_HEADER)],
])

t.test('predictions and readiness come from the version, in its own bytes but for its name', async (t) => {
  const received: ReceivedRequest[] = []
  const server: Script = async (connection) => {
    for (;;) {
      const request = await connection.request()
      received.push(request)
      connection.send(answers.get(`${request.method} ${request.target}`) ?? plainAnswer(404, '{"error":"?"}'))
    }
  }
  const upstream = await ScriptedUpstream.start(server)
  t.teardown(() => upstream.close())
  const gateway = await startTestGateway(t, {
    toml: `
[models.churn]
protocol = "kserve-v1"
${PATIENT}
[models.churn.versions.near]
endpoints = ["${upstream.url}"]
[models.churn.versions.renamed]
endpoints = ["${upstream.url}"]
rename = { model = "far" }
[models.churn.output]
share = { path = "/predictions/0", type = "number", min = 0, max = 1 }
[models.churn.route]
primary = "renamed"
pin = true
shadows = [{ version = "near", timeout = "60s" }]
[models.churn.compare]
outputs = [{ path = "/predictions/0", as = "number", tolerance = { abs = 0.1 } }]
[models.churn.on_failure]
invalid_output = ["version:near"]
`,
  })
  const body = '{ "instances":[[1.0, 2e0]],\t"signature_name" : "x" }'
  const told = await gateway.ask('/v1/models/churn:predict', { body, headers: JSON_TYPE })
  t.equal(told.text, '{"predictions": [0.25, {"name":"far"}]}')
  const [shadow] = await shadowsOf(gateway.dataDir, told.headers['modelgate-request-id'])
  t.match(shadow, { agreement: 'differ', differences: [0.125] })
  t.same([...new Set(received.map((request) => request.body.toString()))], [body], 'every byte, to both')
  t.match(await decisionOf(gateway.dataDir, told.headers['modelgate-request-id']), {
    protocol: 'kserve-v1',
    operation: 'infer',
    served: 'renamed',
  })

  const explained = await gateway.ask('/v1/models/churn:explain', { body, headers: JSON_TYPE })
  t.equal(explained.text, '{"predictions":[0.5],"explanations":[]}')
  const insane = await gateway.ask('/v1/models/churn:predict?trace=1', { body, headers: JSON_TYPE })
  t.equal(insane.headers['modelgate-degraded'], 'version:near')
  t.equal(insane.status, 404, 'which knows nothing at that query')

  const ready = await gateway.ask('/v1/models/churn')
  t.equal(ready.text, '{"name": "churn", "ready":true}')
  const loading = await gateway.ask('/v1/models/churn', { headers: { 'modelgate-pin': 'near' } })
  t.equal(loading.status, 503)
  t.equal(loading.text, '{"error":"still loading"}')
  t.match((await gateway.ask('/v1/models')).json(), { models: ['churn'], data: [] })

  const wrong = await gateway.ask('/v1/models/churn:predict', { body: '{"instances":[', headers: JSON_TYPE })
  t.equal(wrong.status, 400)
  t.match(wrong.json(), { error: /not valid JSON/ })
  const unknown = await gateway.ask('/v1/models/nobody:predict', { body, headers: JSON_TYPE })
  t.equal(unknown.status, 404)
  t.match(unknown.json(), { error: /no model 'nobody'/ })
  t.match((await gateway.ask('/v1/models/nobody')).json(), { error: String }, 'only V1 is spoken here')
})
