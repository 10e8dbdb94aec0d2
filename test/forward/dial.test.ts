/** From an endpoint to a connection: names, several addresses, private ones, unix sockets, TLS. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import t, { type Test } from 'tap'
import type { Endpoint, EndpointTls } from '../../src/domain/routes.ts'
import { NEXT_ADDRESS_MS } from '../../src/forward/dial.ts'
import { type Ask, RESOLVE_EVERY_MS, Resolver } from '../../src/forward/resolver.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { expired, type Issued, makeAuthority } from '../support/certificates.ts'
import { DeafPort } from '../support/deaf-port.ts'
import { endpointAt } from '../support/endpoint-at.ts'
import { answering, plainAnswer, ScriptedUpstream } from '../support/scripted-upstream.ts'
import { unusedPort } from '../support/unused-port.ts'
import { Carrier, textOf, until, versionOf } from './carry.ts'

const OK = plainAnswer(200, 'ok')
const ONCE = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'

function carrierWith(t: Test, ask: Ask, clock: { now(): number; wall(): number } = systemClock) {
  const resolver = new Resolver({ clock, ask })
  const carry = new Carrier('real', { resolver })
  t.teardown(() => carry.close())
  return carry
}

t.test('addresses of a name are tried in turn until one takes the connection', async (t) => {
  const upstream = await ScriptedUpstream.start(answering(OK))
  t.teardown(() => upstream.close())
  const carry = carrierWith(t, (_, answered) => answered(null, ['127.0.0.2', '127.0.0.3', '127.0.0.1']))
  const result = await carry.send(versionOf(endpointAt('models.test', upstream.port))).result
  t.equal(textOf(result), 'ok')
})

t.test('a silent address fails nobody: the next is tried beside it, and first from then on', async (t) => {
  const deaf = await DeafPort.open()
  const other = createServer((socket) => socket.on('data', () => socket.end(ONCE)))
  other.listen(deaf.port, '127.0.0.2')
  await once(other, 'listening')
  t.teardown(async () => {
    other.close()
    await deaf.close()
  })
  const carry = carrierWith(t, (_, answered) => answered(null, ['127.0.0.1', '127.0.0.2']))
  const version = versionOf(endpointAt('models.test', deaf.port))
  const result = await carry.send(version).result
  t.equal(textOf(result), 'ok')
  t.ok(result.phases.connectMs >= NEXT_ADDRESS_MS - 1, `the first had ${result.phases.connectMs} ms`)
  t.equal(deaf.knocking, 0, 'nobody goes on knocking')
  const tooShort = { connectMs: 0.9 * NEXT_ADDRESS_MS }
  for (const turn of ['its', 'the other’s']) {
    t.equal(textOf(await carry.send(version, {}, tooShort).result), 'ok', `in ${turn} turn`)
  }
})

t.test('of several addresses that are waited for, those that are not needed are let go', async (t) => {
  const { certificate: ca, issue } = makeAuthority()
  const { certificate: cert, key } = issue({ names: ['models.test'] })
  const mute = createServer()
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const { port } = mute.address() as AddressInfo
  const other = createTlsServer({ cert, key }, (socket) => socket.on('data', () => socket.end(ONCE)))
  other.listen(port, '127.0.0.2')
  await once(other, 'listening')
  t.teardown(() => {
    mute.close()
    other.close()
  })
  const accepted = once(mute, 'connection') as Promise<[Socket]>
  const carry = carrierWith(t, (_, answered) => answered(null, ['127.0.0.1', '127.0.0.2']))
  const tls = { ca, cert: null, key: null, serverName: 'models.test', verify: true }
  const result = carry.send(versionOf(endpointAt('models.test', port, { tls }))).result
  const [socket] = await accepted
  const ended = once(socket.resume(), 'end')
  t.equal(textOf(await result), 'ok')
  await ended
  socket.destroy()
})

t.test('when all of them are silent it is a connect timeout, and none is left behind', async (t) => {
  const deaf = await DeafPort.open()
  t.teardown(() => deaf.close())
  const carry = carrierWith(t, (_, answered) => answered(null, ['127.0.0.1', '127.0.0.1']))
  const limits = { connectMs: 2.5 * NEXT_ADDRESS_MS }
  const { fault } = await carry.send(versionOf(endpointAt('models.test', deaf.port)), {}, limits).result
  t.equal(fault?.code, 'connect-timeout')
  t.equal(carry.forwarder.counts().open, 0)
  await until(() => deaf.knocking === 0, 'nobody goes on knocking')
  t.equal(carry.sweep.size, 0)
})

t.test('what every address said is told when none takes it', async (t) => {
  const port = await unusedPort(t)
  const carry = carrierWith(t, (_, answered) => answered(null, ['127.0.0.2', '127.0.0.1']))
  const { fault } = await carry.send(versionOf(endpointAt('models.test', port))).result
  t.equal(fault?.code, 'connect-refused')
  t.match(fault?.detail, /127\.0\.0\.2: ECONNREFUSED.*; 127\.0\.0\.1: ECONNREFUSED/)
  t.equal(carry.forwarder.counts().open, 0)
})

t.test('a name that does not resolve fails those who wait for it, and nobody else', async (t) => {
  const questions: Parameters<Ask>[1][] = []
  const carry = carrierWith(t, (_, answered) => questions.push(answered))
  const upstream = await ScriptedUpstream.start(answering(OK))
  t.teardown(() => upstream.close())
  const waiting = carry.send(versionOf(endpointAt('nowhere.test', 80)))
  t.equal(textOf(await carry.send(versionOf(upstream.endpoint)).result), 'ok', 'an address waits for no name')
  questions[0]!(new Error('getaddrinfo ENOTFOUND nowhere.test'), [])
  const { fault } = await waiting.result
  t.equal(fault?.code, 'connect-failed')
  t.match(fault?.detail, /ENOTFOUND nowhere\.test/)
})

t.test('a resolver that does not answer is a connect timeout', async (t) => {
  const carry = carrierWith(t, () => {})
  const { fault } = await carry.send(versionOf(endpointAt('slow.test', 80)), {}, { connectMs: 50 }).result
  t.equal(fault?.code, 'connect-timeout')
  t.equal(carry.forwarder.counts().open, 0)
})

t.test('a change of addresses is picked up, and connections to what is gone are not kept', async (t) => {
  const old = await ScriptedUpstream.start(answering(OK))
  // Two addresses of this machine with one port.
  const young = createServer((socket) => socket.on('data', () => socket.write(plainAnswer(200, 'moved'))))
  young.listen(old.port, '127.0.0.2')
  await once(young, 'listening')
  let addresses = ['127.0.0.1']
  let fails = false
  const ask: Ask = (_, answered) => (fails ? answered(new Error('EAI_AGAIN'), []) : answered(null, addresses))
  const resolver: Resolver = new Resolver({ clock: { now: () => carry.clock.now(), wall: () => 0 }, ask })
  const carry: Carrier = new Carrier('manual', { resolver })
  t.teardown(async () => {
    carry.close()
    young.close()
    await old.close()
  })
  const version = versionOf(endpointAt('models.test', old.port))
  const get = async () => textOf(await carry.send(version).result)
  t.equal(await get(), 'ok')
  addresses = ['127.0.0.2']
  // In steps, because idle connections are let go after as long as an answer of the resolver is believed.
  carry.advance(0.6 * RESOLVE_EVERY_MS)
  t.equal(await get(), 'ok', 'not before it is asked again')
  carry.advance(0.6 * RESOLVE_EVERY_MS)
  t.equal(await get(), 'ok', 'the kept connection still serves')
  t.equal(await get(), 'moved')
  await until(() => old.openCount === 0, 'the connection to the old address is gone')
  fails = true
  carry.advance(2 * RESOLVE_EVERY_MS)
  t.equal(await get(), 'moved', 'the last good answer is kept, for new connections too')
})

t.test(
  'a private address is refused at the moment of connecting, whatever the name said before',
  async (t) => {
    const upstream = await ScriptedUpstream.start(answering(OK))
    t.teardown(() => upstream.close())
    const denied = { denyPrivate: true }
    for (const address of ['127.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', '10.0.0.1']) {
      const carry = carrierWith(t, (_, answered) => answered(null, [address]))
      const { fault } = await carry.send(versionOf(endpointAt('public.test', upstream.port, denied))).result
      t.equal(fault?.code, 'address-denied', address)
      t.match(fault?.detail, `${address} is a private address`)
      t.notMatch(fault?.message, address)
    }
    const carry = carrierWith(t, () => {})
    const literal = endpointAt('127.0.0.1', upstream.port, denied)
    t.equal(
      (await carry.send(versionOf(literal)).result).fault?.code,
      'address-denied',
      'also without a name',
    )
    t.equal(upstream.connectionCount, 0, 'nothing was connected to')
  },
)

t.test('a unix socket is an endpoint like any other', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  const socketPath = join(directory, 'model.sock')
  const requests: string[] = []
  const server = createServer((socket) => {
    socket.on('data', (bytes) => {
      requests.push(bytes.toString())
      socket.write(OK)
    })
  })
  server.listen(socketPath)
  await once(server, 'listening')
  const carry = carrierWith(t, () => {})
  t.teardown(() => {
    server.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const endpoint: Endpoint = endpointAt('', 0, {
    url: `unix:${socketPath}`,
    socketPath,
    authority: 'localhost',
    denyPrivate: true,
  })
  for (let index = 0; index < 3; index += 1) {
    t.equal(textOf(await carry.send(versionOf(endpoint)).result), 'ok')
  }
  t.match(requests[0], '\r\nhost: localhost\r\n')
  t.equal(carry.forwarder.counts().idle, 1, 'one connection, kept')
  const nowhere = endpointAt('', 0, { url: 'unix:/nowhere', socketPath: join(directory, 'none') })
  const { fault } = await carry.send(versionOf(nowhere)).result
  t.equal(fault?.code, 'connect-failed')
  t.match(fault?.detail, /ENOENT/)
})

const authority = makeAuthority()
const PLAIN: EndpointTls = {
  ca: authority.certificate,
  cert: null,
  key: null,
  serverName: 'localhost',
  verify: true,
}

/** A TLS server that answers every read, and what it saw of its clients. */
async function tlsEndpoint(t: Test, issued: Issued, options: TlsOptions = {}, answer: string | Buffer = OK) {
  const seen: TLSSocket[] = []
  const server = createTlsServer({ cert: issued.certificate, key: issued.key, ...options }, (socket) => {
    seen.push(socket)
    socket.on('error', () => {})
    socket.on('data', () => socket.write(answer))
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of seen) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const at = (tls: Partial<EndpointTls> = {}) =>
    versionOf(endpointAt('127.0.0.1', port, { tls: { ...PLAIN, ...tls } }))
  return { seen, at, server }
}

t.test('TLS: asked for by name, verified, kept, and resumed', async (t) => {
  const { seen, at } = await tlsEndpoint(t, authority.issue(), { ALPNProtocols: ['http/1.1'] })
  const carry = carrierWith(t, () => {})
  const version = at()
  t.equal(textOf(await carry.send(version).result), 'ok')
  t.equal(textOf(await carry.send(version).result), 'ok')
  t.equal(seen.length, 1, 'one connection')
  t.equal(seen[0]!.servername, 'localhost')
  t.equal(seen[0]!.alpnProtocol, 'http/1.1')
  seen[0]!.destroy()
  while (carry.forwarder.counts().open > 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(textOf(await carry.send(version).result), 'ok')
  t.ok(seen[1]!.isSessionReused(), 'the second connection resumes the first one’s session')
})

t.test('TLS: a large body arrives whole through the shared buffer', async (t) => {
  const body = Buffer.alloc(3_000_000, 'abcdefg')
  const head = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`
  const { at } = await tlsEndpoint(t, authority.issue(), {}, Buffer.concat([Buffer.from(head), body]))
  const carry = carrierWith(t, () => {})
  const results = await Promise.all([carry.send(at()).result, carry.send(at()).result])
  for (const { answer } of results) t.ok(body.equals(answer!.body))
})

t.test('TLS: what cannot be trusted is refused in words of its own', async (t) => {
  const other = makeAuthority('another authority')
  const cases: readonly (readonly [string, Issued, Partial<EndpointTls>, RegExp])[] = [
    ['another name', authority.issue({ names: ['other.test'] }), {}, /ALTNAME_INVALID/],
    ['the name asked for', authority.issue(), { serverName: 'models.test' }, /ALTNAME_INVALID/],
    ['an address it does not have', authority.issue(), { serverName: '127.0.0.2' }, /ALTNAME_INVALID/],
    ['expired', authority.issue(expired()), {}, /CERT_HAS_EXPIRED/],
    ['another authority', other.issue(), {}, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED/],
    ['none of the system’s', authority.issue(), { ca: null }, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED/],
  ]
  for (const [name, issued, tls, words] of cases) {
    const { at, seen } = await tlsEndpoint(t, issued)
    const carry = carrierWith(t, () => {})
    const { fault } = await carry.send(at(tls)).result
    t.equal(fault?.code, 'tls-failed', name)
    t.match(fault?.detail, words, name)
    t.equal(fault?.message, "version 'v2' of model 'fraud' could not be reached by TLS that can be trusted")
    t.ok(
      seen.every(({ bytesRead }) => bytesRead === 0),
      `${name}: no request was sent`,
    )
  }
})

t.test('TLS: a certificate that has the address needs no name', async (t) => {
  const { at, seen } = await tlsEndpoint(t, authority.issue({ names: ['127.0.0.1'] }))
  const carry = carrierWith(t, () => {})
  t.equal(textOf(await carry.send(at({ serverName: '127.0.0.1' })).result), 'ok')
  t.notOk(seen[0]!.servername, 'an address is no server name')
})

t.test('TLS: not verified only when that was said', async (t) => {
  const { at } = await tlsEndpoint(t, makeAuthority('nobody').issue({ names: ['other.test'] }))
  const carry = carrierWith(t, () => {})
  t.equal(textOf(await carry.send(at({ verify: false })).result), 'ok')
})

t.test(
  'TLS: a certificate of ours that cannot be used is a fault like any other, and nobody’s bug',
  async (t) => {
    const { at } = await tlsEndpoint(t, authority.issue())
    const carry = carrierWith(t, () => {})
    for (const shown of [
      { cert: 'no certificate', key: 'no key' },
      { cert: authority.certificate, key: 'no key' },
    ]) {
      const { fault } = await carry.send(at(shown)).result
      t.equal(fault?.code, 'tls-failed', fault?.detail ?? 'no fault')
      t.strictSame(carry.forwarder.counts(), { open: 0, idle: 0, waiting: 0 })
    }
  },
)

t.test('TLS: a client certificate is shown, and an endpoint that wants another refuses', async (t) => {
  const ours = authority.issue({ names: [], commonName: 'the gateway', use: 'client' })
  const strangers = makeAuthority('strangers').issue({ names: [], commonName: 'x', use: 'client' })
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const wanting = { requestCert: true, rejectUnauthorized: true, ca: authority.certificate, maxVersion }
    const { at, seen } = await tlsEndpoint(t, authority.issue(), wanting)
    const carry = carrierWith(t, () => {})
    const shown = { cert: ours.certificate, key: ours.key }
    t.equal(textOf(await carry.send(at(shown)).result), 'ok', maxVersion)
    t.equal(seen[0]!.getPeerCertificate().subject.CN, 'the gateway')
    t.equal((await carry.send(at()).result).fault?.code, 'tls-failed', `${maxVersion}: none shown`)
    const wrong = { cert: strangers.certificate, key: strangers.key }
    const { fault } = await carry.send(at(wrong)).result
    t.ok(
      ['tls-failed', 'closed-before-answer'].includes(fault?.code ?? ''),
      `${maxVersion}: ${fault?.detail}`,
    )
  }
})

t.test(
  'TLS: an endpoint that speaks none, or hangs up in the middle, is told from one that is not there',
  async (t) => {
    const plain = await ScriptedUpstream.start(async (connection) => {
      await connection.bytes(1)
      connection.send('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    const shut = await ScriptedUpstream.start(async (connection) => {
      await connection.bytes(1)
      connection.finish()
    })
    t.teardown(async () => {
      await plain.close()
      await shut.close()
    })
    const carry = carrierWith(t, () => {})
    for (const { port } of [plain, shut]) {
      const { fault } = await carry.send(versionOf(endpointAt('127.0.0.1', port, { tls: PLAIN }))).result
      t.equal(fault?.code, 'tls-failed', `${fault?.detail}`)
    }
    const nobody = endpointAt('127.0.0.1', await unusedPort(t), { tls: PLAIN })
    t.equal((await carry.send(versionOf(nobody)).result).fault?.code, 'connect-refused')
  },
)
