/** Chains of consequences end where they end, name what exists, and never ask the version that just failed. */
import type { ConsequenceKey } from '../../../domain/routes.ts'
import { ownReferences } from '../own-settings.ts'
import type { CheckedModel } from '../schema-model.ts'
import { checkReference, primaryOf } from './route.ts'
import type { ModelScope } from './scope.ts'

export const CONSEQUENCES: readonly ConsequenceKey[] = [
  'timeout',
  'breaker_open',
  'overload',
  'invalid_output',
  'error',
]

type CheckedStep = CheckedModel['on_failure']['timeout'][number]

export function checkConsequences(scope: ModelScope): void {
  const only = onlyServed(scope)
  for (const key of CONSEQUENCES) checkChain(scope, key, only)
  if (
    scope.isWritten('on_failure', 'invalid_output') &&
    Object.keys(scope.model.output).length === 0 &&
    scope.isSound('output')
  ) {
    scope.warning(['on_failure', 'invalid_output'], 'never used: the model has no output checks', {
      expected: `a table [models.${scope.name}.output]`,
      on: 'key',
    })
  }
}

function checkChain(scope: ModelScope, key: ConsequenceKey, only: string | undefined): void {
  const chain = scope.model.on_failure[key]
  const mentioned = chain.flatMap((step) => (step.do === 'version' ? [step.version] : []))
  const except = only === undefined ? mentioned : [...mentioned, only]
  const seen = new Set<string>()
  let ended: CheckedStep | undefined
  for (const [index, step] of chain.entries()) {
    const at = ['on_failure', key, index]
    const text = stepText(step)
    if (ended?.do === 'reply' && step.do === 'fail') {
      // Saying the end aloud is harmless: a reply was read at start and cannot fail.
      ended = step
      continue
    }
    if (ended !== undefined) {
      scope.error(at, `never reached: ${stepText(ended)} before it always ends the chain`, {
        expected: `nothing after ${stepText(ended)}`,
      })
      continue
    }
    if (seen.has(text))
      scope.error(at, `${text} is in the chain already`, { expected: 'each consequence once' })
    seen.add(text)
    if (step.do !== 'version') ended = step
    else if (
      checkReference(scope, at, step.version, { prefix: 'version:', except }) &&
      step.version === only
    ) {
      scope.error(at, `${step.version} is the only version that serves, so it is the one that just failed`, {
        expected: 'another version, a reply or fail',
      })
    }
  }
}

function stepText(step: CheckedStep): string {
  if (step.do === 'version') return `version:${step.version}`
  return step.do === 'reply' ? `reply:${step.file}` : 'fail'
}

/** The one version that can fail, when there is only one; shadows fail without consequence. */
function onlyServed(scope: ModelScope): string | undefined {
  const { route } = scope.model
  const primary = primaryOf(scope)
  if (primary === undefined || route.pin || !scope.isSound('route')) return undefined
  const served = new Set([
    primary,
    ...route.rules.map((rule) => rule.version),
    ...Object.keys(route.experiment?.arms ?? {}),
  ])
  for (const { version } of ownReferences(route)) served.add(version)
  return served.size === 1 ? primary : undefined
}

/** Every version that can come to serve or to be compared. */
export function usedVersions(model: CheckedModel, primary: string | undefined): ReadonlySet<string> {
  const { route } = model
  const used = new Set([
    ...route.rules.map((rule) => rule.version),
    ...route.shadows.map((shadow) => shadow.version),
  ])
  for (const arm of Object.keys(route.experiment?.arms ?? {})) used.add(arm)
  for (const { version } of ownReferences(route)) used.add(version)
  if (primary !== undefined) used.add(primary)
  for (const key of CONSEQUENCES) {
    for (const step of model.on_failure[key]) if (step.do === 'version') used.add(step.version)
  }
  return used
}
