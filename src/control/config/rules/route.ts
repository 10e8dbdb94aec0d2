/** Every version a route names exists, percents add up, and nothing is written that can never be reached. */

import { nearestName } from '../../../kernel/nearest-name.ts'
import { ownReferences } from '../own-settings.ts'
import type { Path } from '../problem.ts'
import type { CheckedModel } from '../schema-model.ts'
import type { ModelScope } from './scope.ts'

type CheckedRule = CheckedModel['route']['rules'][number]

const TESTS = ['equals', 'prefix', 'in', 'present'] as const
/** Percents are decimal fractions; their sum may be off by rounding, not by a thousandth. */
const SUM_SLACK = 1e-9

export interface ReferenceWords {
  /** Stands before the name. */
  readonly prefix?: string
  /** Versions that would be refused here, so that they are not suggested. */
  readonly except?: Iterable<string>
}

/** Reports an unknown version; true when it is known. */
export function checkReference(
  scope: ModelScope,
  at: Path,
  version: string,
  { prefix = '', except = [] }: ReferenceWords = {},
): boolean {
  if (!scope.isSound(...at)) return false
  if (scope.versionNames.includes(version)) return true
  if (scope.versionNames.length === 0) return false
  const refused = new Set(except)
  const near = nearestName(
    version,
    scope.versionNames.filter((name) => !refused.has(name)),
  )
  scope.error(at, `the model has no version ${JSON.stringify(version)}`, {
    expected: `one of: ${scope.versionNames.map((name) => prefix + name).join(', ')}`,
    suggestion: near === null ? undefined : JSON.stringify(prefix + near),
  })
  return false
}

export function checkRoute(scope: ModelScope): void {
  const { route } = scope.model
  checkPrimary(scope)
  for (const [index, rule] of route.rules.entries()) checkRule(scope, index, rule)
  checkRepeatedRules(scope)
  checkOwnTables(scope)
  checkExperiment(scope)
  checkShadows(scope)
}

/** The version that serves what nothing else claims; undefined when that is not settled. */
export function primaryOf(scope: Pick<ModelScope, 'model' | 'versionNames'>): string | undefined {
  return scope.model.route.primary ?? (scope.versionNames.length === 1 ? scope.versionNames[0] : undefined)
}

function checkPrimary(scope: ModelScope): void {
  const { primary } = scope.model.route
  if (primary !== undefined) checkReference(scope, ['route', 'primary'], primary)
  else if (scope.versionNames.length > 1 && scope.isSound('route', 'primary') && scope.isSound('route')) {
    scope.error(
      scope.isWritten('route') ? ['route'] : [],
      'the model has several versions and no route.primary',
      {
        expected: `primary = one of: ${scope.versionNames.join(', ')}`,
        on: 'key',
      },
    )
  }
}

function checkRule(scope: ModelScope, index: number, rule: CheckedRule): void {
  const at = ['route', 'rules', index]
  checkReference(scope, [...at, 'version'], rule.version)
  const tests = TESTS.filter((test) => scope.isWritten(...at, 'when', test))
  if (tests.length === 1 || (tests.length === 0 && !scope.isSound(...at, 'when'))) return
  scope.error(
    [...at, 'when'],
    tests.length === 0 ? 'the rule tests nothing' : `the rule has ${tests.length} tests: ${tests.join(', ')}`,
    {
      expected: 'exactly one of: equals, prefix, in, present',
    },
  )
}

function checkRepeatedRules(scope: ModelScope): void {
  const seen = new Map<string, number>()
  for (const [index, rule] of scope.model.route.rules.entries()) {
    if (!scope.isSound('route', 'rules', index)) continue
    const { header, equals, prefix, in: values, present } = rule.when
    const id = JSON.stringify([header, equals, prefix, values, present])
    const earlier = seen.get(id)
    if (earlier === undefined) seen.set(id, index)
    else {
      scope.warning(
        ['route', 'rules', index],
        `the rule is never reached: rule ${earlier + 1} of the list matches the same`,
        {
          expected: 'another condition',
        },
      )
    }
  }
}

function checkOwnTables(scope: ModelScope): void {
  for (const { at, version } of ownReferences(scope.model.route)) {
    const isCanary = at[0] === 'canary'
    const except = isCanary ? [primaryOf(scope) ?? ''] : []
    const known = checkReference(scope, ['route', ...at], version, { except })
    if (known && isCanary) checkCanary(scope, version)
  }
}

function checkCanary(scope: ModelScope, version: string): void {
  if (version === primaryOf(scope) && scope.isSound('route', 'primary')) {
    scope.error(['route', 'canary', 'version'], 'the canary is the primary itself', {
      expected: 'another version',
    })
  }
  if (scope.model.route.experiment !== undefined) {
    scope.warning(['route', 'canary'], 'the canary gets nothing while the experiment takes every request', {
      expected: 'either canary or experiment',
      on: 'key',
    })
  }
}

function checkExperiment(scope: ModelScope): void {
  const { experiment } = scope.model.route
  if (experiment === undefined) return
  const at = ['route', 'experiment', 'arms']
  const arms = Object.entries(experiment.arms)
  for (const [version] of arms) {
    if (!scope.versionNames.includes(version) && scope.versionNames.length > 0) {
      const near = nearestName(
        version,
        scope.versionNames.filter((name) => experiment.arms[name] === undefined),
      )
      scope.error([...at, version], `the model has no version ${JSON.stringify(version)}`, {
        expected: `one of: ${scope.versionNames.join(', ')}`,
        suggestion: near ?? undefined,
        on: 'key',
      })
    }
  }
  if (!scope.isSound(...at)) return
  if (arms.length < 2) {
    scope.error(at, 'an experiment compares at least two arms', {
      expected: 'two or more versions with their percents',
    })
    return
  }
  const sum = arms.reduce((total, [, percent]) => total + percent, 0)
  if (Math.abs(sum - 100) > SUM_SLACK) {
    scope.error(at, `the percents of the arms add up to ${Number(sum.toFixed(6))}`, {
      expected: 'percents that add up to 100',
    })
  }
}

function checkShadows(scope: ModelScope): void {
  const seen = new Set<string>()
  for (const [index, shadow] of scope.model.route.shadows.entries()) {
    const at = ['route', 'shadows', index, 'version']
    if (checkReference(scope, at, shadow.version, { except: seen }) && seen.has(shadow.version)) {
      scope.error(at, `${shadow.version} is a shadow already`, { expected: 'each version at most once' })
    }
    seen.add(shadow.version)
  }
}
