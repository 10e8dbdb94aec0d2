import t from 'tap'
import { RESTARTS_MAX, RESTARTS_WITHIN_MS, RestartLimit } from '../../src/control/restart-limit.ts'

t.test('so many lanes may be replaced within a time, and then no more until it has passed', async (t) => {
  const limit = new RestartLimit()
  for (let count = 0; count < RESTARTS_MAX; count += 1) t.equal(limit.allows(1000 * count), true)
  t.equal(limit.allows(1000 * RESTARTS_MAX), false)
  t.equal(limit.allows(RESTARTS_WITHIN_MS - 1), false, 'what was not allowed does not count')
  t.equal(limit.allows(RESTARTS_WITHIN_MS), true, 'the first one is long ago')
  t.equal(limit.allows(RESTARTS_WITHIN_MS), false)
})
