import t from 'tap'
import { tensorOf } from '../support/ask.ts'
import { PATIENT } from '../support/patient.ts'
import { javascriptModel, startTestGateway } from '../support/start-gateway.ts'

const FILES = {
  'one.js': javascriptModel('row[0] + 1'),
  'two.js': javascriptModel('row[0] + 2'),
  'three.js': javascriptModel('row[0] + 3'),
}

const VERSIONS = `
[models.m]
${PATIENT}
key = ["header:x-user-id"]
[models.m.versions.one]
runtime = "javascript"
file = "one.js"
[models.m.versions.two]
runtime = "javascript"
file = "two.js"
[models.m.versions.three]
runtime = "javascript"
file = "three.js"
`

const scoreOf = (json: unknown) => (json as { outputs: { data: number[] }[] }).outputs[0]!.data[0]

const gateway = await startTestGateway(t, {
  files: FILES,
  toml: `${VERSIONS}
[models.m.route]
primary = "one"
pin = true
canary = { version = "two", percent = 50 }
rules = [{ when = { header = "x-tenant", equals = "beta" }, version = "three" }]
[models.m.output]
score = { path = "/outputs/0/data/0", type = "number" }
`,
})

t.test('rules before pin before canary before primary, each told in the answer’s headers', async (t) => {
  const seen = async (headers: Record<string, string>, path = '/v2/models/m/infer') => {
    const told = await gateway.ask(path, {
      body: tensorOf('x', [10]),
      headers: { 'content-type': 'application/json', ...headers },
    })
    t.equal(told.status, 200, told.text)
    return [told.headers['modelgate-reason'], told.headers['modelgate-version'], scoreOf(told.json())]
  }
  t.same(await seen({ 'x-tenant': 'beta', 'modelgate-pin': 'two' }), ['rule', 'three', 13])
  t.same(await seen({ 'modelgate-pin': 'three' }), ['pin', 'three', 13])
  t.same(await seen({}, '/v2/models/m/versions/one/infer'), ['pin', 'one', 11])
  const users = Array.from({ length: 40 }, (_, index) => `user-${index}`)
  const first = await Promise.all(users.map((user) => seen({ 'x-user-id': user })))
  const again = await Promise.all(users.map((user) => seen({ 'x-user-id': user })))
  t.same(again, first, 'the same user is served the same version every time')
  const canaries = first.filter(([reason]) => reason === 'canary')
  t.ok(canaries.length > 5 && canaries.length < 35, `${canaries.length} of 40 users in a canary of 50 %`)
  for (const [reason, version, score] of first) {
    t.same([version, score], reason === 'canary' ? ['two', 12] : ['one', 11])
  }
})

t.test('metadata and readiness come from the local model itself', async (t) => {
  const metadata = await gateway.ask('/v2/models/m')
  t.equal(metadata.status, 200)
  t.match(metadata.json(), { name: 'm', inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }] })
  t.same((await gateway.ask('/v2/models/m/ready')).json(), { name: 'm', ready: true })
  t.same((await gateway.ask('/v2/health/live')).json(), { live: true })
  t.same((await gateway.ask('/v2/health/ready')).json(), { ready: true })
  t.match((await gateway.ask('/v2')).json(), { name: 'modelgate' })
  const missing = await startTestGateway(t, {
    toml: `[models.gone.versions.v1]\nruntime = "onnx"\nfile = "no.onnx"\n`,
  })
  const ready = await missing.ask('/v2/models/gone/ready')
  t.equal(ready.status, 503)
  t.match(ready.text, /not loaded: no\.onnx does not exist/)
  t.equal(ready.headers['modelgate-error'], 'model-not-loaded')
})
