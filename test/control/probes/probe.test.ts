/** One question to an endpoint, over real sockets: what counts as a good answer, and what never happens. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import {
  type AddressesOf,
  BODY_BYTES_MAX,
  type ProbeAnswer,
  probeOf,
} from '../../../src/control/probes/probe.ts'
import type { Endpoint, EndpointTls, HealthSettings } from '../../../src/domain/routes.ts'
import { Resolver } from '../../../src/forward/resolver.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { endpointAt } from '../../support/endpoint-at.ts'
import { type Script, ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { unusedPort } from '../../support/unused-port.ts'

const HEALTH: HealthSettings = {
  path: '/ready?deep=1',
  intervalMs: 2000,
  timeoutMs: 2000,
  healthy: 2,
  unhealthy: 3,
  expect: [],
}

const resolver = new Resolver({ clock: systemClock })
const addressesOf: AddressesOf = (host, told) => resolver.addressesOf(host, told)

function probed(endpoint: Endpoint, more: Partial<HealthSettings> = {}): Promise<ProbeAnswer> {
  return new Promise((resolve) => probeOf(endpoint, { ...HEALTH, ...more }, addressesOf)(resolve))
}

async function scripted(t: Test, script: Script): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script)
  t.teardown(() => upstream.close())
  return upstream
}

const answering200: Script = async (connection) => {
  await connection.request()
  connection.send('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
}

/** Answers with these bytes, and ends. */
async function answering(t: Test, bytes: string): Promise<Endpoint> {
  const upstream = await scripted(t, async (connection) => {
    await connection.request()
    connection.send(bytes)
    connection.finish()
  })
  return endpointAt('127.0.0.1', upstream.port)
}

t.test('it asks by GET, for the path with its query, on a connection of its own', async (t) => {
  const heads: string[] = []
  const upstream = await scripted(t, async (connection) => {
    const { head } = await connection.request()
    heads.push(head)
    connection.send('HTTP/1.1 204 No Content\r\n\r\n')
  })
  const endpoint = endpointAt('127.0.0.1', upstream.port)
  t.same(await probed(endpoint), { verdict: 'passed', detail: 'answered 204' })
  t.same(await probed(endpoint), { verdict: 'passed', detail: 'answered 204' })
  t.match(heads[0], /^GET \/ready\?deep=1 HTTP\/1\.1\r\n/)
  t.match(heads[0]?.toLowerCase(), `host: 127.0.0.1:${upstream.port}\r\n`)
  t.match(heads[0]?.toLowerCase(), 'connection: close\r\n')
  t.match(heads[0]?.toLowerCase(), 'user-agent: modelgate-health\r\n')
  t.equal(heads.length, 2)
})

t.test('200 to 299 is good, or what is expected; a redirect is not followed', async (t) => {
  const status = (code: number) => `HTTP/1.1 ${code} X\r\ncontent-length: 2\r\n\r\nok`
  t.match(await probed(await answering(t, status(299))), { verdict: 'passed' })
  t.match(await probed(await answering(t, status(503))), { verdict: 'failed', detail: 'answered 503' })
  const moved = `HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n`
  t.match(await probed(await answering(t, moved)), { verdict: 'failed', detail: 'answered 302' })
  const expect = [302, 404]
  t.match(await probed(await answering(t, moved), { expect }), { verdict: 'passed', detail: 'answered 302' })
  t.match(await probed(await answering(t, status(200)), { expect }), {
    verdict: 'failed',
    detail: 'answered 200',
  })
})

t.test('a body is read to its end, however it is framed, up to a limit', async (t) => {
  const text = 'x'.repeat(5000)
  t.match(await probed(await answering(t, `HTTP/1.1 200 OK\r\n\r\n${text}`)), { verdict: 'passed' })
  const chunked = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`
  t.match(await probed(await answering(t, chunked)), { verdict: 'passed' })
  const cut = `HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n${text}`
  t.match(await probed(await answering(t, cut)), { verdict: 'failed', detail: 'broke off its answer' })
  let sent = 0
  const endless = await scripted(t, async (connection) => {
    await connection.request()
    connection.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    while (!connection.isClosed && sent < 1e9) {
      connection.send(`2000\r\n${'y'.repeat(0x2000)}\r\n`)
      sent += 0x2000
      await pause(1)
    }
  })
  t.match(await probed(endpointAt('127.0.0.1', endless.port)), { verdict: 'passed', detail: 'answered 200' })
  t.ok(sent < 100 * BODY_BYTES_MAX, `${sent} bytes were sent until nobody read them`)
})

t.test('whoever is silent, refuses, closes or speaks no HTTP has not answered', async (t) => {
  const silent = await scripted(t, async (connection) => void (await connection.closed))
  const startedAt = performance.now()
  t.same(await probed(endpointAt('127.0.0.1', silent.port), { timeoutMs: 150 }), {
    verdict: 'failed',
    detail: 'did not answer within 150 ms',
  })
  t.ok(performance.now() - startedAt >= 145)
  const slowBody = await scripted(t, async (connection) => {
    await connection.request()
    await connection.drip('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhello', 10)
    await connection.closed
  })
  t.match(await probed(endpointAt('127.0.0.1', slowBody.port), { timeoutMs: 150 }), {
    detail: /^did not answer/,
  })
  const nobody = endpointAt('127.0.0.1', await unusedPort(t))
  t.match(await probed(nobody), { verdict: 'failed', detail: /ECONNREFUSED/ })
  t.match(await probed(await answering(t, '')), {
    verdict: 'failed',
    detail: /hang up|closed the connection/,
  })
  t.match(await probed(await answering(t, 'SSH-2.0-x\r\n\r\n')), { verdict: 'failed', detail: /Parse Error/ })
  const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'
  t.match(await probed(await answering(t, upgrade)), { verdict: 'failed' })
  const large = `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`
  t.match(await probed(await answering(t, large)), { verdict: 'failed', detail: /Header overflow/ })
})

t.test('an answer that came while this thread was held up is not too late', async (t) => {
  const thread = new Worker(new URL('../../support/ending-endpoint-thread.js', import.meta.url))
  const [port] = (await once(thread, 'message')) as [number]
  t.teardown(() => void thread.postMessage('end'))
  const asked = probed(endpointAt('127.0.0.1', port), { path: '/late', timeoutMs: 100 })
  // The connection is made and the question sent; then nothing is read for longer than the answer may take.
  await pause(20)
  const heldUntil = performance.now() + 150
  while (performance.now() < heldUntil);
  t.match(await asked, { verdict: 'passed' })
})

t.test('nothing is told after it was given up, and the connection ends', async (t) => {
  const upstream = await scripted(t, async (connection) => {
    await connection.request()
    await connection.closed
  })
  let told = 0
  const stop = probeOf(
    endpointAt('127.0.0.1', upstream.port),
    { ...HEALTH, timeoutMs: 100 },
    addressesOf,
  )(() => {
    told += 1
  })
  await pause(50)
  stop()
  await pause(100)
  t.equal(told, 0)
})

t.test('a name that does not resolve says nothing of the endpoint', async (t) => {
  t.match(await probed(endpointAt('no-such-host.invalid', 80)), { verdict: 'neutral', detail: /getaddrinfo/ })
  const denied = endpointAt('no-such-host.invalid', 80, { denyPrivate: true })
  t.match(await probed(denied), { verdict: 'neutral', detail: /getaddrinfo/ })
})

t.test(
  'one address that refuses is followed by the next, and private ones are left out where they are denied',
  async (t) => {
    const upstream = await scripted(t, answering200)
    const names = new Map([
      ['mixed.example', ['127.0.0.2', '127.0.0.1']],
      ['private.example', ['10.0.0.1', '::1']],
    ])
    const by: AddressesOf = (host, told) => told(null, names.get(host) ?? [])
    const ask = (endpoint: Endpoint) =>
      new Promise<ProbeAnswer>((resolve) => probeOf(endpoint, HEALTH, by)(resolve))
    t.match(await ask(endpointAt('mixed.example', upstream.port)), { verdict: 'passed' })
    const denied = await ask(endpointAt('private.example', upstream.port, { denyPrivate: true }))
    t.match(denied, { verdict: 'failed', detail: /private address \(private\.example\)/ })
  },
)

t.test('a flood of interim answers is no answer', async (t) => {
  const flood = await answering(t, 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000))
  t.match(await probed(flood), { verdict: 'failed', detail: 'sent more than 16 interim answers' })
  const few = await answering(t, `${'HTTP/1.1 103 X\r\n\r\n'.repeat(16)}HTTP/1.1 204 X\r\n\r\n`)
  t.match(await probed(few), { verdict: 'passed' })
})

t.test('a unix socket is asked like any other', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'probe-'))
  const socketPath = join(directory, 'model.sock')
  const server = createHttpServer((_, response) => response.end('well')).listen(socketPath)
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })
  t.match(await probed(endpointAt('', 0, { socketPath })), { verdict: 'passed' })
  t.match(await probed(endpointAt('', 0, { socketPath: `${socketPath}.gone` })), {
    verdict: 'failed',
    detail: /ENOENT/,
  })
})

t.test('TLS is that of the endpoint: who is trusted, which name it must have, what we show', async (t) => {
  const authority = makeAuthority()
  const { certificate: cert, key } = authority.issue({ names: ['models.example'] })
  const server = createTlsServer({ cert, key, ca: authority.certificate, requestCert: true }, (_, response) =>
    response.end(),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const ours = authority.issue({ names: ['gateway'], use: 'client' })
  const tls: EndpointTls = {
    ca: authority.certificate,
    cert: ours.certificate,
    key: ours.key,
    serverName: 'models.example',
    verify: true,
  }
  const ask = (more: Partial<EndpointTls>) =>
    probed(endpointAt('127.0.0.1', port, { tls: { ...tls, ...more } }))
  t.match(await ask({}), { verdict: 'passed' })
  t.match(await ask({ serverName: 'other.example' }), { verdict: 'failed', detail: /altnames/ })
  t.match(await ask({ serverName: '127.0.0.1' }), { verdict: 'failed', detail: /altnames|IP/ })
  t.match(await ask({ ca: makeAuthority().certificate }), { verdict: 'failed', detail: /certificate|issuer/ })
  t.match(await ask({ ca: null, verify: false }), { verdict: 'passed' })
  t.match(await ask({ ca: 'nonsense', cert: 'nonsense' }), { verdict: 'failed' })
})

t.test('with deny_private no private address is connected to, whatever the name says', async (t) => {
  let connections = 0
  const upstream = await scripted(t, async (connection) => {
    connections += 1
    await connection.request()
    connection.send('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  })
  for (const host of ['127.0.0.1', 'localhost']) {
    const endpoint = endpointAt(host, upstream.port, { denyPrivate: true })
    t.match(await probed(endpoint), { verdict: 'failed', detail: /private address.*deny_private/ }, host)
  }
  t.equal(connections, 0)
})
