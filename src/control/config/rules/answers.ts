/** Output checks, comparisons and keys: what is written takes effect, or is refused. */

import { parsePointer } from '../../../kernel/json-scan.ts'
import type { Path } from '../problem.ts'
import { protocolOf } from '../registries.ts'
import { usedVersions } from './consequences.ts'
import { primaryOf } from './route.ts'
import type { ModelScope } from './scope.ts'

export function checkAnswers(scope: ModelScope): void {
  checkOutput(scope)
  checkCompare(scope)
  checkKey(scope)
  checkUnused(scope)
}

function checkOutput(scope: ModelScope): void {
  for (const [name, check] of Object.entries(scope.model.output)) {
    const at = ['output', name]
    checkPlace(scope, [...at, 'path'], check.path)
    if (!scope.isSound(...at, 'type')) continue
    const numeric = check.type === 'number' || check.type === 'integer'
    for (const bound of ['min', 'max'] as const) {
      if (numeric || check[bound] === undefined) continue
      scope.error([...at, bound], `${bound} has no meaning for type "${check.type}"`, {
        expected: 'type "number" or "integer"',
        on: 'key',
      })
    }
    if (numeric && check.min !== undefined && check.max !== undefined && check.min > check.max) {
      scope.error(
        [...at, 'min'],
        `min (${check.min}) is above max (${check.max}): no answer could ever pass`,
        { expected: `at most ${check.max}` },
      )
    }
  }
}

function checkCompare(scope: ModelScope): void {
  const { outputs } = scope.model.compare
  for (const [index, rule] of outputs.entries()) {
    checkPlace(scope, ['compare', 'outputs', index, 'path'], rule.path)
    if (
      rule.as !== 'label' ||
      rule.tolerance === undefined ||
      !scope.isSound('compare', 'outputs', index, 'as')
    )
      continue
    scope.error(
      ['compare', 'outputs', index, 'tolerance'],
      'labels are equal or not: a tolerance has no meaning',
      {
        expected: 'as = "number", or no tolerance',
        on: 'key',
      },
    )
  }
  if (outputs.length > 0 && scope.model.route.shadows.length === 0 && scope.isSound('route')) {
    scope.warning(['compare', 'outputs'], 'nothing is compared: the route has no shadows', {
      expected: 'a shadow in route.shadows',
      on: 'key',
    })
  }
}

/** An endpoint may add fields of its own, so a place that the dialect does not know is no error. */
function checkPlace(scope: ModelScope, at: Path, pointer: string): void {
  const fields = protocolOf(scope.model.protocol)?.answerFields ?? null
  const [field = ''] = parsePointer(pointer)
  if (fields === null || fields.includes(field) || !scope.isSound('protocol') || !scope.isSound(...at)) return
  scope.warning(at, `answers of protocol "${scope.model.protocol}" have no "${field}" of their own`, {
    expected: `a pointer that begins with ${fields.map((name) => `/${name}`).join(', ')}`,
  })
}

function checkKey(scope: ModelScope): void {
  const seen = new Set<string>()
  let always = false
  for (const [index, source] of scope.model.key.entries()) {
    const id = JSON.stringify(source)
    if (always)
      scope.error(['key', index], 'never reached: "random" before it is always present', {
        expected: 'nothing after "random"',
      })
    else if (seen.has(id))
      scope.error(['key', index], 'this source is in the list already', { expected: 'each source once' })
    seen.add(id)
    always ||= source.from === 'random'
  }
}

function checkUnused(scope: ModelScope): void {
  const primary = primaryOf(scope)
  if (
    scope.model.route.pin ||
    primary === undefined ||
    !scope.isSound('route') ||
    !scope.isSound('on_failure')
  )
    return
  const used = usedVersions(scope.model, primary)
  for (const name of scope.versionNames) {
    if (used.has(name)) continue
    scope.warning(['versions', name], 'no request can reach this version', {
      expected: 'a mention in route or on_failure, or route.pin = true',
      on: 'key',
    })
  }
}
