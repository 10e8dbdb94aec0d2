import fc from 'fast-check'
import t from 'tap'
import { DECAY_MS, EndpointLoad, UNKNOWN_MS } from '../../../src/forward/balance/endpoint-load.ts'

function measured(ms: number, now = 0): EndpointLoad {
  const load = new EndpointLoad()
  load.started()
  load.ended(now, ms)
  return load
}

t.test('cost grows with what is under way, and nobody known is free until asked once', async (t) => {
  const load = measured(10)
  t.equal(load.cost(0), 10)
  load.started()
  load.started()
  t.equal(load.cost(0), 30)
  t.equal(load.outstanding, 2)
  const fresh = new EndpointLoad()
  t.equal(fresh.cost(0), 0)
  fresh.started()
  t.equal(fresh.cost(0), UNKNOWN_MS + 1)
})

t.test('a slow answer counts at once, fast ones win trust back in their time', async (t) => {
  const load = measured(10)
  load.started()
  load.ended(0, 500)
  t.equal(load.cost(0), 500)
  load.started()
  load.ended(DECAY_MS, 10)
  t.ok(Math.abs(load.cost(DECAY_MS) - (500 / Math.E + 10 * (1 - 1 / Math.E))) < 1e-9)
  t.ok(load.cost(10 * DECAY_MS) < 1, 'what was long ago says little')
})

t.test('a request that was given up says only that the answer takes so long at least', async (t) => {
  const load = measured(100)
  load.started()
  load.abandoned(0, 20)
  t.equal(load.cost(0), 100)
  load.started()
  load.abandoned(0, 300)
  t.equal(load.cost(0), 300)
  const later = 2 * DECAY_MS
  load.started()
  load.abandoned(later, 60)
  t.equal(load.cost(later), 300, 'what it was known for has not become better')
  load.started()
  load.abandoned(later, 60)
  t.equal(load.cost(later), 300)
})

t.test('whatever happens in whatever order, costs are numbers that fit what is under way', async (t) => {
  const event = fc.record({
    what: fc.constantFrom('start', 'end', 'abandon'),
    ms: fc.double({ min: 0, max: 1e6, noNaN: true }),
    afterMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
  })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), (events) => {
        const load = new EndpointLoad()
        let now = 0
        let open = 0
        for (const { what, ms, afterMs } of events) {
          now += afterMs
          if (what === 'start') {
            load.started()
            open += 1
          } else if (open > 0) {
            if (what === 'end') load.ended(now, ms)
            else load.abandoned(now, ms)
            open -= 1
          }
          const cost = load.cost(now)
          if (load.outstanding !== open) throw new Error(`${load.outstanding} of ${open} under way`)
          if (!Number.isFinite(cost) || cost < 0) throw new Error(`cost ${cost}`)
        }
      }),
    ),
  )
})
