/**
 * The breaker that lanes share is model-checked: up to four lanes at once, stopped between any two accesses to shared
 * memory. Here two hundred courses of each kind; `npm run model-check` runs a hundred thousand.
 */
import fc from 'fast-check'
import t from 'tap'
import { BreakerModel, burst } from '../support/breaker-model.ts'

const { MODEL_CHECK_COURSES = '200' } = process.env
const COURSES = Number(MODEL_CHECK_COURSES)
if (COURSES > 200) t.setTimeout(0)

t.test(
  'however the steps of four lanes fall, what they did has an order in which one breaker does it',
  async (t) => {
    const reached = new Set<string>()
    let cut = 0
    const law = () =>
      fc.assert(
        fc.property(fc.array(burst(false), { minLength: 4, maxLength: 12 }), (bursts) => {
          const model = new BreakerModel()
          for (const one of bursts) model.run(one)
          for (const name of model.reached) reached.add(name)
          if (model.isCut) cut += 1
        }),
        { numRuns: COURSES },
      )
    t.doesNotThrow(law)
    t.same([...reached].sort(), ['closed', 'half-open', 'open'], 'the courses reach every state')
    t.ok(cut < COURSES / 40, `${cut} courses had more orders than are kept`)
  },
)

t.test('a lane that dies between any two accesses leaves a breaker that recovers', async (t) => {
  const reached = new Set<string>()
  const law = () =>
    fc.assert(
      fc.property(fc.array(burst(false), { maxLength: 8 }), burst(true), (bursts, last) => {
        const model = new BreakerModel()
        for (const one of bursts) model.run(one)
        model.run(last)
        reached.add(model.state.name)
        model.recover()
      }),
      { numRuns: COURSES },
    )
  t.doesNotThrow(law)
  t.same([...reached].sort(), ['closed', 'half-open', 'open'])
})
