/**
 * Which endpoint of KServe’s V1 protocol a path names:
 *
 *     /v1/models        /v1/models/{m}        /v1/models/{m}:predict        /v1/models/{m}:explain
 *
 * The first two are the OpenAI API’s, too; whose they are is told by who speaks what (identify/recognize.ts).
 */
import { type Fault, fault } from '../../domain/fault.ts'
import type { Head } from '../../domain/head.ts'
import type { Match } from '../protocol.ts'

const LIST = '/v1/models'
const MODEL_PATH = /^\/v1\/models\/([^/:]+)(|:predict|:explain)$/
/** Of a caller's path, in words that are recorded. */
const PATH_SHOWN_MAX = 128

export function recognize(head: Head): Match | Fault | undefined {
  const { path } = head
  if (path !== LIST && !path.startsWith(`${LIST}/`)) return undefined
  const match = path === LIST || path === `${LIST}/` ? MODELS : modelMatch(head)
  const shown = path.slice(0, PATH_SHOWN_MAX)
  if (match === undefined) {
    return fault(
      'unknown-path',
      `KServe’s V1 protocol has nothing at ${shown}; try /v1/models/{model}:predict`,
    )
  }
  const wantsPost = match.scope === 'model' && match.operation === 'infer'
  const isRead = head.method === 'GET' || head.method === 'HEAD'
  if (wantsPost ? head.method === 'POST' : isRead) return match
  const allow = wantsPost ? 'POST' : 'GET, HEAD'
  return fault('method-not-allowed', `${shown} answers ${allow} only`, '', ['allow', allow])
}

const MODELS: Match = { scope: 'server', ask: 'models' }

function modelMatch({ path, target }: Head): Match | undefined {
  const parts = MODEL_PATH.exec(path)
  if (parts === null) return undefined
  const verb = parts[2]!
  return {
    scope: 'model',
    model: parts[1]!,
    version: null,
    operation: verb === '' ? 'ready' : 'infer',
    rest: `${verb}${target.slice(path.length)}`,
  }
}
