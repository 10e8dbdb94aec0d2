/** Laws every strategy obeys, run over the registry in its order. */
import fc from 'fast-check'
import t from 'tap'
import { assignmentPoint } from '../../src/decide/decide.ts'
import { STRATEGIES } from '../../src/decide/strategies/index.ts'
import type { Question, Strategy } from '../../src/decide/strategies/strategy.ts'
import type { Model } from '../../src/domain/routes.ts'
import type { Field, Settings, SettingValue } from '../../src/domain/settings.ts'
import { makeHead, makeIntent, makeModel } from '../support/make-model.ts'

const VERSIONS = ['v1', 'v2', 'v3']

/** A model on which the strategy has something to say. */
function modelFor({ reason, form }: Strategy): Model {
  const own = new Map<string, Settings>(form === null ? [] : [[reason, exampleOf(form.fields)]])
  const rule = { when: { header: 'x-tenant', test: { is: 'present' } as const }, version: 'v3' }
  const arms = [
    { version: 'v1', percent: 50 },
    { version: 'v2', percent: 50 },
  ]
  return makeModel({
    versions: VERSIONS,
    route: {
      own,
      rules: reason === 'rule' ? [rule] : [],
      pinAllowed: reason === 'pin',
      experiment: reason === 'experiment' ? { name: 'e', arms } : null,
    },
  })
}

function exampleOf(fields: Readonly<Record<string, Field>>): Settings {
  return Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, exampleValue(field)]))
}

function exampleValue(field: Field): SettingValue {
  if (field.fallback !== undefined) return field.fallback
  switch (field.kind) {
    case 'version':
      return 'v2'
    case 'versions':
      return ['v2', 'v3']
    case 'percent':
      return 50
    case 'whole':
      return field.min
    case 'flag':
      return true
    case 'texts':
      return ['a', 'b']
    case 'duration':
      return 1000
    default:
      return 'x-tenant'
  }
}

function question(model: Model, key: string, fields: Record<string, string>, pin: string | null): Question {
  const intent = makeIntent(model, { key: { source: 'header:x', value: key }, pin })
  return { intent, head: makeHead({ fields }), pointOf: (salt) => assignmentPoint(model.name, salt, key) }
}

const inputs = fc.record({
  // Any key, and keys that the example's own words occur in.
  key: fc.oneof(fc.string(), fc.constantFrom('x-tenant', 'x-tenant-1', 'a', 'b')),
  fields: fc.constantFrom({}, { 'x-tenant': 'beta' }),
  pin: fc.constantFrom(null, 'v1', 'v2'),
})

for (const strategy of STRATEGIES) {
  const model = modelFor(strategy)
  const ask = ({ key, fields, pin }: { key: string; fields: object; pin: string | null }) =>
    question(model, key, fields as Record<string, string>, strategy.reason === 'pin' ? pin : null)

  t.test(`${strategy.reason} chooses a version of the model or none`, async (t) => {
    let chosen = 0
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(inputs, (input) => {
          const choice = strategy.choose(ask(input))
          if (choice !== null) chosen += 1
          return choice === null || model.versions.has(choice.version)
        }),
      ),
    )
    t.ok(chosen > 0, 'the example makes it choose at least once; if it cannot, widen exampleValue or inputs')
  })

  t.test(`${strategy.reason} gives the same answer to the same question`, async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(inputs, (input) => {
          const [one, two] = [strategy.choose(ask(input)), strategy.choose(ask(input))]
          return JSON.stringify(one) === JSON.stringify(two)
        }),
      ),
    )
  })

  t.test(`${strategy.reason} keeps its points in [0, 1) or says -1`, async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(inputs, (input) => {
          const point = strategy.choose(ask(input))?.point ?? -1
          return point === -1 || (point >= 0 && point < 1)
        }),
      ),
    )
  })

  t.test(`${strategy.reason} has nothing to say where it is not configured`, async (t) => {
    if (strategy.reason === 'primary') {
      t.pass('a primary is always configured')
      return
    }
    const plain = makeModel({ versions: VERSIONS })
    t.equal(strategy.choose(question(plain, 'k', { 'x-tenant': 'beta' }, null)), null)
    t.equal(strategy.passedOver('v2', question(plain, 'k', {}, null)), null)
  })
}

t.test('reasons are one word each, used once, and primary ends the list', async (t) => {
  const reasons = STRATEGIES.map(({ reason }) => reason)
  t.equal(new Set(reasons).size, reasons.length)
  for (const reason of reasons) t.match(reason, /^[a-z][a-z-]*$/)
  t.equal(reasons.at(-1), 'primary', 'what stands behind it would never be asked')
})
