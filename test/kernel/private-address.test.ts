/** Every denied range at its edges, and every disguise of an IPv4 address. */
import t from 'tap'
import { addressBytes, isPrivateAddress } from '../../src/kernel/private-address.ts'

t.test(
  'ranges are denied from their first address to their last, and what is beside them is not',
  async (t) => {
    const ranges: readonly (readonly [first: string, last: string, before: string, after: string])[] = [
      ['0.0.0.0', '0.255.255.255', '', '1.0.0.0'],
      ['10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
      ['100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
      ['127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
      ['169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
      ['172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
      ['192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
      ['198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
      ['224.0.0.0', '255.255.255.255', '223.255.255.255', ''],
      ['fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'fbff::', 'fe00::'],
      ['fe80::1', 'febf:ffff::', 'fe7f:ffff::', ''],
      ['ff00::', 'ffff::', '', ''],
    ]
    for (const [first, last, before, after] of ranges) {
      t.ok(isPrivateAddress(first), first)
      t.ok(isPrivateAddress(last), last)
      for (const beside of [before, after]) if (beside !== '') t.notOk(isPrivateAddress(beside), beside)
    }
  },
)

t.test('an IPv4 address is found inside an IPv6 one', async (t) => {
  const denied = [
    ...[
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::ffff:a9fe:a9fe',
      '::ffff:10.1.2.3',
      '::127.0.0.1',
    ],
    ...[
      '64:ff9b::10.0.0.1',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2002:c0a8:1::1',
      'fe80::1%eth0',
      '2001:db8::1',
    ],
    ...['0:0:0:0:0:ffff:7f00:0001', '::FFFF:192.168.0.1', 'fec0::1', '2001::1'],
  ]
  for (const address of denied) t.ok(isPrivateAddress(address), address)
  const allowed = ['::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1', '2606:4700::1111', '2a00:1450::1']
  for (const address of allowed) t.notOk(isPrivateAddress(address), address)
})

t.test('what is no address is denied', async (t) => {
  const wrong = [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '0x8.8.8.8',
    '8.8.8.8 ',
    '134744072',
  ]
  for (const text of [
    ...wrong,
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '::1.2.3',
  ]) {
    t.equal(addressBytes(text), undefined, text)
    t.ok(isPrivateAddress(text), text)
  }
})
