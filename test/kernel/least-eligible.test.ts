import t from 'tap'
import { leastEligible } from '../../src/kernel/least-eligible.ts'

t.test('half of the endpoints can always be chosen, and never none', async (t) => {
  t.same([1, 2, 3, 4, 5, 256].map(leastEligible), [1, 1, 2, 2, 3, 128])
})
