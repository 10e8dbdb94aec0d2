import fc from 'fast-check'
import t from 'tap'
import { type Health, type HealthEvent, step, UNKNOWN } from '../../../src/control/probes/health.ts'

const TERMS = { healthy: 2, unhealthy: 3 }
const healthy = (against: number): Health => ({ is: 'healthy', against })
const unhealthy = (against: number): Health => ({ is: 'unhealthy', against })

/** Every state × every event. */
const TABLE: readonly (readonly [Health, HealthEvent, Health])[] = [
  [UNKNOWN, 'passed', healthy(0)],
  [UNKNOWN, 'failed', unhealthy(0)],
  [healthy(0), 'passed', healthy(0)],
  [healthy(0), 'failed', healthy(1)],
  [healthy(2), 'passed', healthy(0)],
  [healthy(2), 'failed', unhealthy(0)],
  [unhealthy(0), 'passed', unhealthy(1)],
  [unhealthy(0), 'failed', unhealthy(0)],
  [unhealthy(1), 'passed', healthy(0)],
  [unhealthy(1), 'failed', unhealthy(0)],
]

t.test('every state knows what every answer means', async (t) => {
  for (const [before, event, after] of TABLE) {
    t.strictSame(step(before, event, TERMS), after, `${JSON.stringify(before)} ${event}`)
  }
})

t.test('it changes exactly after so many answers in a row that say otherwise', async (t) => {
  const events = fc.array(fc.constantFrom<HealthEvent>('passed', 'failed'), { minLength: 1, maxLength: 200 })
  const many = fc.integer({ min: 1, max: 6 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(events, many, many, (answers, healthyAfter, unhealthyAfter) => {
        let health = UNKNOWN
        let expected = answers[0] === 'passed'
        let row = 0
        for (const [index, answer] of answers.entries()) {
          health = step(health, answer, { healthy: healthyAfter, unhealthy: unhealthyAfter })
          row = index === 0 || (answer === 'passed') === expected ? 0 : row + 1
          if (row === (expected ? unhealthyAfter : healthyAfter)) {
            expected = !expected
            row = 0
          }
          if ((health.is === 'healthy') !== expected)
            throw new Error(`${health.is} after ${answers.slice(0, index + 1)}`)
        }
      }),
      { numRuns: 500 },
    ),
  )
})
