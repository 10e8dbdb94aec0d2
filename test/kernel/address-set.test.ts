import { BlockList } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { AddressSet, parseAddress, parseRange } from '../../src/kernel/address-set.ts'

function setOf(...texts: readonly string[]): AddressSet {
  return new AddressSet(
    texts.map((text) => {
      const parsed = parseRange(text)
      if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`)
      return parsed.range
    }),
  )
}

t.test('an address belongs to a range by its bytes, whatever its spelling', async (t) => {
  const trusted = setOf('10.0.0.0/8', '::1', 'fd00::/8', '192.0.2.7')
  const inside = ['10.255.1.2', '::ffff:10.0.0.1', '::ffff:a00:1', '::1', '0:0:0::0:1', 'FDAB::', '192.0.2.7']
  const outside = ['11.0.0.1', '::2', 'fc00::1', '192.0.2.6', '192.0.2.8', '::10.0.0.1']
  for (const text of inside) t.equal(trusted.has(parseAddress(text)!), true, text)
  for (const text of outside) t.equal(trusted.has(parseAddress(text)!), false, text)
})

t.test('what two readers could take for different addresses is none', async (t) => {
  for (const text of [
    '',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.4.5',
    '::1%eth0',
    ':::',
    '1::2::3',
    'g::',
  ]) {
    t.equal(parseAddress(text), null, text)
  }
  for (const text of ['10.0.0.0/', '10.0.0.0/08', '10.0.0.0/33', '::/129', '10.0.0.0/-1', '/8', 'a/8']) {
    t.equal(parseRange(text).ok, false, text)
  }
})

t.test('bits behind the prefix are refused, with the range that was meant', async (t) => {
  t.match(parseRange('10.1.2.3/12'), { ok: false, suggestion: '10.0.0.0/12' })
  t.match(parseRange('2001:db8::1/32'), { ok: false, suggestion: '2001:db8::/32' })
  t.equal(parseRange('0.0.0.0/0').ok, true)
})

t.test('it agrees with Node’s own BlockList', async (t) => {
  const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  const near = fc.tuple(octets, fc.nat(32), octets, fc.boolean())
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(near, ([network, bits, other, isNear]) => {
        const address = isNear ? network.map((octet, at) => (at < 2 ? octet : other[at])) : other
        const parsed = parseRange(`${network.join('.')}/${bits}`)
        const range = parsed.ok ? `${network.join('.')}/${bits}` : parsed.suggestion!
        const list = new BlockList()
        list.addSubnet(range.split('/')[0]!, bits, 'ipv4')
        return setOf(range).has(parseAddress(address.join('.'))!) === list.check(address.join('.'), 'ipv4')
      }),
      { numRuns: 500 },
    ),
  )
})
