/** A second copy must come before the first is given up, and what it is written for must have endpoints. */
import { patienceOf } from '../registries.ts'
import { durationText } from '../units.ts'
import type { ModelScope } from './scope.ts'

const AFTER = ['retry', 'hedge_after'] as const

export function checkHedging(scope: ModelScope): void {
  const { retry, versions } = scope.model
  if (retry.hedge_after === undefined) {
    if (!scope.isWritten('retry', 'hedge_budget') || scope.isWritten(...AFTER)) return
    scope.warning(['retry', 'hedge_budget'], 'nothing is hedged without retry.hedge_after', {
      expected: 'hedge_after = "p95" beside it, or no hedge_budget',
    })
    return
  }
  if (!scope.isSound(...AFTER)) return
  checkInTime(scope)
  const remote = Object.entries(versions).filter(([, version]) => version.endpoints !== undefined)
  if (remote.length === 0 && scope.isSound('versions')) {
    scope.warning(AFTER, 'nothing is hedged: no version of this model has endpoints', {
      expected: 'a version with endpoints, or no hedge_after',
    })
  }
  for (const [name, { pipeline = 1 }] of remote) {
    if (pipeline === 1) continue
    const words = 'has no effect on requests that may be hedged: each has its connection to itself'
    scope.warning(['versions', name, 'pipeline'], words, { expected: 'no pipeline, or no retry.hedge_after' })
  }
}

function checkInTime(scope: ModelScope): void {
  const { retry, timeouts, protocol } = scope.model
  const after = retry.hedge_after
  if (after?.is !== 'fixed' || !scope.isSound('timeouts')) return
  const patience = patienceOf(protocol)
  const total = timeouts.total ?? patience.totalMs
  const first = timeouts.first_byte ?? Math.min(patience.firstByteMs, total)
  if (after.ms < first) return
  const limit = `${durationText(first)}${scope.isWritten('timeouts', 'first_byte') ? '' : ' by default'}`
  scope.error(
    AFTER,
    `retry.hedge_after (${durationText(after.ms)}) is not shorter than timeouts.first_byte, which is ${limit}`,
    { expected: `less than ${durationText(first)}, or a longer timeouts.first_byte` },
  )
}
