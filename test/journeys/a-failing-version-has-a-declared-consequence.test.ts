import t from 'tap'
import { JSON_TYPE, type Told, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENCE } from '../support/patient.ts'
import { decisionOf } from '../support/read-records.ts'
import { answering, plainAnswer, type Script, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'
import { FAILURES, outputs } from '../support/ways-to-fail.ts'

const CONSEQUENCES = ['fail', 'version', 'reply'] as const

/** Only the timer that is to run out is short: a busy machine must not make another run out. */
const TIMERS: Readonly<Record<string, string>> = {
  silent: PATIENCE.replace('first_byte = "20s"', 'first_byte = "60ms"'),
  pausing: PATIENCE.replace('idle = "20s"', 'idle = "80ms"'),
  trickling: 'total = "250ms"',
}
const BREAKER = 'breaker = { consecutive = 1000, min_requests = 1000 }'
const GOOD = 'runtime = "javascript"\nfile = "half.js"'

interface Failing {
  readonly name: string
  readonly url: string
  readonly of: string
  readonly steps: string
  readonly timers?: string
}

const modelOf = ({ name, url, of, steps, timers = PATIENCE }: Failing) => `
[models.${name}]
timeouts = { ${timers} }
${BREAKER}
on_failure = { ${of} = ${steps} }
[models.${name}.output]
score = { path = "/outputs/0/data/0", type = "number", min = 0, max = 1 }
[models.${name}.versions.bad]
endpoints = ["${url}"]
${steps.includes('version:good') ? `[models.${name}.versions.good]\n${GOOD}` : ''}
[models.${name}.route]
primary = "bad"
pin = true
`

const localModelOf = (name: string, file: string, of: string) => `
[models.${name}]
timeouts = { ${PATIENCE} }
on_failure = { ${of} = ["version:good"] }
[models.${name}.output]
score = { path = "/outputs/0/data/0", type = "number", min = 0, max = 1 }
[models.${name}.versions.bad]
runtime = "javascript"
file = "${file}"
[models.${name}.versions.good]
${GOOD}
[models.${name}.route]
primary = "bad"
`

const FILES = {
  'half.js': javascriptModel('row[0] / 2'),
  'throws.js': javascriptModel('(() => { throw new Error("out of cheese") })()'),
  'nan.js': javascriptModel('Number.NaN'),
  'high.js': javascriptModel('2'),
  'sorry.json': '{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[0]}]}',
}

const nobody = `http://127.0.0.1:${await unusedPort(t)}`

async function endpoint(script: Script): Promise<string> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream.url
}

/** Each failure three times: with nothing declared, with another version, with a fixed reply. */
async function failingModels(): Promise<string> {
  const models: string[] = []
  const steps = { fail: '["fail"]', version: '["version:good", "fail"]', reply: '["reply:sorry.json"]' }
  for (const { name, script, of } of FAILURES) {
    const url = script === null ? nobody : await endpoint(script)
    for (const consequence of CONSEQUENCES) {
      const timers = TIMERS[name] ?? PATIENCE
      models.push(modelOf({ name: `${name}-${consequence}`, url, of, steps: steps[consequence], timers }))
    }
  }
  return models.join('')
}

async function pageModels(): Promise<string> {
  const words = ['content-type: text/html', 'retry-after: 7', 'x-own: yes']
  const url = await endpoint(answering(plainAnswer(503, '<h1>maintenance</h1>', words)))
  return (
    modelOf({ name: 'plain', url, of: 'error', steps: '["fail"]' }) +
    modelOf({ name: 'mended', url, of: 'error', steps: '["version:good"]' })
  )
}

const REFUSALS = [400, 404, 422, 429]

async function refusingModels(): Promise<string> {
  const models = REFUSALS.map(async (status) => {
    const words = ['content-type: application/json', 'retry-after: 3']
    const url = await endpoint(answering(plainAnswer(status, '{"error":"mine"}', words)))
    return modelOf({ name: `m${status}`, url, of: 'error', steps: '["version:good"]' })
  })
  return (await Promise.all(models)).join('')
}

async function chainModels(): Promise<string> {
  const wild = await endpoint(answering(outputs('7')))
  const broken = await endpoint(answering(plainAnswer(500, 'oh')))
  const model = (name: string, steps: string) => `
${modelOf({ name, url: nobody, of: 'error', steps })}
[models.${name}.versions.wild]
endpoints = ["${wild}"]
[models.${name}.versions.broken]
endpoints = ["${broken}"]
`
  return (
    model('third', '["version:wild", "version:broken", "version:good"]') +
    model('reply', '["version:wild", "version:broken", "reply:sorry.json"]') +
    model('none', '["version:broken", "version:wild", "fail"]')
  )
}

const gateway = await startTestGateway(t, {
  files: FILES,
  toml: [
    await failingModels(),
    await pageModels(),
    await refusingModels(),
    await chainModels(),
    localModelOf('throws', 'throws.js', 'error'),
    localModelOf('nan', 'nan.js', 'invalid_output'),
    localModelOf('high', 'high.js', 'invalid_output'),
    localModelOf('gone', 'gone.js', 'error'),
  ].join(''),
})

const ask = (model: string) => gateway.infer(model, tensorOf('x', [1]))

/** Loading a model takes a busy machine longer than the timers that are to run out. */
async function loaded(model: string): Promise<void> {
  const path = `/v2/models/${model}/versions/good/infer`
  const load = () => gateway.ask(path, { body: tensorOf('x', [1]), headers: JSON_TYPE })
  await eventually(async () => (await load()).status === 200, { until: `${model} is loaded` })
}

/** Where a short timer holds for the fallback, too, a stall may outlast it there: it has to answer one of a few. */
async function askedForFallback(model: string): Promise<Told> {
  await loaded(model)
  for (let count = 1; ; count += 1) {
    const told = await ask(model)
    if (told.status === 200 || count === 20) return told
  }
}

t.test('whatever way a version fails, the declared consequence answers and the record tells', async (t) => {
  const asked = FAILURES.flatMap((failure) => CONSEQUENCES.map((consequence) => ({ failure, consequence })))
  const oneOf = async ({ failure, consequence }: (typeof asked)[number]) => {
    const { name, code, status, words } = failure
    const model = `${name}-${consequence}`
    const told = await (failure.of === 'timeout' && consequence === 'version' ? askedForFallback : ask)(model)
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
  await Promise.all(asked.map(oneOf))
})

t.test(
  'a 5xx page is passed on when the consequence is to fail, and replaced when it is another',
  async (t) => {
    const plain = await ask('plain')
    t.equal(plain.status, 503)
    t.equal(plain.text, '<h1>maintenance</h1>', 'the endpoint’s own words')
    t.match(plain.headers, { 'content-type': 'text/html', 'retry-after': '7', 'x-own': 'yes' })
    t.match(plain.headers, { 'modelgate-error': 'endpoint-error', 'modelgate-version': 'bad' })
    const record = await decisionOf(gateway.dataDir, plain.headers['modelgate-request-id'])
    t.match(record, { status: 503, served: 'bad', reason: 'primary', fault: { code: 'endpoint-error' } })
    t.match(record.attempts, [
      { version: 'bad', status: 503, verdict: 'failure', faultCode: 'endpoint-error' },
    ])
    const mended = await ask('mended')
    t.equal(mended.status, 200)
    t.match(mended.headers, { 'modelgate-reason': 'fallback', 'modelgate-degraded': 'version:good' })
  },
)

t.test('a 4xx is the endpoint’s word to the caller: no failure, no consequence', async (t) => {
  for (const status of REFUSALS) {
    const told = await ask(`m${status}`)
    t.equal(told.status, status)
    t.equal(told.text, '{"error":"mine"}')
    t.match(told.headers, { 'modelgate-version': 'bad', 'modelgate-reason': 'primary', 'retry-after': '3' })
    t.equal(told.headers['modelgate-error'], undefined)
    const record = await decisionOf(gateway.dataDir, told.headers['modelgate-request-id'])
    t.match(record.attempts, [{ version: 'bad', verdict: 'neutral', status, faultCode: '' }])
  }
})

t.test('steps are tried in order, no version twice, until one answers or none is left', async (t) => {
  const third = await ask('third')
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
  const reply = await ask('reply')
  t.equal(reply.text, FILES['sorry.json'])
  t.equal(reply.headers['modelgate-degraded'], 'reply:sorry.json')
  const none = await ask('none')
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
  for (const [name, code] of [
    ['throws', 'scoring-failed'],
    ['nan', 'invalid-output'],
    ['high', 'invalid-output'],
    ['gone', 'model-not-loaded'],
  ] as const) {
    const told = await ask(name)
    t.equal(told.status, 200, `${name}: ${told.text}`)
    t.match(told.headers, { 'modelgate-error': code, 'modelgate-degraded': 'version:good' }, name)
    t.match(told.json(), { outputs: [{ data: [0.5] }] }, name)
  }
})
