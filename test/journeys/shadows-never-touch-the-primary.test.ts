import t, { type Test } from 'tap'
import { ask as askPort, JSON_TYPE, tensorOf } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionOf, recordsIn, shadowsOf } from '../support/read-records.ts'
import {
  answering,
  plainAnswer,
  type ReceivedRequest,
  type Script,
  ScriptedUpstream,
} from '../support/scripted-upstream.ts'
import { javascriptModel, startTestGateway, type TestGateway } from '../support/start-gateway.ts'
import { unusedPort } from '../support/unused-port.ts'

const FILES = { 'primary.js': javascriptModel('row[0]') }
const scored = (data: string) =>
  plainAnswer(200, `{"outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[${data}]}]}`, [
    'content-type: application/json',
  ])

interface Shadowed {
  readonly url: string
  readonly settings?: string
  readonly name?: string
}

const model = ({ url, settings = '', name = 'm' }: Shadowed) => `
[models.${name}.versions.live]
runtime = "javascript"
file = "primary.js"
[models.${name}.versions.trial]
endpoints = ["${url}"]
[models.${name}.route]
primary = "live"
shadows = [{ version = "trial"${settings} }]
[models.${name}.compare]
outputs = [{ path = "/outputs/0/data/0", as = "number", tolerance = { abs = 0.5 } }]
`

async function upstreamOf(t: Test, script: Script): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream
}

const ask = (gateway: TestGateway, name = 'm', value = 10) => gateway.infer(name, tensorOf('x', [value]))

t.test(
  'whatever a shadow does, its caller gets the primary’s answer, and the log what became of it',
  async (t) => {
    const silent = await upstreamOf(t, async (connection) => {
      await connection.request()
      await connection.closed
    })
    const garbage = await upstreamOf(t, answering(plainAnswer(200, 'x'.repeat(100 * 1024))))
    const flood = await upstreamOf(t, answering(plainAnswer(200, 'x'.repeat(1024 * 1024))))
    const failing = await upstreamOf(t, answering(plainAnswer(500, 'ill')))
    const refusing = await upstreamOf(t, answering(plainAnswer(404, 'none')))
    const broken = await upstreamOf(t, answering('nonsense\r\n\r\n'))
    const near = await upstreamOf(t, answering(scored('10.4')))
    const far = await upstreamOf(t, answering(scored('11')))
    const empty = await upstreamOf(t, answering(plainAnswer(200, '{"outputs":[]}')))
    const kinds: readonly (readonly [string, string, string, string])[] = [
      ['silent', silent.url, 'timeout', 'not-compared'],
      ['absent', `http://127.0.0.1:${await unusedPort(t)}`, 'failed', 'not-compared'],
      ['garbage', garbage.url, 'answered', 'incomparable'],
      // Two answers over 1 MiB together are not parsed: a primary would wait for the thread.
      ['flood', flood.url, 'answered', 'not-compared'],
      ['failing', failing.url, 'failed', 'not-compared'],
      ['refusing', refusing.url, 'failed', 'not-compared'],
      ['broken', broken.url, 'failed', 'not-compared'],
      ['near', near.url, 'answered', 'agree'],
      ['far', far.url, 'answered', 'differ'],
      ['empty', empty.url, 'answered', 'incomparable'],
    ]
    const gateway = await startTestGateway(t, {
      files: FILES,
      toml: kinds.map(([name, url]) => model({ name, url, settings: ', timeout = "600ms"' })).join(''),
    })
    for (const [name] of kinds) await ask(gateway, name)
    for (const [name, , fate, agreement] of kinds) {
      const told = await ask(gateway, name)
      t.equal(told.status, 200, name)
      t.match(told.json(), { outputs: [{ data: [10] }] }, name)
      t.match(told.headers, { 'modelgate-version': 'live', 'modelgate-reason': 'primary' }, name)
      t.equal(told.headers['modelgate-error'], undefined, `${name}: a shadow’s fault is not the caller’s`)
      if (name === 'silent')
        t.ok(told.tookMs < 500, `not delayed by a shadow that hangs for 600 ms: ${told.tookMs} ms`)
      const id = told.headers['modelgate-request-id']
      const decision = await decisionOf(gateway.dataDir, id)
      t.same(decision.plan?.shadows, [{ version: 'trial', fate: 'planned' }], name)
      t.equal(decision.attempts.length, 1, `${name}: a shadow is not among the attempts`)
      const shadows = await shadowsOf(gateway.dataDir, id)
      t.match(
        shadows,
        [{ id, model: name, version: 'trial', fate, agreement, attempt: { role: 'shadow' } }],
        name,
      )
      if (agreement === 'agree') t.ok(Math.abs(shadows[0]!.differences[0]! - 0.4) < 0.001, name)
      if (agreement === 'differ') t.same(shadows[0]!.differences, [1], name)
      const metrics = await metricsOf(gateway)
      t.equal(metrics.value('modelgate_shadows_total', { model: name, version: 'trial', fate }), 2, name)
      const labels = { model: name, version: 'trial', agreement }
      t.equal(metrics.value('modelgate_shadow_agreements_total', labels), 2, name)
      t.equal(
        metrics.value('modelgate_breaker_state', { model: name, version: 'trial', state: 'closed' }),
        1,
        name,
      )
    }
  },
)

t.test('a shadow is marked, gets the same bytes, and is not copied again by a gateway behind', async (t) => {
  const requests: ReceivedRequest[] = []
  const last = await upstreamOf(t, async (connection) => {
    for (;;) {
      requests.push(await connection.request())
      connection.send(scored('1'))
    }
  })
  const server = (trust: string) =>
    `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nlanes = 1\ntrust = [${trust}]\n`
  const behind = await startTestGateway(t, {
    files: FILES,
    toml: server('"127.0.0.1"') + model({ url: last.url, name: 'm' }),
  })
  const front = await startTestGateway(t, {
    files: FILES,
    toml: model({ url: `http://127.0.0.1:${behind.port}` }) + model({ url: last.url, name: 'direct' }),
  })
  const told = await ask(front)
  await shadowsOf(front.dataDir, told.headers['modelgate-request-id'])
  t.equal(requests.length, 0, 'the gateway behind served the copy and copied it no further')
  const [copied] = (await recordsIn(behind.dataDir)).flatMap((one) =>
    one.type === 'decision' ? [one.decision] : [],
  )
  t.match(copied, {
    isShadow: true,
    status: 200,
    plan: { shadows: [{ version: 'trial', fate: 'is_shadow' }] },
  })
  const body = tensorOf('x', [3])
  const direct = await front.infer('direct', body, { 'modelgate-deadline-ms': '5000' })
  await eventually(() => requests.length === 1)
  t.equal(requests[0]!.headers.get('modelgate-shadow'), '1')
  t.equal(requests[0]!.headers.get('modelgate-request-id'), direct.headers['modelgate-request-id'])
  t.notOk(requests[0]!.headers.has('modelgate-deadline-ms'), 'the caller’s deadline is not the shadow’s')
  t.equal(requests[0]!.body.toString(), body)
  await shadowsOf(front.dataDir, direct.headers['modelgate-request-id'])
})

t.test(
  'what failed is held against nothing, whichever side it is, and 4xx speaks for no version',
  async (t) => {
    const sides: readonly (readonly [number, number, string, string])[] = [
      [500, 200, 'answered', 'success'],
      [400, 200, 'answered', 'success'],
      [200, 400, 'failed', 'neutral'],
      [400, 400, 'failed', 'neutral'],
      [200, 500, 'failed', 'failure'],
    ]
    const urls = new Map<number, string>()
    for (const status of [200, 400, 500]) {
      const words = '{"outputs":[{"data":[1]}]}'
      const upstream = await upstreamOf(
        t,
        answering(plainAnswer(status, words, ['content-type: application/json'])),
      )
      urls.set(status, upstream.url)
    }
    const toml = sides.map(
      ([primary, shadow], index) => `
[models.m${index}.versions.live]
endpoints = ["${urls.get(primary)}"]
[models.m${index}.versions.trial]
endpoints = ["${urls.get(shadow)}"]
[models.m${index}.route]
primary = "live"
shadows = [{ version = "trial" }]
[models.m${index}.compare]
outputs = [{ path = "/outputs/0/data/0", as = "number" }]
`,
    )
    const gateway = await startTestGateway(t, { toml: toml.join('') })
    for (const [index, [primary, shadow, fate, verdict]] of sides.entries()) {
      const told = await ask(gateway, `m${index}`)
      t.equal(told.status, primary)
      t.match(
        await shadowsOf(gateway.dataDir, told.headers['modelgate-request-id']),
        [{ fate, agreement: 'not-compared', attempt: { verdict, status: shadow } }],
        `${primary} and ${shadow}`,
      )
    }
  },
)

t.test('copies beyond max_concurrent are dropped, counted and told', async (t) => {
  const held: (() => void)[] = []
  const slow = await upstreamOf(t, async (connection) => {
    for (;;) {
      await connection.request()
      held.push(() => connection.send(scored('10')))
    }
  })
  const gateway = await startTestGateway(t, {
    files: FILES,
    toml: model({ url: slow.url, settings: ', max_concurrent = 2, timeout = "5s"' }),
  })
  const told = []
  for (let count = 0; count < 5; count += 1) told.push(await ask(gateway))
  t.ok(told.every(({ status }) => status === 200))
  await eventually(() => held.length === 2)
  for (const { headers } of told.slice(2)) {
    const [shadow] = await shadowsOf(gateway.dataDir, headers['modelgate-request-id'])
    t.match(shadow, { fate: 'cap', attempt: null, agreement: 'not-compared' })
  }
  t.equal(
    (await metricsOf(gateway)).value('modelgate_shadows_total', {
      model: 'm',
      version: 'trial',
      fate: 'cap',
    }),
    3,
  )
  for (const release of held.splice(0)) release()
  for (const { headers } of told.slice(0, 2)) {
    t.match(await shadowsOf(gateway.dataDir, headers['modelgate-request-id']), [{ fate: 'answered' }])
  }
  await ask(gateway)
  await eventually(() => held.length === 1, { until: 'the places are free again' })
  held[0]!()
})

t.test('only what can be repeated is copied, and only the share that is asked for', async (t) => {
  let asked = 0
  const counting = await upstreamOf(t, async (connection) => {
    for (;;) {
      await connection.request()
      asked += 1
      connection.send(scored('10'))
    }
  })
  const primary = await upstreamOf(t, answering(plainAnswer(200, 'ok')))
  const gateway = await startTestGateway(t, {
    files: FILES,
    toml: `${model({ url: counting.url, settings: ', percent = 30' })}
[models.api]
protocol = "raw"
[models.api.versions.live]
endpoints = ["${primary.url}"]
[models.api.versions.trial]
endpoints = ["${counting.url}"]
[models.api.route]
primary = "live"
shadows = [{ version = "trial" }]
`,
  })
  const posted = await gateway.ask('/models/api/x', { body: 'order one' })
  t.equal(posted.status, 200)
  const record = await decisionOf(gateway.dataDir, posted.headers['modelgate-request-id'])
  t.same(record.plan?.shadows, [{ version: 'trial', fate: 'not_idempotent' }])
  await gateway.ask('/v2/models/m/ready')
  t.equal(asked, 0, 'neither a POST nor a question about readiness was copied')
  const read = await gateway.ask('/models/api/x')
  t.match(await shadowsOf(gateway.dataDir, read.headers['modelgate-request-id']), [{ fate: 'answered' }])
  t.equal(asked, 1, 'a GET was')
  const agentless = Array.from({ length: 400 }, () =>
    askPort(gateway.port, '/v2/models/m/infer', { body: tensorOf('x', [1]), headers: JSON_TYPE }),
  )
  await Promise.all(agentless)
  const metrics = await eventually(async () => {
    const found = await metricsOf(gateway)
    return found.sum('modelgate_shadows_total', { model: 'm' }) === 400 && found
  })
  const out = metrics.value('modelgate_shadows_total', { model: 'm', version: 'trial', fate: 'sampled_out' })
  // Binomial(400, 0.7): five standard deviations are 46.
  t.ok(out > 234 && out < 326, `${out} of 400 sampled out at 30 %`)
})

t.test('a request refused for overload is not copied either', async (t) => {
  let asked = 0
  const counting = await upstreamOf(t, async (connection) => {
    for (;;) {
      await connection.request()
      asked += 1
      connection.send(scored('10'))
    }
  })
  const held: (() => void)[] = []
  const busy = await upstreamOf(t, async (connection) => {
    for (;;) {
      await connection.request()
      held.push(() => connection.send(scored('10')))
    }
  })
  const gateway = await startTestGateway(t, {
    toml: `
[models.m]
limits = { concurrent = 1, queue = 0 }
[models.m.versions.live]
endpoints = ["${busy.url}"]
[models.m.versions.trial]
endpoints = ["${counting.url}"]
[models.m.route]
primary = "live"
shadows = [{ version = "trial" }]
`,
  })
  const first = ask(gateway)
  await eventually(() => held.length === 1 && asked === 1)
  const refused = await ask(gateway)
  t.equal(refused.headers['modelgate-error'], 'overloaded')
  const id = refused.headers['modelgate-request-id']
  t.match(await shadowsOf(gateway.dataDir, id), [
    { fate: 'overload', attempt: null, agreement: 'not-compared' },
  ])
  t.equal(asked, 1)
  held[0]!()
  t.equal((await first).status, 200)
})

t.test(
  'where no version is asked for the request itself, none is for a copy, and not for overload',
  async (t) => {
    let asked = 0
    const counting = await upstreamOf(t, async (connection) => {
      for (;;) {
        await connection.request()
        asked += 1
        connection.send(scored('10'))
      }
    })
    const failing = await upstreamOf(t, answering(plainAnswer(500, 'ill')))
    const gateway = await startTestGateway(t, {
      toml: `
[models.m]
breaker = { consecutive = 1, open_for = "1m", open_for_max = "1m" }
[models.m.versions.live]
endpoints = ["${failing.url}"]
[models.m.versions.trial]
endpoints = ["${counting.url}"]
[models.m.route]
primary = "live"
shadows = [{ version = "trial" }]
`,
    })
    await ask(gateway)
    await eventually(() => asked === 1)
    const refusals = [
      await ask(gateway),
      await gateway.infer('m', tensorOf('x', [1]), { 'modelgate-deadline-ms': '0' }),
    ]
    const codes = refusals.map(({ headers }) => headers['modelgate-error'])
    t.same(codes, ['breaker-open', 'deadline-exceeded'])
    for (const { headers } of refusals) {
      const shadows = await shadowsOf(gateway.dataDir, headers['modelgate-request-id'])
      t.match(shadows, [{ fate: 'not_asked', attempt: null, agreement: 'not-compared' }])
    }
    const metrics = await metricsOf(gateway)
    const labels = { model: 'm', version: 'trial' }
    t.equal(metrics.value('modelgate_shadows_total', { ...labels, fate: 'not_asked' }), 2)
    t.equal(metrics.value('modelgate_shadows_total', { ...labels, fate: 'overload' }), 0)
    t.equal(asked, 1)
  },
)

t.test('stopping waits for shadows that are out, so that each is told', async (t) => {
  const slow = await upstreamOf(t, async (connection) => {
    await connection.request()
    await connection.pause(200)
    connection.send(scored('10'))
  })
  const gateway = await startTestGateway(t, { files: FILES, toml: model({ url: slow.url }) })
  const told = await ask(gateway)
  t.same(await gateway.stop(), { abandoned: 0 })
  const shadows = await shadowsOf(gateway.dataDir, told.headers['modelgate-request-id'])
  t.match(shadows, [{ fate: 'answered', agreement: 'agree' }])
})
