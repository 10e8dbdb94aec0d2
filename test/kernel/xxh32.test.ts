/** XXH32 of sixteen bytes is the one of the library, for every seed and place. */
import fc from 'fast-check'
import t from 'tap'
import xxhash from 'xxhash-wasm'
import { xxh32 } from '../../src/kernel/xxh32.ts'

t.test('it is the library’s', async (t) => {
  const { h32Raw } = await xxhash()
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.oneof(fc.constantFrom(0, 1, 0xffff_ffff), fc.nat({ max: 0xffff_ffff })),
      fc.nat({ max: 9 }),
      (bytes, seed, at) => {
        const room = new Uint8Array(32)
        room.set(bytes, at)
        return xxh32(new DataView(room.buffer), at, seed) === h32Raw(bytes, seed)
      },
    ),
    { numRuns: 2000 },
  )
  const zeros = new DataView(new ArrayBuffer(16))
  t.equal(xxh32(zeros, 0, 0), h32Raw(new Uint8Array(16), 0))
})
