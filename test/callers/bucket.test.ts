import fc from 'fast-check'
import t from 'tap'
import {
  debtAfter,
  msOfUnits,
  remainingAt,
  UNITS_PER_REQUEST,
  unitsAt,
  waitMs,
} from '../../src/callers/bucket.ts'

const LIMIT = { requests: 100, perMs: 1000, burst: 200 }

/** Lets requests in at these instants (ms) as the table does, and returns when each that was let in came. */
function admittedAt(instants: readonly number[], limit = LIMIT): number[] {
  let paidAt = Number.NEGATIVE_INFINITY
  return instants.filter((at) => {
    const now = unitsAt(at, limit)
    const after = debtAfter(Math.max(0, paidAt - now), limit)
    if (after !== -1) paidAt = now + after
    return after !== -1
  })
}

t.test('over 10 s at three times the rate, exactly burst + rate × time are let in', async (t) => {
  const instants = Array.from({ length: 3000 }, (_, index) => 5_000_000 + (index * 10_000) / 3000)
  const count = admittedAt(instants).length
  t.ok(Math.abs(count - (200 + 100 * 10)) <= 1, `${count} of 1200`)
})

t.test('rates that divide nothing evenly are not rounded', async (t) => {
  for (const [requests, perMs] of [
    [7, 1000],
    [30_001, 1000],
    [999_983, 3_600_000],
    [3, 86_400_000],
  ] as const) {
    const limit = { requests, perMs, burst: 5 }
    const spanMs = (1000 * perMs) / requests
    const instants = Array.from({ length: 4000 }, (_, index) => 1e9 + (index * spanMs) / 4000)
    const count = admittedAt(instants, limit).length
    t.ok(Math.abs(count - 1005) <= 1, `${requests} in ${perMs} ms: ${count} of 1005`)
  }
})

t.test('however requests come, no span of time has more than burst + rate × time', async () => {
  const gaps = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 1, maxLength: 200 })
  const limits = fc.record({
    requests: fc.integer({ min: 1, max: 1000 }),
    perMs: fc.integer({ min: 1000, max: 5000 }),
    burst: fc.integer({ min: 1, max: 20 }),
  })
  fc.assert(
    fc.property(gaps, limits, (steps, limit) => {
      let at = 1e6
      const instants = steps.map((step) => {
        at += step
        return at
      })
      const kept = admittedAt(instants, limit)
      for (let from = 0; from < kept.length; from += 1) {
        for (let to = from; to < kept.length; to += 1) {
          const allowed = limit.burst + ((kept[to]! - kept[from]!) * limit.requests) / limit.perMs
          if (to - from + 1 > allowed + 1) return false
        }
      }
      // And nobody is refused for nothing: the first always finds a full bucket.
      return kept[0] === instants[0]
    }),
    { numRuns: 200 },
  )
})

t.test('what is told of a bucket is what then happens', async (t) => {
  const full = 200 * UNITS_PER_REQUEST
  t.equal(remainingAt(0, LIMIT), 200)
  t.equal(remainingAt(full, LIMIT), 0)
  t.equal(remainingAt(1, LIMIT), 199, 'a bucket that is not quite full does not hold all of them')
  t.equal(waitMs(0, LIMIT), 0)
  t.equal(waitMs(full, LIMIT), 10, 'one of 100 in a second')
  t.equal(msOfUnits(full, LIMIT), 2000)
  t.equal(debtAfter(full - UNITS_PER_REQUEST, LIMIT), full)
  t.equal(debtAfter(full - UNITS_PER_REQUEST + 1, LIMIT), -1)
})
