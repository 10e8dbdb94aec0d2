import fc from 'fast-check'
import t from 'tap'
import { assignmentPoint, decide } from '../../src/decide/decide.ts'
import type { Intent } from '../../src/domain/intent.ts'
import type { BreakerName, Plan } from '../../src/domain/plan.ts'
import type { Model } from '../../src/domain/routes.ts'
import { makeHead, makeIntent, makeModel } from '../support/make-model.ts'

const closed = { breakerOf: (): BreakerName => 'closed' }
const circumstances = { vitals: closed, now: 0, chance: { next: () => 0.5 }, repeatable: true }

function plan(model: Model, more: Partial<Intent> = {}, fields: Record<string, string> = {}): Plan {
  return decide(makeIntent(model, more), makeHead({ fields }), circumstances)
}

const key = (value: string) => ({ source: 'header:x-user-id', value })
const withCanary = (percent: number) =>
  makeModel({ route: { own: new Map([['canary', { version: 'v2', percent }]]) } })

t.test('precedence is rules, pin, experiment, canary, primary', async (t) => {
  const versions = ['v1', 'v2', 'v3', 'v4', 'v5']
  const rule = { when: { header: 'x-tenant', test: { is: 'equals', value: 'beta' } as const }, version: 'v5' }
  const arms = [{ version: 'v3', percent: 100 }]
  const all = makeModel({
    versions,
    route: {
      rules: [rule],
      pinAllowed: true,
      experiment: { name: 'e', arms },
      own: new Map([['canary', { version: 'v2', percent: 100 }]]),
    },
  })
  const seen = (p: Plan) => [p.reason, p.version.name, p.role]
  t.same(seen(plan(all, { pin: 'v4' }, { 'x-tenant': 'beta' })), ['rule', 'v5', 'canary'])
  t.same(seen(plan(all, { pin: 'v4' })), ['pin', 'v4', 'canary'])
  t.same(seen(plan(all)), ['experiment', 'v3', 'arm'])
  t.same(seen(plan(withCanary(100))), ['canary', 'v2', 'canary'])
  t.same(seen(plan(withCanary(0))), ['primary', 'v1', 'primary'])
})

t.test('a rule or pin overrides the assignment but the plan keeps what was assigned', async (t) => {
  const arms = [{ version: 'v2', percent: 100 }]
  const model = makeModel({ route: { pinAllowed: true, experiment: { name: 'e', arms } } })
  const pinned = plan(model, { pin: 'v1' })
  t.equal(pinned.version.name, 'v1')
  t.equal(pinned.assigned, 'v2')
})

t.test('every version that was not chosen has a reason', async (t) => {
  const model = makeModel({
    versions: ['v1', 'v2', 'v3', 'v4', 'v5'],
    onFailure: { ...makeModel().onFailure, timeout: [{ do: 'version', version: 'v4' }] },
    route: {
      own: new Map([['canary', { version: 'v2', percent: 0 }]]),
      shadows: [{ version: 'v3', percent: 100, concurrentMax: 4, timeoutMs: 100 }],
    },
  })
  const reasons = Object.fromEntries(plan(model).candidates.map((one) => [one.version, one.passed]))
  t.same(reasons, {
    v1: 'chosen',
    v2: 'outside-percent',
    v3: 'shadow-only',
    v4: 'only-on-failure',
    v5: 'not-routed',
  })
})

t.test('assignment is sticky, monotone in percent and proportional over a million keys', async (t) => {
  const keys = 1_000_000
  const percents = [0.1, 1, 5, 20, 50, 90]
  const inside = percents.map(() => 0)
  for (let index = 0; index < keys; index += 1) {
    const point = assignmentPoint('fraud', 'canary', `user-${index}`)
    for (const [at, percent] of percents.entries()) if (point * 100 < percent) inside[at]! += 1
  }
  for (const [at, percent] of percents.entries()) {
    const p = percent / 100
    const sigma = Math.sqrt(keys * p * (1 - p))
    const off = Math.abs(inside[at]! - keys * p) / sigma
    t.ok(off < 4.5, `${percent} %: ${inside[at]} of ${keys} keys, ${off.toFixed(2)} standard errors off`)
  }
})

t.test('raising the percent only moves keys into the canary, lowering only out of it', async (t) => {
  const percent = fc.double({ min: 0, max: 100, noNaN: true })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string(), percent, percent, (value, a, b) => {
        const served = (share: number) => plan(withCanary(share), { key: key(value) }).version.name
        const [low, high] = a < b ? [a, b] : [b, a]
        return served(low) !== 'v2' || served(high) === 'v2'
      }),
      { numRuns: 2000 },
    ),
  )
})

t.test('the same key is served the same arm every time, whatever else the request carries', async (t) => {
  const arms = [
    { version: 'v1', percent: 30 },
    { version: 'v2', percent: 70 },
  ]
  const model = makeModel({ route: { experiment: { name: 'price', arms } } })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string(), fc.string(), (value, noise) => {
        const first = plan(model, { key: key(value) })
        const second = plan(model, { key: key(value), traceId: noise }, { 'x-noise': noise })
        return first.version.name === second.version.name && first.point === second.point
      }),
    ),
  )
})

t.test('arms get their shares, and another experiment deals the keys anew', async (t) => {
  const arms = [
    { version: 'v1', percent: 20 },
    { version: 'v2', percent: 80 },
  ]
  const named = (name: string) => makeModel({ route: { experiment: { name, arms } } })
  const first = named('one')
  const second = named('two')
  let inFirst = 0
  let moved = 0
  const keys = 20_000
  for (let index = 0; index < keys; index += 1) {
    const one = plan(first, { key: key(`k${index}`) }).version.name
    const two = plan(second, { key: key(`k${index}`) }).version.name
    if (one === 'v1') inFirst += 1
    if (one !== two) moved += 1
  }
  t.ok(Math.abs(inFirst - keys * 0.2) < 4.5 * Math.sqrt(keys * 0.16), `${inFirst} of ${keys} in the 20 % arm`)
  t.ok(Math.abs(moved - keys * 0.32) < 4.5 * Math.sqrt(keys * 0.22), `${moved} of ${keys} dealt anew`)
})

t.test('points do not change between releases', async (t) => {
  // Anybody can recompute these with XXH64 (seed 0) of model NUL salt NUL key, upper 53 bits.
  t.equal(assignmentPoint('fraud', 'canary', 'user-1').toFixed(12), POINT_OF_USER_1)
  t.equal(assignmentPoint('fraud', 'experiment:price', 'ü').toFixed(12), POINT_OF_UMLAUT)
})
const POINT_OF_USER_1 = '0.517997502425'
const POINT_OF_UMLAUT = '0.633256225138'

t.test('shadows are planned with a reason when they are not sent', async (t) => {
  const shadow = (version: string, percent: number) => ({
    version,
    percent,
    concurrentMax: 4,
    timeoutMs: 100,
  })
  const model = makeModel({
    versions: ['v1', 'v2', 'v3'],
    route: { shadows: [shadow('v1', 100), shadow('v2', 100), shadow('v3', 50)] },
  })
  const fates = (p: Plan) => p.shadows.map(({ fate }) => fate)
  t.same(fates(plan(model)), ['planned', 'planned', 'sampled_out'], 'a copy of the primary measures noise')
  t.same(fates(plan(model, { isShadow: true })), ['is_shadow', 'is_shadow', 'is_shadow'])
  t.same(fates(plan(model, { operation: 'metadata' })), [])
  const post = { ...circumstances, repeatable: false }
  const fatesOfPost = decide(makeIntent(model), makeHead(), post).shadows.map(({ fate }) => fate)
  t.same(fatesOfPost, ['not_idempotent', 'not_idempotent', 'not_idempotent'])
  const canary = makeModel({
    route: { own: new Map([['canary', { version: 'v2', percent: 100 }]]), shadows: [shadow('v2', 100)] },
  })
  t.same(fates(plan(canary)), ['served_version'], 'the version that serves is not asked twice')
})
