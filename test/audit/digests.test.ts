/** Keyed digests are HMAC-SHA-256 as node:crypto computes it, for every length and however the bytes are cut. */
import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { DIGEST_BYTES, Digester } from '../../src/audit/digests.ts'

function expected(key: Uint8Array, bytes: Uint8Array): string {
  return createHmac('sha256', key)
    .update(bytes)
    .digest('hex')
    .slice(0, 2 * DIGEST_BYTES)
}

t.test('every length up to several blocks, and around every step in how it is done', async (t) => {
  const key = randomBytes(32)
  const digester = new Digester(key)
  const bytes = randomBytes(200_000)
  const lengths = Array.from({ length: 600 }, (_, length) => length)
  lengths.push(1000, 4096, 8191, 8192, 8193, 65_536, 200_000)
  const wrong = lengths.filter(
    (length) => digester.hexOf(bytes.subarray(0, length)) !== expected(key, bytes.subarray(0, length)),
  )
  t.strictSame(wrong, [])
})

t.test('any key, any bytes, in any parts, anywhere in the target', async (t) => {
  const bytesOf = (max: number) => fc.uint8Array({ maxLength: max, size: 'max' })
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
  fc.assert(
    fc.property(key, bytesOf(300), bytesOf(9000), fc.nat(50), (key, first, second, at) => {
      const digester = new Digester(key)
      const target = Buffer.alloc(at + DIGEST_BYTES + 5, 0xaa)
      // Twice: nothing of one input may be left for the next.
      digester.digest([second], target, at)
      digester.digest([first, second], target, at)
      const around = [target.subarray(0, at), target.subarray(at + DIGEST_BYTES)]
      return (
        target.toString('hex', at, at + DIGEST_BYTES) === expected(key, Buffer.concat([first, second])) &&
        around.every((bytes) => bytes.every((byte) => byte === 0xaa))
      )
    }),
  )
  t.pass('no counterexample')
})
