/** What was joined comes apart again as it was put in. */
import fc from 'fast-check'
import t from 'tap'
import type { Tensor } from '../../src/protocols/open-inference/tensors.ts'
import { join, joinKey, split } from '../../src/workers/join.ts'

const floats = (rows: number, start: number, width = 2): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape: [rows, width],
  data: Float32Array.from({ length: rows * width }, (_, i) => start + i),
})
const texts = (rows: number, start: number): Tensor => ({
  name: 'label',
  datatype: 'BYTES',
  shape: [rows],
  data: Array.from({ length: rows }, (_, i) => `row ${start + i}`),
})

t.test('for any row counts, splitting undoes joining', async (t) => {
  const outcome = fc.check(
    fc.property(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 64 }), (rows) => {
      const requests = rows.map((count, index) => [floats(count, index * 100), texts(count, index * 100)])
      const whole = join(requests)
      const parts = split(whole, rows)
      const total = rows.reduce((sum, count) => sum + count, 0)
      return whole[0]!.shape[0] === total && JSON.stringify(parts) === JSON.stringify(requests)
    }),
  )
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? '')
})

t.test('only requests of one form share a key', async (t) => {
  t.equal(joinKey([floats(1, 0), texts(1, 0)]), joinKey([floats(5, 9), texts(5, 9)]))
  t.not(joinKey([floats(1, 0, 2)]), joinKey([floats(1, 0, 3)]))
  t.not(joinKey([floats(1, 0)]), joinKey([{ ...floats(1, 0), datatype: 'FP64' }]))
  t.equal(joinKey([floats(1, 0), texts(2, 0)]), null, 'inputs of differing row counts')
  t.equal(joinKey([floats(0, 0)]), null, 'no rows')
  t.equal(joinKey([]), null)
})

t.test('outputs without one row for each that was put in cannot be split', async (t) => {
  t.equal(split([floats(3, 0)], [1, 1]), null)
  t.equal(split([{ ...floats(1, 0), shape: [] }], [1]), null)
})
