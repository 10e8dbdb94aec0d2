/** TLS, unix sockets, names and private addresses, from the configuration's words to the record's. */
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/control/config/load.ts'
import { RESOLVE_AGAIN_MS } from '../../src/forward/resolver.ts'
import { isPrivateAddress } from '../../src/kernel/private-address.ts'
import { expired, type Issued, makeAuthority, writeIssued } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENCE } from '../support/patient.ts'
import { decisionOf } from '../support/read-records.ts'
import { plainAnswer } from '../support/scripted-upstream.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const OK = plainAnswer(200, 'ok')
const authority = makeAuthority()

async function listening(t: Test, server: Server, at: string | number = 0): Promise<number> {
  if (typeof at === 'string') server.listen(at)
  else server.listen(at, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return typeof at === 'string' ? 0 : (server.address() as AddressInfo).port
}

async function tlsEndpoint(t: Test, issued: Issued, wanting = {}) {
  const peers: string[] = []
  const server = createTlsServer(
    { cert: issued.certificate, key: issued.key, ...wanting },
    (socket: TLSSocket) => {
      peers.push(socket.getPeerCertificate().subject?.CN?.toString() ?? '')
      socket.on('error', () => {})
      socket.on('data', () => socket.write(OK))
    },
  )
  server.on('tlsClientError', () => {})
  return { port: await listening(t, server), peers }
}

const model = (name: string, lines: string, timeouts = `timeouts = { ${PATIENCE} }`) => `
[models.${name}]
protocol = "raw"
${timeouts}
breaker = { enforce = false }
[models.${name}.versions.v1]
${lines}
`

t.test('TLS with what the files say: trusted, shown, refused', async (t) => {
  const mutual = { requestCert: true, rejectUnauthorized: true, ca: authority.certificate }
  const { port, peers } = await tlsEndpoint(t, authority.issue({ names: ['models.test'] }), mutual)
  const late = await tlsEndpoint(t, authority.issue(expired()))
  const ours = authority.issue({ names: [], commonName: 'the gateway', use: 'client' })
  const gateway = await startTestGateway(t, {
    toml: [
      model(
        'shown',
        `endpoints = ["https://127.0.0.1:${port}"]\ntls = { ca = "ca.pem", cert = "own.pem", key = "own.key", server_name = "models.test" }`,
      ),
      model(
        'hidden',
        `endpoints = ["https://127.0.0.1:${port}"]\ntls = { ca = "ca.pem", server_name = "models.test" }`,
      ),
      model('misnamed', `endpoints = ["https://127.0.0.1:${port}"]\ntls = { ca = "ca.pem" }`),
      model('late', `endpoints = ["https://localhost:${late.port}"]\ntls = { ca = "ca.pem" }`),
    ].join('\n'),
    files: { 'ca.pem': authority.certificate, 'own.pem': ours.certificate, 'own.key': ours.key },
  })
  const shown = await gateway.ask('/models/shown/x')
  t.equal(shown.text, 'ok')
  t.strictSame(peers, ['the gateway'])
  for (const name of ['hidden', 'misnamed', 'late']) {
    const told = await gateway.ask(`/models/${name}/x`)
    t.equal(told.status, 502, name)
    t.equal(told.headers['modelgate-error'], 'tls-failed', name)
    t.notMatch(told.text, /127\.0\.0\.1|CERT_|ALTNAME/, `${name}: callers read no details`)
  }
  const told = await gateway.ask('/models/late/x')
  const decision = await decisionOf(gateway.dataDir, String(told.headers['modelgate-request-id']))
  t.match(JSON.stringify(decision), /CERT_HAS_EXPIRED/, 'the record has them')
})

t.test('a unix socket, pipelined', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'm.sock')
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    let unread = ''
    socket.on('data', (bytes) => {
      const heads = (unread + bytes.toString('latin1')).split('\r\n\r\n')
      unread = heads.pop()!
      socket.write(heads.map((head) => plainAnswer(200, head.split(' ')[1]!)).join(''))
    })
  })
  await listening(t, server, path)
  const gateway = await startTestGateway(t, {
    toml: `[upstream]\ndeny_private = true\n${model('m', `endpoints = ["unix:${path}"]\npipeline = 8`)}`,
  })
  const asked = Array.from({ length: 24 }, (_, index) => index)
  const told = await Promise.all(asked.map((index) => gateway.ask(`/models/m/${index}`)))
  t.same(
    told.map(({ text }) => text),
    asked.map((index) => `/${index}`),
    'each has the answer to its own request',
  )
  t.ok(connections < 24, `${connections} connections for 24 requests`)
})

// What the hosts file calls this machine; the configuration cannot know that it is private.
const { address } = await lookup(hostname(), { family: 4 }).catch(() => ({ address: '' }))
const isNamed = address !== '' && isPrivateAddress(address)
const skip = isNamed ? false : `NOT RUN: ${hostname()} has no private address here`

t.test('a name of this machine is refused where private addresses are denied', { skip }, async (t) => {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.on('error', () => {}).on('data', () => socket.write(OK))
  })
  server.listen(0, address)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const lines = `endpoints = ["http://${hostname()}:${(server.address() as AddressInfo).port}"]`
  const gateway = await startTestGateway(t, { toml: `[upstream]\ndeny_private = true\n${model('m', lines)}` })
  const told = await gateway.ask('/models/m/x')
  t.equal(told.status, 502)
  t.equal(told.headers['modelgate-error'], 'address-denied')
  t.notMatch(told.text, address, 'callers do not read the address')
  t.equal(connections, 0, 'nobody knocked')
  const open = await startTestGateway(t, { toml: model('m', lines) })
  t.equal((await open.ask('/models/m/x')).text, 'ok', 'where they are not denied, it is reached by that name')
})

t.test('a name that does not resolve is told to the operator, once', async (t) => {
  const gateway = await startTestGateway(t, {
    toml: model('m', 'endpoints = ["http://nowhere.invalid"]\n', 'timeouts = { connect = "2s" }'),
  })
  const told = () => gateway.log.filter((line) => line.includes('nowhere.invalid does not resolve')).length
  const ask = async () =>
    t.match((await gateway.ask('/models/m/x')).headers['modelgate-error'], /^connect-(?:failed|timeout)$/)
  await ask()
  // How long a resolver takes to give up is the machine's own.
  await eventually(() => told() === 1, { withinMs: 30_000, until: 'the operator is told' })
  await pause(RESOLVE_AGAIN_MS + 50)
  for (let count = 0; count < 3; count += 1) await ask()
  t.equal(told(), 1, gateway.log.join('\n'))
})

t.test('check reads the files of tls, and names what is wrong with them', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const { writeFileSync } = await import('node:fs')
  writeIssued(directory, 'ours', authority.issue({ use: 'client' }))
  writeIssued(directory, 'other', authority.issue({ use: 'client' }))
  writeFileSync(join(directory, 'ca.pem'), authority.certificate)
  const load = (tls: string) => {
    const file = join(directory, 'gateway.toml')
    writeFileSync(file, model('m', `endpoints = ["https://h"]\ntls = { ${tls} }`))
    return loadConfig(file, { generation: 1, cores: 1 })
  }
  const good = load('ca = "ca.pem", cert = "ours.crt", key = "ours.key"')
  if (!good.ok) throw new Error(JSON.stringify(good.problems))
  const [version] = good.snapshot.versions
  t.match(version, {
    endpoints: [{ tls: { ca: authority.certificate, serverName: 'h', verify: true }, pipeline: 1 }],
  })
  const table: readonly (readonly [string, RegExp])[] = [
    ['cert = "ours.crt", key = "other.key"', /other\.key is not the key of the certificate/],
    ['cert = "ours.key", key = "ours.key"', /ours\.key is not a PEM certificate/],
    ['cert = "ours.crt", key = "ours.crt"', /ours\.crt is not a PEM private key/],
    ['ca = "none.pem"', /cannot read none\.pem: no such file/],
  ]
  for (const [tls, words] of table) {
    const loaded = load(tls)
    t.match(loaded.ok ? '' : loaded.problems.map(({ message }) => message).join(), words, tls)
  }
  const lax = load('verify = false')
  t.match(lax.ok && lax.warnings[0]!.message, /anybody can pose as this endpoint/)
  const renewed = load('ca = "ca.pem"')
  writeFileSync(join(directory, 'ca.pem'), makeAuthority().certificate)
  const after = load('ca = "ca.pem"')
  t.ok(renewed.ok && after.ok && renewed.snapshot.hash !== after.snapshot.hash, 'another file, another hash')
})
