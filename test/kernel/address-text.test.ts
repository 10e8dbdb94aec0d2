import fc from 'fast-check'
import t from 'tap'
import { parseAddress } from '../../src/kernel/address-set.ts'
import { addressText } from '../../src/kernel/address-text.ts'

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
