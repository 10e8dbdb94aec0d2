import t from 'tap'
import { makeCallerMemory } from '../../src/callers/caller-memory.ts'
import { RateGate } from '../../src/callers/rate-gate.ts'
import type { RateLimit } from '../../src/domain/routes.ts'
import { makeModel } from '../support/make-model.ts'

const limit = (index: number, more: Partial<RateLimit>): RateLimit => ({
  index,
  name: `l${index}`,
  requests: 10,
  perMs: 1000,
  burst: 10,
  by: [{ from: 'client' }],
  ...more,
})
const WIDE = limit(0, { requests: 60, perMs: 60_000, burst: 4 })
const NARROW = limit(1, { burst: 2 })
const RATES = [NARROW, WIDE]

function gates(count: number): RateGate[] {
  const memory = makeCallerMemory({ rates: RATES, models: new Map() })
  return Array.from({ length: count }, () => new RateGate({ limits: RATES.length, memory }))
}

t.test('every limit must have room, and who is refused has lost nothing of the others', async (t) => {
  const [gate] = gates(1)
  const model = makeModel({ rates: RATES })
  const charge = (at: number) => gate!.charge(model, ['key', 'address'], at)
  t.match(charge(0), { refusedBy: null, retryAfterMs: 0 })
  t.match(charge(0), { refusedBy: null })
  t.match(charge(0), { refusedBy: NARROW, retryAfterMs: 100 })
  t.equal(charge(0).headers[3], '"l1";r=0;t=1', 'the limit that refused, and those before it')
  t.match(charge(100), { refusedBy: null })
  t.match(charge(200), { refusedBy: null })
  const over = charge(300)
  t.match(over, { refusedBy: WIDE })
  t.equal(over.retryAfterMs, 750, 'up to a 16th of a request longer than needed, never shorter')
  t.equal(charge(301).refusedBy, WIDE, 'the narrow one would refuse now, had it kept what it took')
  t.match(charge(300).headers, [
    'ratelimit-policy',
    '"l1";q=10;w=1;modelgate-burst=2, "l0";q=60;w=60;modelgate-burst=4',
    'ratelimit',
    '"l1";r=0;t=1, "l0";r=0;t=4',
  ])
})

t.test('lanes share the buckets', async (t) => {
  const [one, two] = gates(2)
  const model = makeModel({ rates: [NARROW] })
  t.equal(one!.charge(model, ['ana'], 5000).refusedBy, null)
  t.equal(two!.charge(model, ['ana'], 5000).refusedBy, null)
  t.equal(one!.charge(model, ['ana'], 5000).refusedBy, NARROW)
  t.equal(two!.charge(model, ['ana'], 5000).refusedBy, NARROW)
  t.equal(two!.charge(model, ['bo'], 5000).refusedBy, null)
})

t.test('who shares a bucket is different in each process', async (t) => {
  const seeds = new Set(
    Array.from({ length: 8 }, () => makeCallerMemory({ rates: [], models: new Map() }).seed),
  )
  t.equal(seeds.size, 8)
})
