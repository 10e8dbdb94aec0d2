import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import {
  giveBlockBack,
  READY_BYTES_MAX,
  RECYCLED_BYTES_MAX,
  RECYCLED_BYTES_MIN,
  takeBlock,
} from '../../src/kernel/recycled-memory.ts'

t.test('no two owners ever hold the same memory, in whatever order they take and give back', async (t) => {
  const step = fc.oneof(
    fc.record({ take: fc.integer({ min: 1, max: 1_200_000 }) }),
    fc.record({ giveBack: fc.nat(), twice: fc.boolean() }),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const held: { block: Buffer; mark: number }[] = []
        let mark = 0
        for (const one of steps) {
          if ('take' in one) {
            const block = takeBlock(one.take)
            if (block.length < one.take) throw new Error(`${block.length} of ${one.take} bytes`)
            mark = (mark + 1) % 251
            held.push({ block, mark })
            block.fill(mark, 0, one.take)
          } else if (held.length > 0) {
            const [gone] = held.splice(one.giveBack % held.length, 1)
            giveBlockBack(gone!.block.subarray(0, 10))
            if (one.twice) giveBlockBack(gone!.block)
          }
          for (const { block, mark } of held) if (block[0] !== mark) throw new Error('shared')
        }
      }),
      { numRuns: 60 },
    ),
  )
})

t.test('a block that was given back is used again; one that was forgotten is not', async (t) => {
  const block = takeBlock(RECYCLED_BYTES_MIN)
  giveBlockBack(block)
  const again = takeBlock(RECYCLED_BYTES_MIN)
  t.equal(again.buffer, block.buffer)
  t.not(takeBlock(RECYCLED_BYTES_MIN).buffer, block.buffer)
})

t.test('memory of others, too small or too large, is not kept', async (t) => {
  const foreign = Buffer.allocUnsafeSlow(RECYCLED_BYTES_MIN)
  giveBlockBack(foreign)
  t.not(takeBlock(RECYCLED_BYTES_MIN).buffer, foreign.buffer)
  const large = takeBlock(RECYCLED_BYTES_MAX + 1)
  giveBlockBack(large)
  t.not(takeBlock(RECYCLED_BYTES_MAX + 1).buffer, large.buffer)
})

t.test('what lies ready is bounded', async (t) => {
  const count = READY_BYTES_MAX / RECYCLED_BYTES_MAX + 3
  const blocks = Array.from({ length: count }, () => takeBlock(RECYCLED_BYTES_MAX))
  for (const block of blocks) giveBlockBack(block)
  const known = new Set(blocks.map(({ buffer }) => buffer))
  const again = Array.from({ length: count }, () => takeBlock(RECYCLED_BYTES_MAX))
  t.ok(again.filter(({ buffer }) => known.has(buffer)).length <= READY_BYTES_MAX / RECYCLED_BYTES_MAX)
})
