/**
 * A V2 request as one version's endpoint expects it: only the path is rewritten, to the endpoint's own
 * names (`rename`). The body is passed on byte for byte, tensors are never re-serialised.
 */
import type { RemoteVersion } from '../../domain/routes.ts'
import type { OutboundRequest } from '../../domain/wire.ts'
import type { Errand } from '../protocol.ts'

const ENDINGS = { infer: '/infer', call: '/infer', metadata: '', ready: '/ready' } as const

export function prepare(errand: Errand, version: RemoteVersion): OutboundRequest {
  const { rename } = version
  const names = `${rename.model ?? errand.model}${rename.version === null ? '' : `/versions/${rename.version}`}`
  return {
    method: errand.method,
    target: `/v2/models/${names}${ENDINGS[errand.operation]}${errand.rest}`,
    headers: errand.headers,
    body: errand.body,
    repeatable: true,
  }
}
