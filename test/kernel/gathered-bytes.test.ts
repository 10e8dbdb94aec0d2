import { Buffer } from 'node:buffer'
import t from 'tap'
import { GatheredBytes } from '../../src/kernel/gathered-bytes.ts'

t.test('a body is gathered whole from any pieces, announced or not', async (t) => {
  const source = Buffer.alloc(700_000, 'a body that is long enough to grow ')
  for (const [length, piece] of [
    [0, 1],
    [1, 1],
    [5_000, 7],
    [300_000, 65_536],
    [700_000, 100_000],
  ] as const) {
    for (const announced of [-1, length]) {
      const body = new GatheredBytes(1_000_000)
      t.equal(body.begin(announced), true)
      for (let at = 0; at < length; at += piece) body.append(source, at, Math.min(at + piece, length))
      t.ok(source.subarray(0, length).equals(body.take()), `${length} by ${piece}, announced ${announced}`)
      t.equal(body.take().length, 0, 'and is forgotten')
    }
  }
})

t.test('a body that is only announced takes no memory', async (t) => {
  const body = new GatheredBytes(1_000_000_000)
  body.begin(900_000_000)
  body.append(Buffer.from('x'), 0, 1)
  t.ok(body.take().buffer.byteLength < 1_000_000)
})

t.test('the limit of a body is exact', async (t) => {
  const body = new GatheredBytes(10)
  t.equal(body.begin(11), false)
  t.equal(body.begin(10), true)
  t.equal(body.append(Buffer.alloc(11), 0, 10), true)
  t.equal(body.append(Buffer.alloc(11), 10, 11), false)
})
