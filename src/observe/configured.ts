/**
 * Which roles and reasons a version can have under a route. Their series exist from the start with 0,
 * so that a rate has a beginning and an absent series means a mistake; others appear when they happen.
 */
import type { Role } from '../domain/outcome.ts'
import type { Reason } from '../domain/plan.ts'
import type { Model } from '../domain/routes.ts'
import type { Settings } from '../domain/settings.ts'

export function rolesOf({ route, onFailure }: Model, version: string): ReadonlySet<Role> {
  const roles = new Set<Role>()
  const isRuled = route.rules.some((rule) => rule.version === version)
  if (route.primary === version || isRuled || route.pinAllowed) roles.add('primary')
  if (ownReasons(route, version).length > 0) roles.add('canary')
  if (route.experiment?.arms.some((arm) => arm.version === version)) roles.add('arm')
  if (isShadow(route, version)) roles.add('shadow')
  if (isFallback(onFailure, version)) roles.add('fallback')
  return roles
}

export function reasonsOf({ route, onFailure }: Model, version: string): ReadonlySet<Reason> {
  const reasons = new Set<Reason>()
  if (route.rules.some((rule) => rule.version === version)) reasons.add('rule')
  if (route.pinAllowed) reasons.add('pin')
  if (route.experiment?.arms.some((arm) => arm.version === version)) reasons.add('experiment')
  for (const reason of ownReasons(route, version)) reasons.add(reason)
  if (route.primary === version) reasons.add('primary')
  if (isFallback(onFailure, version)) reasons.add('fallback')
  return reasons
}

/** Strategies whose own settings name the version. */
function ownReasons({ own }: Model['route'], version: string): readonly string[] {
  const names = ([, settings]: [string, Settings]) => Object.values(settings).flat().includes(version)
  return [...own].filter(names).map(([reason]) => reason)
}

export function isShadow(route: Model['route'], version: string): boolean {
  return route.shadows.some((shadow) => shadow.version === version)
}

function isFallback(onFailure: Model['onFailure'], version: string): boolean {
  return Object.values(onFailure).some((chain) =>
    chain.some((step) => step.do === 'version' && step.version === version),
  )
}
