import fc from 'fast-check'
import t from 'tap'
import {
  BUDGET_MS,
  RESERVE_PER_SECOND,
  type RetryBudget,
  retryBudgets,
  retryMemory,
} from '../../src/observe/retry-budget.ts'

const RESERVE = (RESERVE_PER_SECOND * BUDGET_MS) / 1000

/** One model’s budget, as each of so many lanes has it. */
function budgetsOf(share: number, lanes: number): readonly RetryBudget[] {
  const memory = retryMemory(3, lanes)
  return Array.from({ length: lanes }, (_, seat) => retryBudgets([1, share, 1], { memory, seat, lanes })[1]!)
}

function spendAll(budget: RetryBudget, now: number): number {
  let spent = 0
  while (budget.withdraw(now)) spent += 1
  return spent
}

t.test('retries are a share of the requests of the last seconds, and a few are free', async (t) => {
  const budget = budgetsOf(0.2, 1)[0]!
  t.equal(spendAll(budget, 0), RESERVE)
  for (let request = 0; request < 1000; request += 1) budget.deposit(0)
  t.equal(spendAll(budget, 0), 200)
  t.equal(spendAll(budget, BUDGET_MS / 2), 0, 'what was spent is spent')
  t.equal(spendAll(budget, 2 * BUDGET_MS), RESERVE, 'what was long ago counts on neither side')
})

t.test('what one lane earns another may spend, once', async (t) => {
  const [one, other] = budgetsOf(0.2, 2)
  for (let request = 0; request < 1000; request += 1) one!.deposit(5000)
  for (let request = 0; request < 500; request += 1) other!.deposit(5000)
  let spent = 0
  while (one!.withdraw(5000) && other!.withdraw(5000)) spent += 2
  t.equal(spent, RESERVE + 300)
  t.same([one!.withdraw(5000), other!.withdraw(5000)], [false, false])
})

t.test('a share of none has none', async (t) => {
  const none = budgetsOf(0, 1)[0]!
  none.deposit(0)
  t.equal(none.withdraw(0), false)
})

t.test('over any stretch of time, retries stay within share and reserve', async (t) => {
  const step = fc.record({ afterMs: fc.nat(4000), requests: fc.nat(50), wishes: fc.nat(60) })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (steps, share) => {
          const budget = budgetsOf(share, 1)[0]!
          const sent: { at: number; requests: number; retries: number }[] = []
          let now = 0
          for (const { afterMs, requests, wishes } of steps) {
            now += afterMs
            for (let request = 0; request < requests; request += 1) budget.deposit(now)
            let retries = 0
            for (let wish = 0; wish < wishes; wish += 1) if (budget.withdraw(now)) retries += 1
            sent.push({ at: now, requests, retries })
            const recent = sent.filter(({ at }) => at > now - BUDGET_MS + BUDGET_MS / 10)
            const all = sent.filter(({ at }) => at > now - 2 * BUDGET_MS)
            const spent = recent.reduce((sum, one) => sum + one.retries, 0)
            const earned = all.reduce((sum, one) => sum + one.requests, 0) * share
            if (spent > earned + RESERVE + 1e-3) throw new Error(`${spent} retries for ${earned}`)
          }
        },
      ),
      { numRuns: 200 },
    ),
  )
})
