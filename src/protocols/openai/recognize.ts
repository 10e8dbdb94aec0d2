/**
 * Which endpoint of the OpenAI API a path names:
 *
 *     GET  /v1/models   /v1/models/{m}                 answered by the gateway, from its configuration
 *     POST /v1/chat/completions   /v1/completions   /v1/embeddings      the body names the model
 *
 * Absent on purpose: what keeps state at the endpoint (responses, files, assistants …), because it would be found
 * again only by chance among several versions.
 */
import { type Fault, fault } from '../../domain/fault.ts'
import type { Head } from '../../domain/head.ts'
import type { Match } from '../protocol.ts'

const ROOT = '/v1'
const LIST = '/v1/models'
const CARD = '/v1/models/'
const POSTS: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings'])
/** Of a caller's path, in words that are recorded. */
const PATH_SHOWN_MAX = 128

export function recognize(head: Head): Match | Fault | undefined {
  const { path } = head
  if (POSTS.has(path)) return head.method === 'POST' ? postMatch(head) : notAllowed(path, 'POST')
  if (path !== ROOT && !path.startsWith(`${ROOT}/`)) return undefined
  const match = modelsMatch(path)
  if (match === undefined) return isOfKserve(path) ? undefined : nothingAt(path)
  return head.method === 'GET' || head.method === 'HEAD' ? match : notAllowed(path, 'GET, HEAD')
}

function postMatch({ target }: Head): Match {
  return { scope: 'model', model: null, version: null, operation: 'infer', rest: target }
}

function modelsMatch(path: string): Match | undefined {
  if (path === LIST || path === CARD) return { scope: 'server', ask: 'models' }
  if (!path.startsWith(CARD) || isOfKserve(path)) return undefined
  return { scope: 'server', ask: 'model', model: path.slice(CARD.length) }
}

/** A verb behind a model's name is V1's way of asking. */
function isOfKserve(path: string): boolean {
  return path.startsWith(CARD) && /:(?:predict|explain)$/.test(path)
}

function nothingAt(path: string): Fault {
  const words = `nothing of the OpenAI API is served at ${path.slice(0, PATH_SHOWN_MAX)}`
  return fault('unknown-path', `${words}; there are ${[...POSTS].join(', ')} and ${LIST}`)
}

function notAllowed(path: string, allow: string): Fault {
  const words = `${path.slice(0, PATH_SHOWN_MAX)} answers ${allow} only`
  return fault('method-not-allowed', words, '', ['allow', allow])
}
