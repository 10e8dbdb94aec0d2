/**
 * A request as one version’s endpoint expects it. Path and query are passed on as they came; the body, too,
 * without a copy, unless the endpoint calls the model something else (`rename.model`): then that one value is
 * replaced where it stands.
 *
 * Asking twice does no harm but to the bill, so shadows and one safe retry are allowed: a shadow was configured
 * by whoever pays for it, and the retry happens only when a kept-alive connection turned out dead before any byte.
 */
import type { RemoteVersion } from '../../domain/routes.ts'
import type { OutboundRequest } from '../../domain/wire.ts'
import { type JsonPath, type JsonSpan, scanJson } from '../../kernel/json-scan.ts'
import type { Errand } from '../protocol.ts'
import { splice } from '../splice.ts'
import { modelSpanIn } from './request-body.ts'

export function prepare(errand: Errand, version: RemoteVersion): OutboundRequest {
  const { model } = version.rename
  return {
    method: errand.method,
    target: errand.rest,
    headers: errand.headers,
    body: model === null || model === errand.model ? errand.body : renamed(errand.body, model),
    repeatable: true,
  }
}

function renamed(body: Uint8Array, model: string): Uint8Array {
  const span = modelSpanIn(body) ?? scanned(body)
  return span?.kind === 'string' ? splice(body, [{ span, text: model }]) : body
}

const MODEL: readonly JsonPath[] = [['model']]

function scanned(body: Uint8Array): JsonSpan | null {
  const scan = scanJson(body, MODEL)
  return scan.ok ? scan.found[0]! : null
}
