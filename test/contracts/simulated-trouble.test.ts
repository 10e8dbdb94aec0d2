/**
 * What the ways of balancing, retrying and hedging are for, over simulated endpoints in trouble (native-bench/simulate): the
 * gateway's own rules, the same course in every run.
 */
import t from 'tap'
import { PROFILES } from '../../native-bench/simulate/profiles.ts'
import { type Outcome, simulate } from '../../native-bench/simulate/simulation.ts'
import { STRATEGIES } from '../../native-bench/simulate/strategies.ts'
import { tableOf } from '../../native-bench/simulate/table.ts'

const REQUESTS = 10_000

interface Setting {
  readonly utilisation?: number
  readonly seed?: number
  readonly requests?: number
}

/** Of this file: the same question has the same outcome, which the first test proves by asking anew. */
const known = new Map<string, Outcome>()

function run(strategy: string, profile: string, setting: Setting = {}): Outcome {
  const question = JSON.stringify([strategy, profile, setting])
  const outcome = known.get(question) ?? ran(strategy, profile, setting)
  known.set(question, outcome)
  return outcome
}

function ran(strategy: string, profile: string, setting: Setting): Outcome {
  const { utilisation = 0.6, seed = 1, requests = REQUESTS } = setting
  return simulate({
    strategy: STRATEGIES.find(({ name }) => name === strategy)!,
    profile: PROFILES.find(({ name }) => name === profile)!,
    utilisation,
    requests,
    seed,
  })
}

const RETRIES = 'least-loaded, retries'
const HEDGED = 'least-loaded, retries, p95'

t.test('the same seed is the same run, another one is another', async (t) => {
  t.strictSame(run(HEDGED, 'all bimodal'), ran(HEDGED, 'all bimodal', {}))
  t.not(run(HEDGED, 'all bimodal').p99Ms, run(HEDGED, 'all bimodal', { seed: 2 }).p99Ms)
})

t.test('least-loaded leaves a slow endpoint alone, round-robin runs into it', async (t) => {
  for (const utilisation of [0.3, 0.6]) {
    const [blind, seeing] = ['round-robin', 'least-loaded'].map((name) =>
      run(name, 'one slow', { utilisation }),
    ) as [Outcome, Outcome]
    t.ok(seeing.p99Ms < blind.p99Ms / 2, `p99 ${seeing.p99Ms} and ${blind.p99Ms} ms`)
    t.ok(seeing.firstShare < 0.03, `${seeing.firstShare} went to it`)
    t.equal(seeing.errors, 0)
  }
})

t.test('whoever fails fast draws no load, whatever the balance', async (t) => {
  for (const { name } of STRATEGIES) {
    for (const profile of ['one failing fast', 'one refusing']) {
      const { firstShare, errors } = run(name, profile, { requests: 4_000 })
      t.ok(firstShare < 0.005, `${name}, ${profile}: ${firstShare} went to it`)
      t.ok(errors < 0.002, `${errors} of requests failed`)
    }
  }
  for (const profile of ['one failing fast', 'one refusing']) {
    const { errors, extraLoad } = run(RETRIES, profile)
    t.equal(errors, 0, `${profile}: with retries nobody sees it`)
    t.ok(extraLoad < 0.005, `${extraLoad}`)
  }
})

t.test('hedging more than halves the p99 of endpoints that are now and then slow', async (t) => {
  for (const seed of [1, 2, 3]) {
    const [without, withIt] = [RETRIES, HEDGED].map((name) => run(name, 'all bimodal', { seed })) as [
      Outcome,
      Outcome,
    ]
    t.ok(without.p99Ms >= 300 && withIt.p99Ms < without.p99Ms / 3, `${withIt.p99Ms} of ${without.p99Ms} ms`)
    t.ok(withIt.p50Ms < without.p50Ms * 1.1)
  }
})

t.test('hedging costs no more than its budget, in any trouble, overload included', async (t) => {
  for (const { name: profile } of PROFILES) {
    for (const utilisation of [0.3, 0.8]) {
      const [without, withIt] = [RETRIES, HEDGED].map((name) =>
        run(name, profile, { utilisation, requests: 2_000 }),
      ) as [Outcome, Outcome]
      const added = withIt.extraLoad - without.extraLoad
      t.ok(added <= 0.05 + 1e-9, `${profile} at ${utilisation}: ${(100 * added).toFixed(2)} % more load`)
    }
  }
})

t.test('an endpoint that rests, hangs or restarts is hardly noticed', async (t) => {
  const hanging = run(RETRIES, 'one hanging')
  t.ok(hanging.firstShare < 0.002 && hanging.errors < 0.001, `${hanging.firstShare}, ${hanging.errors}`)
  const [blind, resting] = [run('round-robin', 'pauses'), run(HEDGED, 'pauses')]
  t.ok(resting.p999Ms < blind.p999Ms / 2, `p99.9 ${resting.p999Ms} and ${blind.p999Ms} ms`)
  const restarting = run(RETRIES, 'one restarting')
  t.ok(restarting.errors < 0.001, `${restarting.errors}`)
  t.ok(restarting.p99Ms < 1.5 * run(RETRIES, 'uniform').p99Ms, `${restarting.p99Ms} ms`)
})

t.test('when all are well, nobody pays for what protects against trouble', async (t) => {
  const [plain, full] = [run('least-loaded', 'uniform'), run(HEDGED, 'uniform')]
  t.ok(full.p99Ms <= plain.p99Ms * 1.05, `${full.p99Ms} and ${plain.p99Ms} ms`)
  t.ok(full.extraLoad < 0.03, `${full.extraLoad}`)
  t.ok(Math.abs(plain.firstShare - 0.2) < 0.03, `${plain.firstShare}`)
})

t.test('the table names what never came, and every profile once', async (t) => {
  const outcomes = [run('round-robin', 'one slow'), run('least-loaded', 'one slow')]
  const [head, rule, first, second] = tableOf(outcomes).split('\n')
  t.match(head, 'p99.9')
  t.match(rule, /^\| -+ \|/)
  t.match(first, /one slow .* never/)
  t.notMatch(second, /one slow|never/)
  t.match(second, 'least-loaded')
})
