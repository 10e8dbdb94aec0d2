/** CRC-32C against published values, and against the plain bit-wise definition. */
import fc from 'fast-check'
import t from 'tap'
import { crc32c } from '../../src/kernel/crc32c.ts'

t.test('gives the values of RFC 3720 §B.4', async (t) => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  t.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, index) => index))), 0x46dd794e)
  t.equal(crc32c(Buffer.alloc(0)), 0)
})

t.test('agrees with the bit-wise definition for every length and offset', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, from) => {
      const start = Math.min(from, bytes.length)
      return crc32c(bytes, start) === bitwise(bytes.subarray(start))
    }),
  )
  t.pass('no counterexample')
})

function bitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
