/**
 * A V1 request as one version’s endpoint expects it: only the model’s name in the path is rewritten, to
 * the endpoint’s own (`rename.model`). The body is passed on byte for byte.
 */
import type { RemoteVersion } from '../../domain/routes.ts'
import type { OutboundRequest } from '../../domain/wire.ts'
import type { Errand } from '../protocol.ts'

export function prepare(errand: Errand, version: RemoteVersion): OutboundRequest {
  return {
    method: errand.method,
    target: `/v1/models/${version.rename.model ?? errand.model}${errand.rest}`,
    headers: errand.headers,
    body: errand.body,
    repeatable: true,
  }
}
