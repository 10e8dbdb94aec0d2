/** What a version says of looking after its endpoints: an answer is waited for no longer than until the next question. */
import { protocolOf } from '../registries.ts'
import { durationText } from '../units.ts'
import type { ModelScope } from './scope.ts'

export function checkHealth(scope: ModelScope): void {
  for (const [name, { endpoints = [], health, slow_start }] of Object.entries(scope.model.versions)) {
    const at = ['versions', name]
    if (health?.timeout !== undefined && health.timeout > health.interval) {
      checkTimeout(scope, [...at, 'health'], [health.timeout, health.interval])
    }
    if (health !== undefined && health.path === undefined) checkPath(scope, [...at, 'health'])
    if (slow_start === undefined || endpoints.length !== 1 || !scope.isSound(...at, 'endpoints')) continue
    scope.warning(
      [...at, 'slow_start'],
      'slow_start has no effect: the only endpoint always gets all requests',
      {
        expected: 'another endpoint beside it, or no slow_start',
      },
    )
  }
}

function checkPath(scope: ModelScope, at: string[]): void {
  const { protocol } = scope.model
  if (!scope.isSound('protocol') || !scope.isSound(...at)) return
  if (protocolOf(protocol)?.readyPath !== null) return
  scope.error(at, `protocol "${protocol}" has no path of its own for health: health.path is needed`, {
    expected: 'path = "/…", what the endpoints answer with 200 to 299 when they are well',
    on: 'key',
  })
}

function checkTimeout(scope: ModelScope, at: string[], [timeout, interval]: readonly [number, number]): void {
  if (!scope.isSound(...at, 'timeout') || !scope.isSound(...at, 'interval')) return
  const limit = `${durationText(interval)}${scope.isWritten(...at, 'interval') ? '' : ' by default'}`
  scope.error(
    [...at, 'timeout'],
    `health.timeout (${durationText(timeout)}) is longer than health.interval, which is ${limit}`,
    { expected: `at most ${durationText(interval)}, or a longer health.interval` },
  )
}
