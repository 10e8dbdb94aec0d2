import t, { type Test } from 'tap'
import { JSON_TYPE, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { decisionOf } from '../support/read-records.ts'
import { answering, plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'
import { FAILURES, outputs } from '../support/ways-to-fail.ts'

const CONSEQUENCES = ['fail', 'version', 'reply'] as const

/** Short where a timer is to run out, long where a busy machine must not make it. */
const SHORT = 'connect = "200ms", first_byte = "60ms", idle = "80ms", total = "250ms"'
const LONG = 'connect = "2s", first_byte = "5s", idle = "5s", total = "5s"'

const modelOf = (name: string, url: string, of: string, steps: string) => `
[models.${name}]
timeouts = { ${of === 'timeout' ? SHORT : LONG} }
breaker = { consecutive = 1000, min_requests = 1000 }
on_failure = { ${of} = ${steps} }
[models.${name}.output]
score = { path = "/outputs/0/data/0", type = "number", min = 0, max = 1 }
[models.${name}.versions.bad]
endpoints = ["${url}"]
[models.${name}.versions.good]
runtime = "javascript"
file = "half.js"
[models.${name}.route]
primary = "bad"
pin = true
`

const FILES = {
  'half.js': javascriptModel('row[0] / 2'),
  'sorry.json': '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[0]}]}',
}

/** Each failure three times: with nothing declared, with another version, with a fixed reply. */
async function startFailing(t: Test): Promise<TestGateway> {
  const models: string[] = []
  for (const { name, script, of } of FAILURES) {
    const steps = { fail: '["fail"]', version: '["version:good", "fail"]', reply: '["reply:sorry.json"]' }
    for (const consequence of CONSEQUENCES) {
      let url = `http://127.0.0.1:${await unusedPort(t)}`
      if (script !== null) {
        const upstream = await ScriptedUpstream.start(script)
        t.teardown(() => upstream.close())
        url = upstream.url
      }
      models.push(modelOf(`${name}-${consequence}`, url, of, steps[consequence]))
    }
  }
  return startTestGateway(t, { files: FILES, toml: models.join('') })
}

const ask = (gateway: TestGateway, model: string) => gateway.infer(model, tensorOf('x', [1]))

t.test('whatever way a version fails, the declared consequence answers and the record tells', async (t) => {
  const gateway = await startFailing(t)
  const asked = FAILURES.flatMap((failure) => CONSEQUENCES.map((consequence) => ({ failure, consequence })))
  // Loading a model takes a busy machine longer than the timers that are to run out.
  for (const { failure, consequence } of asked) {
    const model = `${failure.name}-${consequence}`
    const path = `/v2/models/${model}/versions/good/infer`
    const load = () => gateway.ask(path, { body: tensorOf('x', [1]), headers: JSON_TYPE })
    await eventually(async () => (await load()).status === 200, { until: `${model} is loaded` })
  }
  const oneOf = async ({ failure, consequence }: (typeof asked)[number]) => {
    const { name, code, status, words } = failure
    const model = `${name}-${consequence}`
    const told = await ask(gateway, model)
    const { headers } = told
    t.equal(headers['modelgate-error'], code, model)
    const decision = await decisionOf(gateway.dataDir, headers['modelgate-request-id'])
    t.equal(decision.fault?.code, code, model)
    t.match(decision.fault?.message, words, model)
    t.match(
      decision.attempts[0],
      { version: 'bad', role: 'primary', verdict: 'failure', faultCode: code },
      model,
    )
    t.match(decision.plan, { version: 'bad', reason: 'primary' }, model)
    if (consequence === 'fail') {
      t.equal(told.status, status, model)
      t.match((told.json() as { error: string }).error, words, model)
      t.equal(headers['modelgate-degraded'], undefined, model)
      t.equal(headers['modelgate-version'], undefined, `${model}: nobody served`)
      t.match(decision, { status, served: '', reason: '', degraded: '' }, model)
      t.equal(decision.attempts.length, 1, model)
    } else if (consequence === 'version') {
      t.equal(told.status, 200, model)
      t.match(told.json(), { outputs: [{ data: [0.5] }] }, model)
      t.equal(headers['modelgate-reason'], 'fallback', model)
      t.equal(headers['modelgate-version'], 'good', model)
      t.equal(headers['modelgate-degraded'], 'version:good', model)
      t.match(decision, { status: 200, served: 'good', reason: 'fallback', degraded: 'version:good' }, model)
      t.match(
        decision.attempts[1],
        { version: 'good', role: 'fallback', verdict: 'success', faultCode: '' },
        model,
      )
      t.equal(decision.attempts.length, 2, model)
    } else {
      t.equal(told.status, 200, model)
      t.equal(told.text, FILES['sorry.json'], model)
      t.equal(headers['content-type'], 'application/json', model)
      t.equal(headers['modelgate-reason'], 'fallback', model)
      t.equal(headers['modelgate-version'], undefined, `${model}: no version served`)
      t.equal(headers['modelgate-degraded'], 'reply:sorry.json', model)
      t.match(decision, { status: 200, served: '', reason: 'fallback', degraded: 'reply:sorry.json' }, model)
    }
  }
  // Those that wait for short timers one by one: the fallback has the same ones, and is not to be kept waiting.
  await Promise.all(asked.filter(({ failure }) => failure.of !== 'timeout').map(oneOf))
  for (const one of asked.filter(({ failure }) => failure.of === 'timeout')) await oneOf(one)
})

t.test(
  'a 5xx page is passed on when the consequence is to fail, and replaced when it is another',
  async (t) => {
    const page = await ScriptedUpstream.start(
      answering(
        plainAnswer(503, '<h1>maintenance</h1>', ['content-type: text/html', 'retry-after: 7', 'x-own: yes']),
      ),
    )
    t.teardown(() => page.close())
    const gateway = await startTestGateway(t, {
      files: FILES,
      toml:
        modelOf('plain', page.url, 'error', '["fail"]') +
        modelOf('mended', page.url, 'error', '["version:good"]'),
    })
    const plain = await ask(gateway, 'plain')
    t.equal(plain.status, 503)
    t.equal(plain.text, '<h1>maintenance</h1>', 'the endpoint’s own words')
    t.match(plain.headers, { 'content-type': 'text/html', 'retry-after': '7', 'x-own': 'yes' })
    t.match(plain.headers, { 'modelgate-error': 'endpoint-error', 'modelgate-version': 'bad' })
    const record = await decisionOf(gateway.dataDir, plain.headers['modelgate-request-id'])
    t.match(record, { status: 503, served: 'bad', reason: 'primary', fault: { code: 'endpoint-error' } })
    t.match(record.attempts, [
      { version: 'bad', status: 503, verdict: 'failure', faultCode: 'endpoint-error' },
    ])
    const mended = await ask(gateway, 'mended')
    t.equal(mended.status, 200)
    t.match(mended.headers, { 'modelgate-reason': 'fallback', 'modelgate-degraded': 'version:good' })
  },
)

t.test('a 4xx is the endpoint’s word to the caller: no failure, no consequence', async (t) => {
  const statuses = [400, 404, 422, 429]
  const models: string[] = []
  for (const status of statuses) {
    const upstream = await ScriptedUpstream.start(
      answering(
        plainAnswer(status, '{"error":"mine"}', ['content-type: application/json', 'retry-after: 3']),
      ),
    )
    t.teardown(() => upstream.close())
    models.push(modelOf(`m${status}`, upstream.url, 'error', '["version:good"]'))
  }
  const gateway = await startTestGateway(t, { files: FILES, toml: models.join('') })
  for (const status of statuses) {
    const told = await ask(gateway, `m${status}`)
    t.equal(told.status, status)
    t.equal(told.text, '{"error":"mine"}')
    t.match(told.headers, { 'modelgate-version': 'bad', 'modelgate-reason': 'primary', 'retry-after': '3' })
    t.equal(told.headers['modelgate-error'], undefined)
    const record = await decisionOf(gateway.dataDir, told.headers['modelgate-request-id'])
    t.match(record.attempts, [{ version: 'bad', verdict: 'neutral', status, faultCode: '' }])
  }
})

t.test('steps are tried in order, no version twice, until one answers or none is left', async (t) => {
  const nobody = `http://127.0.0.1:${await unusedPort(t)}`
  const wild = await ScriptedUpstream.start(answering(outputs('7')))
  const broken = await ScriptedUpstream.start(answering(plainAnswer(500, 'oh')))
  t.teardown(() => Promise.all([wild.close(), broken.close()]))
  const model = (name: string, steps: string) => `
${modelOf(name, nobody, 'error', steps)}
[models.${name}.versions.wild]
endpoints = ["${wild.url}"]
[models.${name}.versions.broken]
endpoints = ["${broken.url}"]
`
  const gateway = await startTestGateway(t, {
    files: FILES,
    toml:
      model('third', '["version:wild", "version:broken", "version:good"]') +
      model('reply', '["version:wild", "version:broken", "reply:sorry.json"]') +
      model('none', '["version:broken", "version:wild", "fail"]'),
  })
  const third = await ask(gateway, 'third')
  t.equal(third.status, 200)
  t.match(third.headers, {
    'modelgate-version': 'good',
    'modelgate-degraded': 'version:good',
    'modelgate-error': 'connect-refused',
  })
  const tried = (await decisionOf(gateway.dataDir, third.headers['modelgate-request-id'])).attempts
  t.match(tried, [
    { version: 'bad', role: 'primary', faultCode: 'connect-refused', verdict: 'failure' },
    { version: 'wild', role: 'fallback', faultCode: 'invalid-output', verdict: 'failure', status: 200 },
    { version: 'broken', role: 'fallback', faultCode: 'endpoint-error', verdict: 'failure', status: 500 },
    { version: 'good', role: 'fallback', faultCode: '', verdict: 'success', status: 200 },
  ])
  const after = tried.map(({ afterMs }) => afterMs)
  t.same(
    after,
    [...after].sort((a, b) => a - b),
    'one after the other',
  )
  const reply = await ask(gateway, 'reply')
  t.equal(reply.text, FILES['sorry.json'])
  t.equal(reply.headers['modelgate-degraded'], 'reply:sorry.json')
  const none = await ask(gateway, 'none')
  t.equal(none.status, 502, 'the first fault is the one the caller is told of')
  t.match(none.text, /refused the connection/)
  t.match(none.headers, { 'modelgate-error': 'connect-refused' })
  t.equal(none.headers['modelgate-degraded'], undefined, 'what failed did not degrade anything')
  t.equal(none.headers['modelgate-reason'], undefined)
  const given = await decisionOf(gateway.dataDir, none.headers['modelgate-request-id'])
  t.same(
    given.attempts.map(({ version }) => version),
    ['bad', 'broken', 'wild'],
  )
  t.match(given, { served: '', degraded: '', status: 502 })
})

t.test('a local model that throws or answers nonsense has consequences like any other', async (t) => {
  const model = (name: string, file: string, of: string) => `
[models.${name}]
on_failure = { ${of} = ["version:good"] }
[models.${name}.output]
score = { path = "/outputs/0/data/0", type = "number", min = 0, max = 1 }
[models.${name}.versions.bad]
runtime = "javascript"
file = "${file}"
[models.${name}.versions.good]
runtime = "javascript"
file = "half.js"
[models.${name}.route]
primary = "bad"
`
  const gateway = await startTestGateway(t, {
    files: {
      ...FILES,
      'throws.js': javascriptModel('(() => { throw new Error("out of cheese") })()'),
      'nan.js': javascriptModel('Number.NaN'),
      'high.js': javascriptModel('2'),
    },
    toml: [
      model('throws', 'throws.js', 'error'),
      model('nan', 'nan.js', 'invalid_output'),
      model('high', 'high.js', 'invalid_output'),
      model('gone', 'gone.js', 'error'),
    ].join(''),
  })
  for (const [name, code] of [
    ['throws', 'scoring-failed'],
    ['nan', 'invalid-output'],
    ['high', 'invalid-output'],
    ['gone', 'model-not-loaded'],
  ] as const) {
    const told = await ask(gateway, name)
    t.equal(told.status, 200, `${name}: ${told.text}`)
    t.match(told.headers, { 'modelgate-error': code, 'modelgate-degraded': 'version:good' }, name)
    t.match(told.json(), { outputs: [{ data: [0.5] }] }, name)
  }
})
