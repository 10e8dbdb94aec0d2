import fc from 'fast-check'
import t from 'tap'
import { addressOf, PEERS_MAX } from '../../src/accept/address.ts'

/** Like the server's response. */
function peer(bytes: readonly number[]) {
  return { getRemoteAddress: () => Uint8Array.from(bytes).buffer }
}

const octets = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]

t.test('an IPv4 peer is written the same however its socket tells it, first and later', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(octets, (four) => {
        const text = four.join('.')
        for (const one of [peer(four), peer([...MAPPED_PREFIX, ...four])]) {
          for (let time = 0; time < 2; time += 1) if (addressOf(one) !== text) throw new Error(addressOf(one))
        }
      }),
    ),
  )
})

t.test('an IPv6 peer is written the short way, and none passes for IPv4', async (t) => {
  t.equal(addressOf(peer([0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 1])), '2001:db8::1')
  t.equal(addressOf(peer([...new Array(15).fill(0), 1])), '::1')
  t.equal(addressOf(peer([1, ...MAPPED_PREFIX.slice(1), 10, 0, 0, 1])), '100::ffff:a00:1')
})

t.test('more peers than are kept are told apart all the same', async (t) => {
  for (let index = 0; index <= PEERS_MAX + 1; index += 1) {
    const four = [10, index >> 16, (index >> 8) & 255, index & 255]
    if (addressOf(peer(four)) !== four.join('.')) t.fail(four.join('.'))
  }
  t.equal(addressOf(peer([10, 0, 0, 7])), '10.0.0.7')
  // The last of all addresses has the sign bit set.
  t.equal(addressOf(peer([255, 255, 255, 255])), '255.255.255.255')
})
