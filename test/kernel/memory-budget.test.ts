import fc from 'fast-check'
import t from 'tap'
import { MemoryBudget, MemoryClaim } from '../../src/kernel/memory-budget.ts'

t.test('claims never hold more than the budget together, and give back exactly what they took', async (t) => {
  const move = fc.record({
    who: fc.nat(4),
    bytes: fc.nat(60),
    of: fc.constantFrom('request' as const, 'answer' as const),
    isRelease: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const budget = new MemoryBudget(100)
      const claims = Array.from({ length: 5 }, () => new MemoryClaim(budget))
      const expected = [0, 0, 0, 0, 0]
      const sum = () => expected.reduce((all, one) => all + one, 0)
      for (const { who, bytes, of, isRelease } of moves) {
        if (isRelease) {
          claims[who]!.release()
          expected[who] = 0
        } else {
          const hasRoom = sum() + bytes <= (of === 'request' ? 75 : 100)
          if (claims[who]!.take(bytes, of) !== hasRoom) return false
          if (hasRoom) expected[who]! += bytes
        }
        if (budget.held !== sum()) return false
      }
      for (const claim of claims) claim.release()
      for (const claim of claims) claim.release()
      return budget.held === 0
    }),
  )
  t.pass('for any moves')
})
