import fc from 'fast-check'
import t from 'tap'
import { parseAddress } from '../../src/kernel/address-set.ts'
import { addressText, networkText } from '../../src/kernel/address-text.ts'

const written = (text: string) => addressText(parseAddress(text)!)

t.test('each address has one text, however it was spelled', async (t) => {
  const cases = {
    '127.0.0.1': ['127.0.0.1', '::ffff:127.0.0.1', '::FFFF:7f00:1', '0:0:0:0:0:ffff:127.0.0.1'],
    '::': ['::', '0:0:0:0:0:0:0:0'],
    '::1': ['::1', '0000:0000:0000:0000:0000:0000:0000:0001'],
    '2001:db8::1': ['2001:DB8::1', '2001:0db8:0:0:0:0:0:1'],
    '2001:db8:0:1:1:1:1:1': ['2001:db8::1:1:1:1:1'],
    '2001:0:0:1::1': ['2001:0:0:1:0:0:0:1'],
    '2001:db8::1:0:0:1': ['2001:db8:0:0:1:0:0:1'],
    'fd00::': ['fd00::', 'FD00:0::0'],
    '::ffff:0:102:304': ['::ffff:0:1.2.3.4'],
  }
  for (const [text, spellings] of Object.entries(cases))
    for (const spelling of spellings) t.equal(written(spelling), text, spelling)
  t.equal(addressText(new Uint8Array([10, 0, 0, 255])), '10.0.0.255')
  t.equal(addressText(new Uint8Array(0)), '', 'a socket that has gone has none')
})

t.test('it writes IPv6 as the URL standard does', async (t) => {
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff))
  const groups = fc.array(group, { minLength: 8, maxLength: 8 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(groups, (all) => {
        const text = all.map((one) => one.toString(16)).join(':')
        const bytes = Uint8Array.from(all.flatMap((one) => [one >> 8, one & 0xff]))
        const isMapped = all[5] === 0xffff && all.slice(0, 5).every((one) => one === 0)
        return isMapped || `[${addressText(bytes)}]` === new URL(`http://[${text}]/`).hostname
      }),
    ),
  )
})

t.test('the network of an address is its first 64 bits, of IPv4 the address itself', async (t) => {
  const cases = {
    '192.0.2.7': '192.0.2.7',
    '': '',
    '::1': '0:0:0:0::/64',
    '::': '0:0:0:0::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:db8:1:2::': '2001:db8:1:2::/64',
    '2001:db8::2:3:4:5:6': '2001:db8:0:2::/64',
    '::2:3:4:5:6': '0:0:0:2::/64',
    '2001:db8:1::6': '2001:db8:1:0::/64',
  }
  for (const [address, network] of Object.entries(cases)) t.equal(networkText(address), network, address)
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      (bytes, host) => {
        const other = Uint8Array.from([...bytes.subarray(0, 8), ...host])
        const [mine, yours] = [addressText(bytes), addressText(other)]
        return !mine.includes(':') || !yours.includes(':') || networkText(mine) === networkText(yours)
      },
    ),
  )
})
