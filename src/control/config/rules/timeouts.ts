/**
 * No inner time may be longer than the one around it: it would never be reached, and whoever wrote it
 * believes in a limit that does not exist. Inner times that are not written shrink to fit (settle.ts).
 */
import { patienceOf } from '../registries.ts'
import { durationText } from '../units.ts'
import type { ModelScope } from './scope.ts'

/** A place in the model and what is in force there; undefined when it is not written and shrinks to fit. */
interface Time {
  readonly at: readonly [string, string]
  readonly ms: number | undefined
}

export function checkTimeouts(scope: ModelScope): void {
  const { timeouts, breaker } = scope.model
  const totalMs = timeouts.total ?? patienceOf(scope.model.protocol).totalMs
  const total: Time = { at: ['timeouts', 'total'], ms: totalMs }
  for (const inner of ['queue', 'connect', 'first_byte'] as const) {
    checkWithin(scope, { at: ['timeouts', inner], ms: timeouts[inner] }, total)
  }
  checkIdle(scope, total)
  checkWithin(scope, { at: ['breaker', 'slow_after'], ms: breaker.slow_after }, total)
  const openForMax: Time = { at: ['breaker', 'open_for_max'], ms: breaker.open_for_max }
  checkWithin(scope, { at: ['breaker', 'open_for'], ms: breaker.open_for }, openForMax)
}

/** Idle bounds pauses, not progress: beyond the total it is never reached, and the total holds anyway. */
function checkIdle(scope: ModelScope, total: Time): void {
  const { idle } = scope.model.timeouts
  if (idle === undefined || total.ms === undefined || idle <= total.ms) return
  if (!scope.isSound('timeouts', 'idle') || !scope.isSound(...total.at)) return
  const limit = `${durationText(total.ms)}${scope.isWritten(...total.at) ? '' : ' by default'}`
  scope.warning(
    ['timeouts', 'idle'],
    `never reached: timeouts.total ends the attempt first, after ${limit}`,
    { expected: `at most ${durationText(total.ms)}, or a longer timeouts.total` },
  )
}

function checkWithin(scope: ModelScope, inner: Time, outer: Time): void {
  if (inner.ms === undefined || outer.ms === undefined || inner.ms <= outer.ms) return
  if (!scope.isSound(...inner.at) || !scope.isSound(...outer.at)) return
  const own = scope.isWritten(...inner.at)
  const [innerName, outerName] = [inner.at.join('.'), outer.at.join('.')]
  const limit = `${durationText(outer.ms)}${scope.isWritten(...outer.at) ? '' : ' by default'}`
  const relation = own ? 'longer' : 'by default longer'
  scope.error(
    own ? inner.at : outer.at,
    `${innerName} (${durationText(inner.ms)}) is ${relation} than ${outerName}, which is ${limit}`,
    {
      expected: own
        ? `at most ${durationText(outer.ms)}, or a longer ${outerName}`
        : `at least ${durationText(inner.ms)}`,
    },
  )
}
