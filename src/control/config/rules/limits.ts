/** A limit that is to be found needs room to be found in. */
import type { ModelScope } from './scope.ts'

/** What an adaptive limit never goes below (observe/gradient.ts). */
const ADAPTIVE_FLOOR = 20

export function checkLimits(scope: ModelScope): void {
  const { adaptive, concurrent } = scope.model.limits
  if (!adaptive || concurrent > ADAPTIVE_FLOOR) return
  if (!scope.isSound('limits', 'adaptive') || !scope.isSound('limits', 'concurrent')) return
  scope.error(
    ['limits', 'concurrent'],
    `limits.adaptive has nothing to find: its limit is never below ${ADAPTIVE_FLOOR}, and limits.concurrent is ${concurrent}`,
    { expected: `more than ${ADAPTIVE_FLOOR}, or adaptive = false` },
  )
}
