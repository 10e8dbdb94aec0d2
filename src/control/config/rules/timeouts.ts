/**
 * No inner time may be longer than the one around it: it would never be reached, and whoever wrote it
 * believes in a limit that does not exist. Inner times that are not written shrink to fit (defaults.ts).
 */
import { durationText } from '../units.ts'
import type { ModelScope } from './scope.ts'

export function checkTimeouts(scope: ModelScope): void {
  const { timeouts, breaker } = scope.model
  for (const inner of ['queue', 'connect', 'first_byte', 'idle'] as const) {
    within(scope, ['timeouts', inner], timeouts[inner], ['timeouts', 'total'], timeouts.total)
  }
  within(scope, ['breaker', 'slow_after'], breaker.slow_after, ['timeouts', 'total'], timeouts.total)
  within(scope, ['breaker', 'open_for'], breaker.open_for, ['breaker', 'open_for_max'], breaker.open_for_max)
}

type Place = readonly [string, string]

function within(
  scope: ModelScope,
  inner: Place,
  ms: number | undefined,
  outer: Place,
  outerMs: number,
): void {
  if (ms === undefined || ms <= outerMs || !scope.isSound(...inner) || !scope.isSound(...outer)) return
  const own = scope.isWritten(...inner)
  const limit = `${durationText(outerMs)}${scope.isWritten(...outer) ? '' : ' by default'}`
  const relation = own ? 'longer' : 'by default longer'
  scope.error(
    own ? inner : outer,
    `${inner.join('.')} (${durationText(ms)}) is ${relation} than ${outer.join('.')}, which is ${limit}`,
    {
      expected: own
        ? `at most ${durationText(outerMs)}, or a longer ${outer.join('.')}`
        : `at least ${durationText(ms)}`,
    },
  )
}
