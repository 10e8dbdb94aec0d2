import t from 'tap'
import { PROTOCOLS } from '../../src/protocols/index.ts'
import { GENERATING, SCORING } from '../../src/protocols/patience.ts'

t.test('every dialect’s patience fits into itself', async (t) => {
  for (const { name, patience } of [...PROTOCOLS, { name: 'generating', patience: GENERATING }]) {
    t.ok(patience.firstByteMs <= patience.totalMs, `${name}: the first byte comes within the total`)
    t.ok(patience.slowAfterMs <= patience.totalMs, `${name}: slow is before too late`)
  }
  t.ok(SCORING.totalMs < GENERATING.totalMs)
})
