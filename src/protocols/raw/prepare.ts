/** Method, rest of the path, query and body exactly as they came. */
import type { OutboundRequest } from '../../domain/wire.ts'
import type { Errand } from '../protocol.ts'

export function prepare(errand: Errand): OutboundRequest {
  return {
    method: errand.method,
    target: errand.rest,
    headers: errand.headers,
    body: errand.body,
    repeatable: errand.method === 'GET' || errand.method === 'HEAD',
  }
}
