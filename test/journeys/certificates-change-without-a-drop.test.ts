/** server.tls from the file to the wire, and its files changing under traffic: nobody notices, or an operator is told. */
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startGateway } from '../../src/compose.ts'
import { loadConfig } from '../../src/control/config/load.ts'
import { expired, type Issued, makeAuthority } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { PATIENT } from '../support/patient.ts'
import { metricsOf } from '../support/read-metrics.ts'
import { decisionsIn } from '../support/read-records.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { startTestGateway } from '../support/start-gateway.ts'
import { askSecurely, oneConnection, type SecureAsked, withName, withoutName } from '../support/tls-caller.ts'

const authority = makeAuthority()
const named = withName(authority.certificate)
const unnamed = withoutName(authority.certificate)

const toml = (endpoint: string, { lanes = 1, tls = '' } = {}) => `
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = ${lanes}
grace = "20s"
[server.tls]
cert = "server.crt"
key = "server.key"
${tls}
[models.m]
protocol = "raw"
${PATIENT}
[models.m.versions.v1]
endpoints = ["${endpoint}"]
`

const filesOf = ({ certificate, key }: Issued) => ({ 'server.crt': certificate, 'server.key': key })

/** As certificate managers do it: each file whole at once, the two one after the other. */
function replace(directory: string, issued: Issued): void {
  for (const [name, text] of Object.entries(filesOf(issued))) {
    writeFileSync(join(directory, `${name}.new`), text)
    renameSync(join(directory, `${name}.new`), join(directory, name))
  }
}

/** Answers what it was asked; at /slow piece by piece, until `finish` is called. */
async function startEndpoint(t: Pick<Test, 'teardown'>) {
  let finish: () => void = () => {}
  const server = createServer((request, response) => {
    if (request.url !== '/slow') return void response.end(`asked ${request.url}`)
    const timer = setInterval(() => response.write('.'), 5)
    finish = () => {
      clearInterval(timer)
      response.end('end')
    }
  })
  t.teardown(() => {
    finish()
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, finish: () => finish() }
}

/** Asks again and again; `stop` resolves to what went wrong and how often all went well. */
function keepAsking(asked: SecureAsked) {
  const serials = new Set<string>()
  const errors: string[] = []
  let [count, isOver] = [0, false]
  const running = (async () => {
    while (!isOver) {
      try {
        const { status, text, serial } = await askSecurely({ ...asked, path: '/models/m/x' })
        serials.add(serial)
        if (status === 200 && text === 'asked /x') count += 1
        else errors.push(`${status} ${text}`)
      } catch (error) {
        errors.push(String(error))
      }
      // Whoever asks without a pause has the machine busy with handshakes alone.
      await pause(5)
    }
  })()
  const stop = async () => {
    isOver = true
    await running
    return { serials, errors, count }
  }
  return { stop, count: () => count }
}

async function replacedUnderTraffic(t: Test, { lanes, rounds }: { lanes: number; rounds: number }) {
  const endpoint = await startEndpoint(t)
  const gateway = await startTestGateway(t, {
    toml: toml(endpoint.url, { lanes }),
    files: filesOf(authority.issue()),
  })
  const { port } = gateway
  const kept = oneConnection()
  t.teardown(() => kept.destroy())
  const callers = [named, unnamed, named, unnamed].map((tls) => keepAsking({ port, tls }))
  const faithful = keepAsking({ port, tls: named, agent: kept })
  const slow = askSecurely({ port, path: '/models/m/slow', tls: named })
  const { serial } = await askSecurely({ port, path: '/models/m/x', tls: named })
  for (let round = 0; round < rounds; round += 1) {
    const before = callers.map(({ count }) => count())
    await eventually(() => callers.every(({ count }, index) => count() > before[index]!))
    replace(gateway.directory, authority.issue())
    await gateway.gateway.renewCertificate()
    const fresh = await askSecurely({ port, path: '/models/m/x', tls: unnamed })
    if (fresh.serial === serial) t.fail(`round ${round}: a new connection got the old certificate`)
  }
  const told = await Promise.all(callers.map((caller) => caller.stop()))
  const errors = told.flatMap(({ errors }) => errors)
  t.same(errors, [])
  const whole = await faithful.stop()
  t.same([whole.errors, whole.serials.size], [[], 1], `${whole.count} requests on one connection`)
  endpoint.finish()
  t.match(await slow, { status: 200, serial, text: /^\.+end$/ }, 'an answer under way all the time')
  const metrics = await metricsOf(gateway)
  t.equal(metrics.value('modelgate_certificate_reloads_total', { result: 'taken' }), rounds)
  t.equal(metrics.value('modelgate_connections_refused_total'), 0)
  return gateway
}

t.test('certificates one after the other, on two lanes: no connection and no request is lost', async (t) => {
  await replacedUnderTraffic(t, { lanes: 2, rounds: 10 })
})

t.test(
  'changed files are found by looking; what cannot serve is refused, and the operator told',
  async (t) => {
    const gateway = await replacedUnderTraffic(t, { lanes: 1, rounds: 4 })
    const { port, directory, log } = gateway
    const told = log.length
    const serialNow = async () => (await askSecurely({ port, path: '/models/m/x', tls: named })).serial
    const first = await serialNow()
    const renewed = () => gateway.gateway.renewCertificate()
    const [next, other] = [authority.issue(), authority.issue()]
    const bad: [string, Issued, RegExp][] = [
      [
        'key',
        { ...next, key: other.key },
        /NOT USED: \S+server\.key is not the key of the certificate; the certi/,
      ],
      ['no key', { ...next, key: 'x' }, /NOT USED: \S+server\.key is not a PEM private key: it holds none/],
      [
        'half',
        { ...next, certificate: next.certificate.slice(0, 300) },
        /NOT USED: \S+server\.crt is not a PEM cert/,
      ],
      [
        'expired',
        authority.issue(expired()),
        /NOT USED: \S+server\.crt holds a certificate that ran out on 20/,
      ],
      [
        'early',
        authority.issue({ notBefore: new Date('2040-01-01'), notAfter: new Date('2041-01-01') }),
        /NOT USED: \S+server\.crt holds a certificate that is valid from 2040-01-01T00:00:00Z on, not yet/,
      ],
    ]
    for (const [name, issued, words] of bad) {
      replace(directory, issued)
      await renewed()
      await renewed()
      t.match(log.at(-1), words, name)
      t.equal(await serialNow(), first, `${name}: the old certificate stays`)
    }
    t.equal(log.length - told, bad.length, 'each is told once')
    const before = await metricsOf(gateway)
    t.equal(before.value('modelgate_certificate_reloads_total', { result: 'refused' }), bad.length)

    const notAfter = new Date('2049-05-06T07:08:09Z')
    replace(directory, authority.issue({ notAfter }))
    await eventually(async () => (await serialNow()) !== first)
    t.match(
      log.at(-1),
      /new certificate \(DNS:localhost, IP Address:127\.0\.0\.1\), valid until 2049-05-06T07:08:09Z/,
    )
    const after = await metricsOf(gateway)
    t.equal(after.value('modelgate_certificate_expires_seconds'), notAfter.getTime() / 1000)
    await renewed()
    t.match(log.at(-1), /the certificate in use is what the files hold/)
    const secrets = [log.join('\n'), (await gateway.admin('/api/v1/config')).text, JSON.stringify(before)]
    t.notMatch(secrets.join(), /PRIVATE KEY|BEGIN/, 'no file’s contents are told')
  },
)

t.test('SIGHUP looks at once; the key is in no record and in no word of the process', async (t) => {
  const endpoint = await startEndpoint(t)
  const first = authority.issue()
  const { configFile, dataDir } = writeSetup(t, toml(endpoint.url, { lanes: 2 }), filesOf(first))
  const gateway = serve(t, configFile)
  const { port } = await gateway.ports()
  t.match(gateway.stdout, /serving on https:\/\/127\.0\.0\.1/)
  const ask = () => askSecurely({ port, path: '/models/m/x', tls: named })
  const { serial } = await ask()
  // Nobody is told of a look that is not asked for and finds nothing new.
  gateway.signal('SIGHUP')
  await eventually(() => gateway.stderr.includes('the certificate in use is what the files hold'))
  replace(join(configFile, '..'), authority.issue())
  gateway.signal('SIGHUP')
  await eventually(() => gateway.stderr.includes('new connections get the new certificate'))
  t.not((await ask()).serial, serial)
  gateway.signal('SIGTERM')
  t.same(await gateway.exited, { code: 0, signal: null })
  const words = gateway.stdout + gateway.stderr + JSON.stringify(await decisionsIn(dataDir))
  t.notMatch(words, /PRIVATE KEY/)
  t.notMatch(words, first.key.split('\n')[1]!)
})

t.test('a caller without a certificate is refused and recorded where client_ca asks for one', async (t) => {
  const endpoint = await startEndpoint(t)
  const clients = makeAuthority('clients')
  const gateway = await startTestGateway(t, {
    toml: toml(endpoint.url, { tls: 'client_ca = "clients.crt"' }),
    files: { ...filesOf(authority.issue()), 'clients.crt': clients.certificate },
  })
  const { port, directory } = gateway
  const path = '/models/m/x'
  const refused = await askSecurely({ port, path, tls: named })
  t.match(refused, { status: 403, headers: { 'modelgate-error': 'client-certificate-required' } })
  const { certificate: cert, key } = clients.issue({ use: 'client', names: [] })
  t.match(await askSecurely({ port, path, tls: { ...named, cert, key } }), { status: 200, text: 'asked /x' })
  // The authorities are renewed like the certificate.
  writeFileSync(join(directory, 'clients.crt'), makeAuthority('others').certificate)
  await gateway.gateway.renewCertificate()
  await t.rejects(askSecurely({ port, path, tls: { ...named, cert, key } }))
  await gateway.stop()
  const faults = (await decisionsIn(gateway.dataDir)).flatMap(({ fault }) => fault?.code ?? [])
  t.same(faults, ['client-certificate-required'])
})

t.test(
  'files that broke after they were checked keep the gateway from starting, and nothing is left running',
  async (t) => {
    const { configFile } = writeSetup(t, toml('http://127.0.0.1:9'), filesOf(authority.issue()))
    const checked = loadConfig(configFile, { generation: 1, cores: 1 })
    if (!checked.ok) throw new Error(JSON.stringify(checked.problems))
    writeFileSync(join(configFile, '..', 'server.key'), authority.issue().key)
    const { snapshot } = checked
    const start = await startGateway({ snapshot, version: '0', configFile, log: () => {} })
    t.match(start, { ok: false, problem: /the files of server\.tls cannot be used together: \S+crt, \S+key/ })
  },
)
