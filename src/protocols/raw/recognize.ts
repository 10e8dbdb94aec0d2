/** `/models/{m}` and everything under it; the rest of the path and the query are the endpoint's affair. */
import type { Head } from '../../domain/head.ts'
import type { Match } from '../protocol.ts'

const PREFIX = '/models/'

export function recognize(head: Head): Match | undefined {
  if (!head.path.startsWith(PREFIX)) return undefined
  const slash = head.path.indexOf('/', PREFIX.length)
  const end = slash === -1 ? head.path.length : slash
  if (end === PREFIX.length) return undefined
  const rest = head.target.slice(end)
  return {
    scope: 'model',
    model: head.path.slice(PREFIX.length, end),
    version: null,
    operation: 'call',
    rest: rest.startsWith('/') ? rest : `/${rest}`,
  }
}
