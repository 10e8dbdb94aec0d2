/**
 * Which V2 endpoint a path names:
 *
 *     /v2                                     /v2/health/live|ready
 *     /v2/models/{m}[/versions/{v}]           …/ready            …/infer
 *
 * Model and version names have no characters that need escaping, so segments are compared as sent. The protocol
 * knows no query; one that is sent all the same is the endpoint's affair.
 */
import { type Fault, fault } from '../../domain/fault.ts'
import type { Head } from '../../domain/head.ts'
import type { Operation } from '../../domain/intent.ts'
import type { Match } from '../protocol.ts'

/** Of a caller's path, in words that are recorded. */
const PATH_SHOWN_MAX = 128

const ENDINGS: ReadonlyMap<string, Operation> = new Map([
  ['', 'metadata'],
  ['/ready', 'ready'],
  ['/infer', 'infer'],
])
const MODEL_PATH = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(|\/ready|\/infer)$/

export function recognize(head: Head): Match | Fault | undefined {
  const { path } = head
  if (path !== '/v2' && !path.startsWith('/v2/')) return undefined
  const match = serverMatch(path) ?? modelMatch(head)
  if (match === undefined) {
    return fault(
      'unknown-path',
      `the open inference protocol has nothing at ${path.slice(0, PATH_SHOWN_MAX)}; try /v2/models/{model}/infer`,
    )
  }
  const wantsPost = match.scope === 'model' && match.operation === 'infer'
  const isRead = head.method === 'GET' || head.method === 'HEAD'
  if (wantsPost ? head.method === 'POST' : isRead) return match
  const allow = wantsPost ? 'POST' : 'GET, HEAD'
  return fault('method-not-allowed', `${path.slice(0, PATH_SHOWN_MAX)} answers ${allow} only`, '', [
    'allow',
    allow,
  ])
}

function serverMatch(path: string): Match | undefined {
  if (path === '/v2' || path === '/v2/') return { scope: 'server', ask: 'metadata' }
  if (path === '/v2/health/live') return { scope: 'server', ask: 'live' }
  if (path === '/v2/health/ready') return { scope: 'server', ask: 'ready' }
  return undefined
}

function modelMatch({ path, target }: Head): Match | undefined {
  const parts = MODEL_PATH.exec(path)
  if (parts === null) return undefined
  return {
    scope: 'model',
    model: parts[1]!,
    version: parts[2] ?? null,
    operation: ENDINGS.get(parts[3]!)!,
    rest: target.slice(path.length),
  }
}
