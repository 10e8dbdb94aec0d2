/** The admin server over real sockets: what it answers, what it refuses, and that it ends. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { ADMIN_LIMITS, AdminServer } from '../../../src/control/admin/admin-server.ts'
import { isHostAllowed } from '../../../src/control/admin/host-check.ts'
import { plain } from '../../../src/control/admin/plain.ts'
import { json } from '../../../src/control/admin/reply.ts'
import type { AdminParts, Readiness } from '../../../src/control/admin/resource.ts'
import { Router } from '../../../src/control/admin/router.ts'
import { BreakerMemory } from '../../../src/observe/breaker-memory.ts'
import { Observatory } from '../../../src/observe/observatory.ts'
import { Observer } from '../../../src/observe/observer.ts'
import { Vitals } from '../../../src/observe/vitals.ts'
import { makeSnapshot } from '../../observe/make-snapshot.ts'
import { LoadedChance } from '../../support/loaded-chance.ts'
import { makeHead, makeIntent } from '../../support/make-model.ts'
import { ManualClock } from '../../support/manual-clock.ts'

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

async function startAdmin(
  test: { teardown(end: () => Promise<void>): void },
  more: Partial<AdminParts> = {},
) {
  const snapshot = makeSnapshot()
  const clock = new ManualClock()
  const breakers = new BreakerMemory(snapshot).create()
  const observatory = new Observatory({ snapshot: () => snapshot, breakers, clock, version: '1.2.3' })
  const vitals = new Vitals({
    snapshot,
    breakers,
    clock,
    chance: new LoadedChance(0.5),
    announce: (one) => observatory.take(0, one),
  })
  const state: { readiness: Readiness } = {
    readiness: { ready: true, draining: false, checks: [{ name: 'log', ok: true, detail: '' }] },
  }
  const readiness = () => state.readiness
  const admin = new AdminServer({
    snapshot: () => snapshot,
    observatory,
    readiness,
    clock,
    version: '1.2.3',
    ...more,
  })
  const { port } = await admin.listen('127.0.0.1', 0)
  test.teardown(() => admin.close())
  const ask = (
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ) =>
    new Promise<Answered>((resolve, reject) => {
      const { method = 'GET', headers = {}, body } = options
      const asking = httpRequest(
        { host: '127.0.0.1', port, path, method, headers, agent: false },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('end', () =>
            resolve({
              status: answer.statusCode!,
              headers: answer.headers,
              text: Buffer.concat(chunks).toString(),
            }),
          )
        },
      )
      asking.on('error', reject)
      asking.end(body)
    })
  return { admin, ask, port, state, snapshot, clock, vitals, observer: new Observer(vitals) }
}

t.test('it is alive and ready, and says why when it is not', async (t) => {
  const { ask, state } = await startAdmin(t)
  t.match(await ask('/healthz'), { status: 200, text: 'ok\n' })
  t.match(await ask('/readyz'), { status: 200, text: 'ready\n' })
  t.match(await ask('/readyz?verbose'), { status: 200, text: '[+] log\nready\n' })
  const checks = [
    { name: 'log', ok: true, detail: '' },
    { name: 'model fraud', ok: false, detail: 'v2 is not loaded' },
  ]
  state.readiness = { ready: false, draining: false, checks }
  t.match(await ask('/readyz'), { status: 503, text: '[-] model fraud: v2 is not loaded\nnot ready\n' })
  t.match(await ask('/readyz?verbose'), {
    status: 503,
    text: '[+] log\n[-] model fraud: v2 is not loaded\nnot ready\n',
  })
  state.readiness = { ready: true, draining: true, checks: [] }
  t.match(await ask('/readyz'), { status: 503, text: 'not ready: draining\n' })
  t.match(await ask('/healthz'), { status: 200 }, 'draining is no reason to be restarted')
})

t.test('what was observed is told by every resource', async (t) => {
  const { ask, observer, vitals, snapshot, clock } = await startAdmin(t)
  const phases = { queueMs: -1, connectMs: 1, firstByteMs: 8, totalMs: 10 }
  const answer = { status: 200, headers: [], body: new Uint8Array(2) }
  const result = { endpoint: 'http://10.0.0.1', phases, reused: false, answer, fault: null }
  observer.exchange({
    id: 'x',
    generation: 3,
    configHash: '',
    auditMode: 'batched',
    receivedAt: 0,
    startedAt: 1000,
    endedAt: 1011,
    head: makeHead(),
    model: snapshot.models.get('fraud')!,
    intent: makeIntent(snapshot.models.get('fraud')!),
    plan: null,
    served: 'v1',
    reason: 'primary',
    degraded: '',
    status: 200,
    fault: null,
    requestBody: new Uint8Array(2),
    asides: [],
    kept: null,
    answer,
    passed: null,
    summary: null,
    attempts: [{ version: 'v1', role: 'primary', startedAt: 1000.5, verdict: 'success', result }],
  })
  const version = snapshot.versions[1]!
  for (let time = 0; time < 5; time += 1)
    vitals.settle(vitals.admit(version, clock.now())!, 'failure', 5, clock.now())

  const metrics = await ask('/metrics')
  t.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.match(
    metrics.text,
    /modelgate_requests_total\{model="fraud",version="v1",reason="primary",class="2xx"\} 1\n/,
  )
  const open = await ask('/metrics', { headers: { accept: 'application/openmetrics-text' } })
  t.match(open.headers['content-type'], /^application\/openmetrics-text/)

  const stats = JSON.parse((await ask('/api/v1/stats')).text)
  const total = stats.durations.find((one: { phase: string }) => one.phase === 'total')
  t.match(total, { model: 'fraud', version: 'v1', role: 'primary', count: 1, p50_ms: 10.007, max_ms: 10.007 })
  t.equal(stats.at, new Date(clock.wall()).toISOString())

  const histograms = JSON.parse((await ask('/api/v1/histograms')).text)
  t.match(histograms, { unit: 'us', encoding: 'hdr-v2' })
  t.ok(
    histograms.series.every(
      (one: { hdr_v2: string; count: number }) => one.count === 1 && /^HISTFAAA/.test(one.hdr_v2),
    ),
  )

  const breakers = JSON.parse((await ask('/api/v1/breakers')).text).breakers
  t.match(breakers[0], { model: 'fraud', version: 'v1', state: 'closed', since: null, why: '' })
  t.match(breakers[1], {
    version: 'v2',
    state: 'open',
    why: /^5 requests failed in a row/,
  })

  const models = JSON.parse((await ask('/api/v1/models')).text).models
  t.match(models[0], {
    name: 'fraud',
    requests: 1,
    route: { primary: 'v1', own: { canary: { percent: 10 } } },
  })
  t.match(models[0].versions, [
    { name: 'v1', kind: 'local', breaker: 'closed', served: 1, served_share: 1 },
    { name: 'v2', breaker: 'open', served: 0, served_share: 0 },
  ])

  const config = JSON.parse((await ask('/api/v1/config')).text)
  t.match(config, {
    generation: 3,
    hash: snapshot.hash,
    config: { server: { lanes: 2 }, models: { price: { limits: {} } } },
  })
  const front = await ask('/')
  for (const path of ['/healthz', '/readyz', '/metrics', '/api/v1/stats', '/api/v1/config'])
    t.match(front.text, path)
})

t.test('every refusal is a problem document with its reason', async (t) => {
  const { ask } = await startAdmin(t, {
    more: [
      {
        path: '/broken',
        summary: '',
        get: () => {
          throw new Error('secret detail')
        },
      },
    ],
    onBug: (error) => bugs.push(error),
  })
  const bugs: unknown[] = []
  const cases: readonly [string, Parameters<typeof ask>[1], number][] = [
    ['/nothing', {}, 404],
    ['/metrics/', {}, 404],
    ['/__proto__', {}, 404],
    ['/metrics', { method: 'POST', body: 'x' }, 405],
    ['/metrics', { method: 'DELETE' }, 405],
    ['/metrics', { method: 'OPTIONS' }, 405],
    ['/metrics', { body: 'x', headers: { 'content-length': '1' } }, 413],
    [`/${'a'.repeat(ADMIN_LIMITS.targetCharacters)}`, {}, 414],
    ['/metrics', { headers: { host: 'evil.example' } }, 421],
    ['/metrics', { headers: { host: '10.0.0.1:9090' } }, 421],
    ['/broken', {}, 500],
  ]
  for (const [path, options, status] of cases) {
    const name = `${options?.method ?? 'GET'} ${path.slice(0, 20)}: ${status}`
    const answer = await ask(path, options)
    t.equal(answer.status, status, name)
    t.equal(answer.headers['content-type'], 'application/problem+json', name)
    const problem = JSON.parse(answer.text)
    t.match(problem, { type: 'about:blank', title: String, status, detail: String }, name)
    t.equal(answer.headers.allow, status === 405 ? 'GET, HEAD' : undefined, name)
    t.notMatch(answer.text, 'secret detail')
  }
  t.match(bugs, [{ message: 'secret detail' }])
})

t.test('nothing is cached, sniffed or framed, and HEAD is GET without a body', async (t) => {
  const { ask } = await startAdmin(t)
  for (const path of ['/', '/healthz', '/metrics', '/nothing']) {
    const got = await ask(path)
    t.match(got.headers, {
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': /frame-ancestors 'none'/,
    })
    const head = await ask(path, { method: 'HEAD' })
    t.equal(head.text, '')
    t.same([head.status, head.headers['content-type']], [got.status, got.headers['content-type']])
    if (path !== '/metrics') t.equal(head.headers['content-length'], got.headers['content-length'])
  }
})

t.test('only names that cannot be rebound are answered', async (t) => {
  const cases: readonly [string | undefined, string, boolean][] = [
    ['localhost:9090', '127.0.0.1', true],
    ['LOCALHOST', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.1', true],
    ['[::1]:9090', '127.0.0.1', true],
    ['gate.internal:9090', 'gate.internal', true],
    ['gate.internal', '127.0.0.1', false],
    ['10.1.2.3:9090', '10.1.2.3', true],
    ['10.1.2.3:9090', '0.0.0.0', true],
    ['[fe80::1]', '::', true],
    ['evil.example', '0.0.0.0', false],
    ['127.0.0.1.evil.example', '0.0.0.0', false],
    ['localhost.evil.example', '127.0.0.1', false],
    ['user@localhost', '127.0.0.1', false],
    ['localhost:99999999', '127.0.0.1', false],
    ['', '127.0.0.1', false],
    [undefined, '127.0.0.1', false],
  ]
  for (const [host, listenHost, allowed] of cases) {
    t.equal(isHostAllowed(host, listenHost), allowed, `${host} at ${listenHost}`)
  }
})

t.test('other parts add resources with parameters in their paths', async (t) => {
  const { ask } = await startAdmin(t, {
    more: [
      {
        path: '/api/v1/decisions/{id}',
        summary: 'one decision',
        get: ({ parameters }) => json({ id: parameters.get('id') }),
      },
    ],
  })
  t.match(await ask('/api/v1/decisions/a%20b'), { status: 200, text: /"id": "a b"/ })
  for (const path of ['/api/v1/decisions/', '/api/v1/decisions/a/b', '/api/v1/decisions/%zz']) {
    t.equal((await ask(path)).status, 404, path)
  }
  t.match((await ask('/')).text, /\/api\/v1\/decisions\/\{id\}\s+one decision/)
  const twice = { path: '/x', summary: '', get: () => json({}) }
  t.throws(() => new Router([twice, twice]), /two resources at \/x/)
})

t.test('the shown configuration is plain JSON', async (t) => {
  const shown = plain({
    map: new Map([['__proto__', 1]]),
    bytes: new Uint8Array(3),
    none: Number.POSITIVE_INFINITY,
    list: [null, 'a', true],
  })
  t.equal(
    JSON.stringify(shown),
    '{"map":{"__proto__":1},"bytes":{"bytes":3},"none":null,"list":[null,"a",true]}',
  )
})

t.test('raw bytes that are no request, and heads beyond the limit, harm nobody', async (t) => {
  const { ask, port } = await startAdmin(t)
  const send = (bytes: string) =>
    new Promise<string>((resolve) => {
      let got = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
      socket.on('data', (chunk) => {
        got += chunk.toString('latin1')
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(got))
    })
  t.match(await send('\x00\x01\x02\r\n\r\n'), /^HTTP\/1\.1 400 /)
  t.match(await send('GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /, 'no Host')
  t.match(
    await send('GET http://evil/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'),
    /^HTTP\/1\.1 400 /,
  )
  t.match(
    await send(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(ADMIN_LIMITS.headerBytes)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  )
  t.equal((await ask('/healthz')).status, 200)
})

t.test(
  'closing ends every connection, also one that never asked anything; a taken port is told',
  async (t) => {
    const { admin, port } = await startAdmin(t)
    const socket = connect(port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    const other = await startAdmin(t)
    await t.rejects(
      other.admin.close().then(() => other.admin.listen('127.0.0.1', port)),
      { code: 'EADDRINUSE' },
    )
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    socket.resume()
    await admin.close()
    await closed
    await admin.close()
  },
)
