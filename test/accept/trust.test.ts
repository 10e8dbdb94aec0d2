/** Who asks, when proxies stand in front: what is believed, and of whom. */
import t from 'tap'
import { CHAIN_HOPS_MAX, TrustPolicy } from '../../src/accept/trust.ts'

const policy = new TrustPolicy(['10.0.0.0/8', 'fd00::/8'], 'http')

const from = (peer: string, ...headers: string[]) =>
  policy.originOf(peer, 'gateway', headers, headers.length > 0)
const chained = (peer: string, chain: string) => from(peer, 'x-forwarded-for', chain)

t.test('nobody is believed by default', async (t) => {
  const nobody = new TrustPolicy([], 'https')
  const headers = ['x-forwarded-for', '203.0.113.9', 'x-forwarded-host', 'evil', 'x-forwarded-proto', 'http']
  t.strictSame(nobody.originOf('10.0.0.1', 'gateway', headers, true), {
    clientAddress: '10.0.0.1',
    forwarded: { isTrusted: false, chain: '10.0.0.1', host: 'gateway', scheme: 'https' },
  })
})

t.test('an untrusted peer is the caller, whatever it claims', async (t) => {
  t.strictSame(chained('203.0.113.9', '10.0.0.1'), {
    clientAddress: '203.0.113.9',
    forwarded: { isTrusted: false, chain: '203.0.113.9', host: 'gateway', scheme: 'http' },
  })
})

t.test(
  'from a trusted peer the right-most untrusted address is the caller, and the chain grows',
  async (t) => {
    const cases: readonly (readonly [string, string, string])[] = [
      ['203.0.113.9', '203.0.113.9', '203.0.113.9, 10.0.0.1'],
      ['1.1.1.1, 203.0.113.9, 10.0.0.2', '203.0.113.9', '1.1.1.1, 203.0.113.9, 10.0.0.2, 10.0.0.1'],
      ['10.9.9.9,10.0.0.2', '10.9.9.9', '10.9.9.9, 10.0.0.2, 10.0.0.1'],
      ['2001:db8::7, fd00::1', '2001:db8::7', '2001:db8::7, fd00::1, 10.0.0.1'],
      ['203.0.113.9:4711', '203.0.113.9', '203.0.113.9:4711, 10.0.0.1'],
      ['[2001:db8::7]:4711', '2001:db8::7', '[2001:db8::7]:4711, 10.0.0.1'],
      ['::ffff:203.0.113.9', '203.0.113.9', '::ffff:203.0.113.9, 10.0.0.1'],
      ['[::FFFF:203.0.113.9]:80', '203.0.113.9', '[::FFFF:203.0.113.9]:80, 10.0.0.1'],
      ['2001:DB8:0:0::7', '2001:db8::7', '2001:DB8:0:0::7, 10.0.0.1'],
      ['203.0.113.9, ::FFFF:10.0.0.2', '203.0.113.9', '203.0.113.9, ::FFFF:10.0.0.2, 10.0.0.1'],
    ]
    for (const [chain, client, sent] of cases) {
      t.match(chained('10.0.0.1', chain), {
        clientAddress: client,
        forwarded: { isTrusted: true, chain: sent },
      })
    }
    const lines = from('10.0.0.1', 'x-forwarded-for', '203.0.113.9', 'x-forwarded-for', '10.0.0.2')
    t.match(lines, { clientAddress: '203.0.113.9', forwarded: { chain: '203.0.113.9, 10.0.0.2, 10.0.0.1' } })
  },
)

t.test('a chain is cut where it stops to be one, so nonsense hides nobody', async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['nonsense', '10.0.0.1', '10.0.0.1'],
    ['nonsense, 203.0.113.9', '203.0.113.9', '203.0.113.9, 10.0.0.1'],
    ['203.0.113.9, unknown, 10.0.0.2', '10.0.0.2', '10.0.0.2, 10.0.0.1'],
    ['203.0.113.9,', '10.0.0.1', '10.0.0.1'],
    ['', '10.0.0.1', '10.0.0.1'],
    ['010.0.0.1', '10.0.0.1', '10.0.0.1'],
  ]
  for (const [chain, client, sent] of cases) {
    t.match(chained('10.0.0.1', chain), { clientAddress: client, forwarded: { chain: sent } }, chain)
  }
  const long = chained('10.0.0.1', Array.from({ length: 500 }, () => '10.1.1.1').join(','))
  t.equal(long.forwarded.chain.split(',').length, CHAIN_HOPS_MAX + 1)
})

t.test('host and scheme are passed on when they are one host and one scheme', async (t) => {
  const told = (...headers: string[]) => from('10.0.0.1', ...headers).forwarded
  t.match(told('x-forwarded-host', 'models.example:443', 'x-forwarded-proto', 'HTTPS'), {
    host: 'models.example:443',
    scheme: 'https',
  })
  for (const host of ['a/b', 'u@a', 'a, b', '', 'a:70000']) {
    t.equal(told('x-forwarded-host', host).host, 'gateway', host)
  }
  t.equal(told('x-forwarded-host', 'a', 'x-forwarded-host', 'b').host, 'gateway', 'two hosts are no claim')
  for (const scheme of ['ftp', 'http,https', ''])
    t.equal(told('x-forwarded-proto', scheme).scheme, 'http', scheme)
})
