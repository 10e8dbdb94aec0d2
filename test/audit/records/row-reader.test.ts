/** Rows as the reader of many makes them: what the general unpacker makes, texts included, and nothing of what is none. */
import fc from 'fast-check'
import t from 'tap'
import { pack, unpack } from '../../../src/audit/records/msgpack.ts'
import { NotMsgpack, RowReader } from '../../../src/audit/records/row-reader.ts'

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom(null, true, false),
    fc.integer(),
    fc.integer({ min: -40, max: 300 }),
    fc.double({ noNaN: true }),
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'grapheme', maxLength: 400 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
  ),
})).value

const plain = (one: unknown): unknown => {
  if (one instanceof Uint8Array) return Buffer.from(one).toString('hex')
  return Array.isArray(one) ? one.map(plain) : one
}

t.test('values are those of the general unpacker, whatever was read before', async (t) => {
  const reader = new RowReader()
  fc.assert(
    fc.property(value, (one) => {
      const bytes = Buffer.from(pack(one))
      t.strictSame(plain(reader.read(bytes)), plain(unpack(bytes)))
    }),
    { numRuns: 500 },
  )
})

t.test('texts that share a place in the memory are not taken for one another', async (t) => {
  const reader = new RowReader()
  for (let round = 0; round < 2; round += 1) {
    for (let index = 0; index < 20_000; index += 1) {
      const text = `10.${index % 7}.${index}`
      if (reader.read(Buffer.from(pack(text))) !== text) t.fail(`${text} was read as another`)
    }
  }
  t.equal(reader.read(Buffer.from(pack('\u{1f600} é'))), '\u{1f600} é')
})

t.test('what is read stays what it was when the bytes are used again', async (t) => {
  const reader = new RowReader()
  const bytes = Buffer.from(pack([new Uint8Array([1, 2, 3]), 'text']))
  const read = reader.read(bytes)
  bytes.fill(0)
  t.strictSame(read, [new Uint8Array([1, 2, 3]), 'text'])
})

t.test('bytes that are no value are refused as such', async (t) => {
  const reader = new RowReader()
  fc.assert(
    fc.property(value, fc.nat(), (one, cut) => {
      const bytes = Buffer.from(pack(one))
      const short = bytes.subarray(0, cut % bytes.length)
      t.throws(() => reader.read(short), NotMsgpack)
    }),
    { numRuns: 200 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), (noise) => {
      try {
        reader.read(Buffer.from(noise))
      } catch (error) {
        if (!(error instanceof NotMsgpack)) throw error
      }
    }),
    { numRuns: 2000 },
  )
  t.throws(() => reader.read(Buffer.alloc(65_000, 0x91)), NotMsgpack, 'arrays within arrays')
  t.throws(() => reader.read(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])), NotMsgpack, 'four billion values')
})
