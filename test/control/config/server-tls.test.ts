/** The listener's certificate and key, checked before anything starts: each mistake at its place, in its words. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { checkConfig } from '../../../src/control/config/check-config.ts'
import { dateText, serverKeyProblem } from '../../../src/control/config/pem.ts'
import { expired, makeAuthority } from '../../support/certificates.ts'
import { context } from '../../support/config-mistakes.ts'

const authority = makeAuthority()
const { certificate, key } = authority.issue()
const now = Date.now()
const locked = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'secret',
}) as string

const MODEL = '\n[models.m.versions.v1]\nendpoints = ["http://h:1"]\n'

function check(files: Readonly<Record<string, string>>, more = '', text?: string) {
  const contents = new Map(Object.entries({ 'a.crt': certificate, 'a.key': key, ...files }))
  const toml = text ?? `[server.tls]\ncert = "a.crt"\nkey = "a.key"\n${more}`
  return checkConfig(toml + MODEL, {
    ...context,
    now,
    readFile: (path) => {
      const found = contents.get(path.slice('/etc/gate/'.length))
      return found === undefined
        ? { ok: false, reason: 'no such file' }
        : { ok: true, bytes: Buffer.from(found) }
    },
  })
}

function told(result: ReturnType<typeof check>): string[] {
  const problems = result.ok ? result.warnings : result.problems
  return problems.map(({ severity, line, path, message }) => `${severity} ${line} ${path}: ${message}`)
}

t.test('what fits passes without a word, and only the names of the files go on', async (t) => {
  const result = check({ 'ca.crt': authority.certificate }, 'client_ca = "ca.crt"\nmin_version = "1.3"')
  t.same(told(result), [])
  if (!result.ok) return
  t.same(result.snapshot.server.tls, {
    certFile: '/etc/gate/a.crt',
    keyFile: '/etc/gate/a.key',
    clientCaFile: '/etc/gate/ca.crt',
    minVersion: '1.3',
  })
  t.notMatch(JSON.stringify(result.snapshot), 'BEGIN')
  const plain = check({})
  t.match(plain.ok && plain.snapshot.server.tls, { clientCaFile: null, minVersion: '1.2' })
  const renewed = check({ 'a.crt': authority.issue().certificate, 'a.key': key })
  t.equal(renewed.ok, false)
  const together = check({ 'a.crt': key + certificate, 'a.key': key + certificate })
  t.same(told(together), [], 'both in one file')
})

t.test('another certificate for the same file is the same configuration', async (t) => {
  const other = authority.issue()
  const [one, two] = [check({}), check({ 'a.crt': other.certificate, 'a.key': other.key })]
  t.equal(one.ok && one.snapshot.hash, two.ok && two.snapshot.hash)
})

t.test('each file that cannot be used is named with what is wrong', async (t) => {
  const at = (name: string, line: number) => `error ${line} server.tls.${name}: `
  const cases: [Readonly<Record<string, string>>, string[]][] = [
    [{ 'a.crt': '' }, [`${at('cert', 2)}a.crt is not a PEM certificate: it holds no certificate`]],
    [
      { 'a.crt': key },
      [`${at('cert', 2)}a.crt is not a PEM certificate: it holds a private key and no certificate`],
    ],
    [{ 'a.key': certificate }, [`${at('key', 3)}a.key is not a PEM private key: it holds none`]],
    [
      { 'a.key': locked },
      [`${at('key', 3)}a.key has a passphrase, and nobody is there to type it: store the key without one`],
    ],
    [{ 'a.key': authority.issue().key }, [`${at('key', 3)}a.key is not the key of the certificate`]],
    [
      { 'a.crt': authority.certificate + certificate },
      [`${at('key', 3)}a.key is not the key of the certificate`, 'names no host'],
    ],
  ]
  for (const [files, expected] of cases) {
    const messages = told(check(files))
    t.equal(
      messages.length >= 1 && messages[0]?.startsWith('warning') ? messages[1] : messages[0],
      expected[0],
    )
    t.equal(check(files).ok, false)
  }
  const torn = told(check({ 'a.crt': certificate.replace(/\n.{20}/, '\nAAAA') }))
  t.match(torn, [/^error 2 server\.tls\.cert: a\.crt is not a PEM certificate: /])
  const broken = told(check({ 'a.key': key.replace(/\n.{20}/, '\nAAAA') }))
  t.match(broken, [/^error 3 server\.tls\.key: a\.key is not a PEM private key: /])
  t.notMatch([...torn, ...broken].join(), key.split('\n')[1]!, 'nothing of the key is told')
  t.match(told(check({ 'ca.crt': key }, 'client_ca = "ca.crt"')), [
    /^error 4 server\.tls\.client_ca: ca\.crt is not/,
  ])
})

t.test(
  'a certificate that clients would refuse is a warning: the gateway starts, and a renewal is taken',
  async (t) => {
    const late = authority.issue(expired())
    const result = check({ 'a.crt': late.certificate, 'a.key': late.key })
    t.equal(result.ok, true)
    t.match(told(result), [
      /^warning 2 server\.tls\.cert: a\.crt holds a certificate that ran out on 20.*Z: clients that/,
    ])
    const notBefore = new Date(now + 86_400_000)
    const early = authority.issue({ notBefore, notAfter: new Date(now + 2 * 86_400_000) })
    t.match(told(check({ 'a.crt': early.certificate, 'a.key': early.key })), [
      `warning 2 server.tls.cert: a.crt holds a certificate that is valid from ${dateText(notBefore.getTime())} on, not yet`,
    ])
    const nameless = authority.issue({ names: [], commonName: 'localhost' })
    t.match(told(check({ 'a.crt': nameless.certificate, 'a.key': nameless.key })), [
      /^warning 2 server\.tls\.cert: a\.crt names no host \(subjectAltName\)/,
    ])
  },
)

t.test('keys that the listener or its clients cannot use are refused by kind', async (t) => {
  const usable: KeyObject[] = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    generateKeyPairSync('ed25519').privateKey,
    ...['P-256', 'P-384', 'P-521'].map((namedCurve) => generateKeyPairSync('ec', { namedCurve }).privateKey),
  ]
  for (const one of usable) t.equal(serverKeyProblem(one), null, String(one.asymmetricKeyType))
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  t.equal(serverKeyProblem(small), 'is an RSA key of 1024 bits, which clients refuse')
  const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey
  t.match(serverKeyProblem(curve), /curve secp256k1/)
  t.match(serverKeyProblem(generateKeyPairSync('ed448').privateKey), /type ed448/)
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey
  t.match(serverKeyProblem(pss), /type rsa-pss/)
  t.match(told(check({ 'a.key': small.export({ type: 'pkcs8', format: 'pem' }) as string })), [
    /is not the key of the certificate/,
    /a\.key is an RSA key of 1024 bits/,
  ])
})

t.test('the example in config/server.toml is one that works when its marks are taken away', async (t) => {
  const example = readFileSync('config/server.toml', 'utf8')
  const lines = example.split('\n')
  const from = lines.indexOf('# [server.tls]')
  t.ok(from > 0)
  const to = lines.indexOf('', from)
  const section = lines
    .slice(from, to)
    .map((line) => line.replace(/^# /, ''))
    .join('\n')
  const files = {
    'tls/gateway.crt': certificate,
    'tls/gateway.key': key,
    'tls/clients.crt': authority.certificate,
  }
  const result = check(files, '', section)
  t.same(told(result), [])
  t.match(result.ok && result.snapshot.server.tls, {
    keyFile: /gateway\.key$/,
    clientCaFile: /clients\.crt$/,
  })
})
