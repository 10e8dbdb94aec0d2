/**
 * What a shadow may and may not do, through one gateway: each test has models of its own. Only the shadow that hangs has a
 * short timeout; no other outcome depends on how fast anything is.
 */
import t from 'tap'
import { ask as askPort, JSON_TYPE, tensorOf } from '../support/ask.ts'
import { askShadowed, askUntilCopied } from '../support/ask-shadowed.ts'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, decisionsIn, shadowsOf } from '../support/read-records.ts'
import {
  answering,
  plainAnswer,
  type ReceivedRequest,
  type Script,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'

const ID = 'modelgate-request-id'
const JSON_HEADER = ['content-type: application/json']
const FILES = { 'primary.js': javascriptModel('row[0]') }
const LOCAL = 'runtime = "javascript"\nfile = "primary.js"'
const scored = (data: string) =>
  plainAnswer(
    200,
    `{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[${data}]}]}`,
    JSON_HEADER,
  )

async function urlOf(script: Script): Promise<string> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream.url
}

/** An endpoint that counts what it is asked. */
async function counting() {
  const state = { url: '', asked: 0 }
  state.url = await urlOf(async (connection) => {
    for (;;) {
      await connection.request()
      state.asked += 1
      connection.send(scored('10'))
    }
  })
  return state
}

/** An endpoint whose answers wait until they are let go. */
async function holding() {
  const held: (() => void)[] = []
  const url = await urlOf(async (connection) => {
    for (;;) {
      await connection.request()
      held.push(() => connection.send(scored('10')))
    }
  })
  return { url, held }
}

interface Shadowed {
  readonly url: string
  /** Of the shadow. */
  readonly settings?: string
  /** Of the version that serves. */
  readonly live?: string
  /** Of the model. */
  readonly more?: string
}

const PATIENT = 'timeouts = { connect = "20s", first_byte = "20s", idle = "20s", total = "20s" }'

const model = (name: string, { url, settings = '', live = LOCAL, more = '' }: Shadowed) => `
[models.${name}]
${PATIENT}
${more}
[models.${name}.versions.live]
${live}
[models.${name}.versions.trial]
endpoints = ["${url}"]
[models.${name}.route]
primary = "live"
shadows = [{ version = "trial"${settings.includes('timeout') ? '' : ', timeout = "1m"'}${settings} }]
`
const COMPARED = (name: string, tolerance = ', tolerance = { abs = 0.5 }') =>
  `[models.${name}.compare]\noutputs = [{ path = "/outputs/0/data/0", as = "number"${tolerance} }]\n`

const remote = (url: string) => `endpoints = ["${url}"]`

/** Name, endpoint, fate, agreement. */
type Kind = readonly [string, string, string, string]

const KINDS: readonly Kind[] = [
  ['silent', await urlOf(async (one) => one.closed), 'timeout', 'not-compared'],
  ['absent', `http://127.0.0.1:${await unusedPort(t)}`, 'failed', 'not-compared'],
  ['garbage', await urlOf(answering(plainAnswer(200, 'x'.repeat(100 * 1024)))), 'answered', 'incomparable'],
  // Two answers over 1 MiB together are not parsed: a primary would wait for the thread.
  ['flood', await urlOf(answering(plainAnswer(200, 'x'.repeat(1024 * 1024)))), 'answered', 'not-compared'],
  ['failing', await urlOf(answering(plainAnswer(500, 'ill'))), 'failed', 'not-compared'],
  ['refusing', await urlOf(answering(plainAnswer(404, 'none'))), 'failed', 'not-compared'],
  ['broken', await urlOf(answering('nonsense\r\n\r\n')), 'failed', 'not-compared'],
  ['near', await urlOf(answering(scored('10.4'))), 'answered', 'agree'],
  ['far', await urlOf(answering(scored('11'))), 'answered', 'differ'],
  ['empty', await urlOf(answering(plainAnswer(200, '{"outputs":[]}'))), 'answered', 'incomparable'],
]

/** Statuses of the primary and the shadow, then fate and verdict of the shadow. */
const SIDES: readonly (readonly [number, number, string, string])[] = [
  [500, 200, 'answered', 'success'],
  [400, 200, 'answered', 'success'],
  [200, 400, 'failed', 'neutral'],
  [400, 400, 'failed', 'neutral'],
  [200, 500, 'failed', 'failure'],
]
const ALWAYS = new Map<number, string>()
for (const status of [200, 400, 500])
  ALWAYS.set(status, await urlOf(answering(plainAnswer(status, '{"outputs":[{"data":[1]}]}', JSON_HEADER))))

/** What the last endpoint of all got. */
const requests: ReceivedRequest[] = []
const last = await urlOf(async (connection) => {
  for (;;) {
    requests.push(await connection.request())
    connection.send(scored('1'))
  }
})
const capped = await holding()
const repeated = await counting()
const sampled = await counting()
const busy = await holding()
const spared = await counting()
const unasked = await counting()

const SERVER = '[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\n'
const behind = await startTestGateway(t, {
  files: FILES,
  toml: `${SERVER}trust = ["127.0.0.1"]\n${model('chained', { url: last })}`,
})
const gateway = await startTestGateway(t, {
  files: FILES,
  toml: [
    `${SERVER}data_dir = "data"\n`,
    ...KINDS.map(
      ([name, url]) =>
        model(name, { url, settings: name === 'silent' ? ', timeout = "300ms"' : '' }) + COMPARED(name),
    ),
    ...SIDES.map(
      ([primary, shadow], index) =>
        model(`side${index}`, { url: ALWAYS.get(shadow)!, live: remote(ALWAYS.get(primary)!) }) +
        COMPARED(`side${index}`, ''),
    ),
    model('chained', { url: `http://127.0.0.1:${behind.port}` }),
    model('direct', { url: last }),
    model('capped', { url: capped.url, settings: ', max_concurrent = 2' }),
    model('sampled', { url: sampled.url, settings: ', percent = 30', live: remote(ALWAYS.get(200)!) }),
    model('api', { url: repeated.url, live: remote(ALWAYS.get(200)!), more: 'protocol = "raw"' }),
    model('busy', {
      url: spared.url,
      live: remote(busy.url),
      more: 'limits = { concurrent = 1, queue = 0 }',
    }),
    model('open', {
      url: unasked.url,
      live: remote(ALWAYS.get(500)!),
      more: 'breaker = { consecutive = 1, open_for = "1m", open_for_max = "1m" }',
    }),
  ].join(''),
})

const ask = (name: string, value = 10) => gateway.infer(name, tensorOf('x', [value]))

async function countOf(name: string, fate: string): Promise<number> {
  const labels = { model: name, version: 'trial', fate }
  return (await metricsOf(gateway)).value('modelgate_shadows_total', labels)
}

t.test(
  'whatever a shadow does, its caller gets the primary’s answer, and the log what became of it',
  async (t) => {
    const askedTwice = KINDS.map(async ([name, , fate, agreement]) => {
      for (let round = 0; round < 2; round += 1) {
        const { told, shadows } = await askShadowed(gateway, () => ask(name))
        t.equal(told.status, 200, name)
        t.match(told.json(), { outputs: [{ data: [10] }] }, name)
        t.match(told.headers, { 'modelgate-version': 'live', 'modelgate-reason': 'primary' }, name)
        t.equal(told.headers['modelgate-error'], undefined, `${name}: a shadow’s fault is not the caller’s`)
        const id = told.headers[ID]
        const decision = await decisionOf(gateway.dataDir, id)
        t.same(decision.plan?.shadows, [{ version: 'trial', fate: 'planned' }], name)
        t.equal(decision.attempts.length, 1, `${name}: a shadow is not among the attempts`)
        t.match(
          shadows,
          [{ id, model: name, version: 'trial', fate, agreement, attempt: { role: 'shadow' } }],
          name,
        )
        if (agreement === 'agree') t.ok(Math.abs(shadows[0]!.differences[0]! - 0.4) < 0.001, name)
        if (agreement === 'differ') t.same(shadows[0]!.differences, [1], name)
      }
    })
    await Promise.all(askedTwice)
    const metrics = await metricsOf(gateway)
    for (const [name, , fate, agreement] of KINDS) {
      const labels = { model: name, version: 'trial' }
      t.equal(metrics.value('modelgate_shadows_total', { ...labels, fate }), 2, name)
      const agreed = metrics.value('modelgate_shadow_agreements_total', { ...labels, agreement })
      // Copies that were not sent because the machine was busy are not compared either.
      t.ok(agreement === 'not-compared' ? agreed >= 2 : agreed === 2, `${name}: ${agreed} ${agreement}`)
      t.equal(metrics.value('modelgate_breaker_state', { ...labels, state: 'closed' }), 1, name)
    }
  },
)

t.test('a shadow is marked, gets the same bytes, and is not copied again by a gateway behind', async (t) => {
  await askShadowed(gateway, () => ask('chained'))
  t.equal(requests.length, 0, 'the gateway behind served the copy and copied it no further')
  const [copied] = await decisionsIn(behind.dataDir)
  t.match(copied, {
    isShadow: true,
    status: 200,
    plan: { shadows: [{ version: 'trial', fate: 'is_shadow' }] },
  })
  const body = tensorOf('x', [3])
  const { told: direct } = await askShadowed(gateway, () =>
    gateway.infer('direct', body, { 'modelgate-deadline-ms': '60000' }),
  )
  t.equal(requests.length, 1)
  t.equal(requests[0]!.headers.get('modelgate-shadow'), '1')
  t.equal(requests[0]!.headers.get(ID), direct.headers[ID])
  t.notOk(requests[0]!.headers.has('modelgate-deadline-ms'), 'the caller’s deadline is not the shadow’s')
  t.equal(requests[0]!.body.toString(), body)
})

t.test(
  'what failed is held against nothing, whichever side it is, and 4xx speaks for no version',
  async (t) => {
    for (const [index, [primary, shadow, fate, verdict]] of SIDES.entries()) {
      const { told, shadows } = await askShadowed(gateway, () => ask(`side${index}`))
      t.equal(told.status, primary)
      t.match(
        shadows,
        [{ fate, agreement: 'not-compared', attempt: { verdict, status: shadow } }],
        `${primary} and ${shadow}`,
      )
    }
  },
)

t.test('nobody waits for shadows that hang; those beyond max_concurrent are dropped and told', async (t) => {
  const { held } = capped
  // All are answered while the two that were sent are held: whoever waited for a shadow would wait for ever.
  const sent = []
  for (const count of [1, 2]) {
    sent.push(
      await askUntilCopied(
        gateway,
        () => ask('capped'),
        () => held.length === count,
      ),
    )
  }
  for (let count = 0; count < 3; count += 1) {
    const { told, shadows } = await askShadowed(gateway, () => ask('capped'))
    t.equal(told.status, 200)
    t.match(shadows, [{ fate: 'cap', attempt: null, agreement: 'not-compared' }])
  }
  t.equal(await countOf('capped', 'cap'), 3)
  for (const release of held.splice(0)) release()
  for (const { status, headers } of sent) {
    t.equal(status, 200)
    t.match(await shadowsOf(gateway.dataDir, headers[ID]), [{ fate: 'answered' }])
  }
  await askUntilCopied(
    gateway,
    () => ask('capped'),
    () => held.length === 1,
  )
  held[0]!()
})

t.test('only what can be repeated is copied, and only the share that is asked for', async (t) => {
  const posted = await gateway.ask('/models/api/x', { body: 'order one' })
  t.equal(posted.status, 200)
  const record = await decisionOf(gateway.dataDir, posted.headers[ID])
  t.same(record.plan?.shadows, [{ version: 'trial', fate: 'not_idempotent' }])
  await gateway.ask('/v2/models/sampled/ready')
  const { shadows } = await askShadowed(gateway, () => gateway.ask('/models/api/x'))
  t.match(shadows, [{ fate: 'answered' }])
  t.equal(repeated.asked, 1, 'a GET was copied, a POST was not')
  t.equal(sampled.asked, 0, 'and no question about readiness')
  const COUNT = 200
  const each = Array.from({ length: COUNT }, () =>
    askPort(gateway.port, '/v2/models/sampled/infer', { body: tensorOf('x', [1]), headers: JSON_TYPE }),
  )
  await Promise.all(each)
  await eventually(async () => {
    const metrics = await metricsOf(gateway)
    return metrics.sum('modelgate_shadows_total', { model: 'sampled' }) === COUNT
  })
  const out = await countOf('sampled', 'sampled_out')
  // Binomial(200, 0.7): five standard deviations are 32.
  t.ok(out > 107 && out < 173, `${out} of ${COUNT} sampled out at 30 %`)
})

t.test('a request refused for overload is not copied either', async (t) => {
  const first = ask('busy')
  await eventually(() => busy.held.length === 1)
  const refused = await ask('busy')
  t.equal(refused.headers['modelgate-error'], 'overloaded')
  t.match(await shadowsOf(gateway.dataDir, refused.headers[ID]), [
    { fate: 'overload', attempt: null, agreement: 'not-compared' },
  ])
  busy.held[0]!()
  const served = await first
  t.equal(served.status, 200)
  const [shadow] = await shadowsOf(gateway.dataDir, served.headers[ID])
  t.equal(spared.asked, shadow!.fate === 'overload' ? 0 : 1, 'only the one that was served may be copied')
})

t.test(
  'where no version is asked for the request itself, none is for a copy, and not for overload',
  async (t) => {
    const failed = await ask('open')
    await shadowsOf(gateway.dataDir, failed.headers[ID])
    const askedBefore = unasked.asked
    const refusals = [
      await ask('open'),
      await gateway.infer('open', tensorOf('x', [1]), { 'modelgate-deadline-ms': '0' }),
    ]
    const codes = refusals.map(({ headers }) => headers['modelgate-error'])
    t.same(codes, ['breaker-open', 'deadline-exceeded'])
    for (const { headers } of refusals) {
      const shadows = await shadowsOf(gateway.dataDir, headers[ID])
      t.match(shadows, [{ fate: 'not_asked', attempt: null, agreement: 'not-compared' }])
    }
    t.equal(await countOf('open', 'not_asked'), 2)
    t.equal(unasked.asked, askedBefore)
  },
)

t.test('stopping waits for shadows that are out, so that each is told', async (t) => {
  const { url, held } = await holding()
  const stopped = await startTestGateway(t, {
    toml: `${SERVER}grace = "30s"\n${model('m', { url, live: remote(ALWAYS.get(200)!) })}${COMPARED('m')}`,
  })
  const told = await askUntilCopied(
    stopped,
    () => stopped.infer('m', tensorOf('x', [10])),
    () => held.length === 1,
  )
  const stopping = stopped.stop()
  // It listens no more: it is waiting.
  await eventually(() =>
    stopped.ask('/v2/health/live').then(
      () => false,
      () => true,
    ),
  )
  held[0]!()
  t.same(await stopping, { abandoned: 0 })
  const shadows = await shadowsOf(stopped.dataDir, told.headers[ID])
  t.match(shadows, [{ fate: 'answered', agreement: 'differ' }])
})
