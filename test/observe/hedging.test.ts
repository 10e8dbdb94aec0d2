/** When a request is late, and how many may be sent twice. */
import fc from 'fast-check'
import t from 'tap'
import type { HedgeSettings } from '../../src/domain/routes.ts'
import { HedgeBudget, SAVED_MAX } from '../../src/observe/hedge-budget.ts'
import { AFTER_MS_MIN, Hedging } from '../../src/observe/hedging.ts'
import { BEYOND_MIN, OBSERVED_MIN, UsualWait } from '../../src/observe/usual-wait.ts'
import { makeAttempt, makeExchange, makeLanes, scrape } from './make-lanes.ts'

/** Numbers in [0, 1) that look like chance and are always the same. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function watched(quantile: number, waits: Iterable<number>): UsualWait {
  const usual = new UsualWait(quantile)
  for (const ms of waits) usual.observe(ms, false)
  return usual
}

function* drawn(count: number, draw: (chance: number) => number, seed = 1): Iterable<number> {
  const next = seeded(seed)
  for (let index = 0; index < count; index += 1) yield draw(next())
}

const exponential = (chance: number): number => -10 * Math.log(1 - chance)

t.test('the quantile of what was observed lately, within a bucket or two', async (t) => {
  for (const quantile of [0.5, 0.9, 0.95, 0.99]) {
    const { ms } = watched(quantile, drawn(20_000, exponential))
    const exact = exponential(quantile)
    t.ok(
      ms > exact * 0.8 && ms < exact * 1.35,
      `p${100 * quantile}: ${ms.toFixed(1)} for ${exact.toFixed(1)}`,
    )
  }
})

t.test('nothing is told while too little is known, and more is needed for what is rarer', async (t) => {
  t.equal(watched(0.95, drawn(5 / 0.05 - 1, exponential)).ms, Number.POSITIVE_INFINITY)
  t.ok(Number.isFinite(watched(0.95, drawn(BEYOND_MIN / 0.05 + 1, exponential)).ms))
  t.equal(watched(0.99, drawn(450, exponential)).ms, Number.POSITIVE_INFINITY)
  t.equal(watched(0.5, drawn(OBSERVED_MIN - 1, exponential)).ms, Number.POSITIVE_INFINITY)
})

t.test(
  'where the quantile lies at the edge of a gap, it is the near side of it, not one by chance',
  async (t) => {
    let near = 0
    for (let seed = 1; seed <= 200; seed += 1) {
      const bimodal = (chance: number): number => (chance < 0.95 ? 4 + chance * 2 : 300)
      const usual = watched(0.95, drawn(300 + seed * 7, bimodal, seed * 7919))
      if (usual.ms > 5 && usual.ms < 10) near += 1
    }
    t.ok(near >= 196, `${near} of 200`)
    const rare = watched(
      0.95,
      drawn(5000, (chance) => (chance < 0.99 ? 4 + chance * 2 : 300)),
    )
    t.ok(rare.ms > 5 && rare.ms < 7, `${rare.ms}: a gap far beyond the quantile changes nothing`)
    const many = watched(
      0.95,
      drawn(5000, (chance) => (chance < 0.8 ? 4 + chance * 2 : 300)),
    )
    t.ok(many.ms > 290, `${many.ms}: what a fifth of all take is usual`)
  },
)

t.test(
  'it follows: at once when everything becomes slower, after a while when it becomes faster',
  async (t) => {
    const usual = watched(
      0.95,
      drawn(2000, (chance) => 5 + chance),
    )
    for (const ms of drawn(150, (chance) => 50 + chance)) usual.observe(ms, false)
    t.ok(usual.ms > 50, `${usual.ms}`)
    for (const ms of drawn(6000, (chance) => 5 + chance)) usual.observe(ms, false)
    t.ok(usual.ms < 7, `${usual.ms}`)
  },
)

t.test('whatever is observed, it is a time, and no longer than the longest', async (t) => {
  const wait = fc.oneof(
    fc.double({ min: 0, max: 1e7, noNaN: true }),
    fc.constantFrom(0, 0.05, 1e9, Number.NaN),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(wait, { maxLength: 400 }),
        fc.constantFrom(0.5, 0.9, 0.95, 0.99),
        (waits, quantile) => {
          const { ms } = watched(quantile, waits)
          if (ms === Number.POSITIVE_INFINITY) return
          const longest = Math.max(0.1, ...waits.map((one) => (Number.isNaN(one) ? 0 : one)))
          if (!(ms > 0 && ms <= longest * 1.1)) throw new Error(`${ms} of at most ${longest}`)
        },
      ),
      { numRuns: 300 },
    ),
  )
})

t.test(
  'at any moment no more copies were sent than the share of what came, and few follow at once',
  async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(
          fc.array(fc.record({ requests: fc.nat(300), wishes: fc.nat(40) }), { maxLength: 60 }),
          fc.double({ min: 0, max: 1, noNaN: true }),
          (steps, share) => {
            const budget = new HedgeBudget(share)
            let [came, sent] = [0, 0]
            for (const { requests, wishes } of steps) {
              for (let index = 0; index < requests; index += 1) budget.deposit()
              came += requests
              let atOnce = 0
              for (let index = 0; index < wishes; index += 1) if (budget.withdraw()) atOnce += 1
              sent += atOnce
              if (atOnce > SAVED_MAX) throw new Error(`${atOnce} at once`)
              if (sent > share * came + 1e-3) throw new Error(`${sent} of ${came} with ${share}`)
            }
          },
        ),
      ),
    )
  },
)

t.test('a steady share of late requests within the budget is hardly ever refused', async (t) => {
  const budget = new HedgeBudget(0.05)
  const next = seeded(3)
  let [late, refused] = [0, 0]
  for (let request = 0; request < 200_000; request += 1) {
    budget.deposit()
    if (next() >= 0.05) continue
    late += 1
    if (!budget.withdraw()) refused += 1
  }
  t.ok(refused / late < 0.06, `${refused} of ${late}`)
})

function hedging(after: HedgeSettings['after']) {
  const told = { isWell: true, refused: 0, delays: [] as number[] }
  const hedge = new Hedging({
    settings: { after, budget: 0.5 },
    isWell: () => told.isWell,
    onRefused: () => {
      told.refused += 1
    },
    onDelay: (ms) => told.delays.push(ms),
  })
  return { hedge, told }
}

t.test('leave is given within the budget, and only while the version is well', async (t) => {
  const { hedge, told } = hedging({ is: 'fixed', ms: 30 })
  t.equal(hedge.afterMs(), 30)
  t.equal(hedge.mayStart(0), false)
  t.equal(told.refused, 1)
  for (let count = 0; count < 4; count += 1) hedge.came()
  told.isWell = false
  t.equal(hedge.mayStart(0), false)
  t.equal(told.refused, 1, 'that was not for the budget')
  told.isWell = true
  t.strictSame(
    [0, 1, 2].map(() => hedge.mayStart(0)),
    [true, true, false],
  )
  t.strictSame(told.delays, [30])
})

t.test(
  'the time after which a copy is sent follows what is observed, and is told when it changes',
  async (t) => {
    const { hedge, told } = hedging({ is: 'quantile', quantile: 0.95 })
    t.equal(hedge.afterMs(), Number.POSITIVE_INFINITY)
    for (let count = 0; count < 200; count += 1) hedge.began(20, false)
    const afterMs = hedge.afterMs()
    t.ok(afterMs >= 20 && afterMs < 22.5, `${afterMs}`)
    hedge.afterMs()
    for (let count = 0; count < 2000; count += 1) hedge.began(0.01, false)
    t.equal(hedge.afterMs(), AFTER_MS_MIN, 'and never at once')
    t.strictSame(told.delays, [afterMs, AFTER_MS_MIN])
  },
)

t.test('second copies are counted by what came of them, and when they go is told', async (t) => {
  const { observatory, lanes, snapshot } = makeLanes(2)
  const [one, two] = lanes as [(typeof lanes)[0], (typeof lanes)[0]]
  for (const hedgeWon of ['first', 'second', 'second', 'none'] as const) {
    one.observer.exchange(makeExchange(snapshot, { attempts: [makeAttempt('v1', { hedgeWon })] }))
  }
  const { index } = snapshot.models.get('fraud')!.versions.get('v1')!
  two.vitals.slab.hedge(index, 'over-budget')
  one.vitals.slab.hedgeAfter(index, 12.5)
  two.vitals.slab.hedgeAfter(index, 20)
  const { values } = await scrape(observatory)
  const outcome = (word: string) =>
    values.get(`modelgate_hedges_total{model="fraud",version="v1",outcome="${word}"}`)
  t.strictSame(['won', 'lost', 'failed', 'over-budget'].map(outcome), [2, 1, 1, 1])
  t.equal(values.get('modelgate_hedge_after_seconds{model="fraud",version="v1"}'), 0.02)
})
