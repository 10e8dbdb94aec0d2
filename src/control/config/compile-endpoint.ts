/** One endpoint as the data plane wants it: where it is, how it is reached, and which others share its connections. */
import { createHash } from 'node:crypto'
import type { Endpoint, EndpointTls } from '../../domain/routes.ts'
import type { Origin } from './address.ts'
import type { CheckedModel } from './schema-model.ts'

export interface Reach {
  readonly tls: CheckedModel['versions'][string]['tls']
  readonly pipeline: number
  readonly denyPrivate: boolean
  /** PEM contents by path as written. */
  readonly pems: ReadonlyMap<string, string>
}

export function compileEndpoint(origin: Origin, reach: Reach): Endpoint {
  const { scheme, url, host, port, authority } = origin
  const isUnix = scheme === 'unix'
  const tls = scheme === 'https' ? compileTls(host, reach) : null
  const denyPrivate = reach.denyPrivate && !isUnix
  const { pipeline } = reach
  return {
    url,
    key: keyOf(url, [tls, denyPrivate, pipeline]),
    host: isUnix ? '' : host,
    port,
    authority,
    socketPath: isUnix ? host : null,
    tls,
    denyPrivate,
    pipeline,
  }
}

function compileTls(host: string, { tls, pems }: Reach): EndpointTls {
  const contents = (file: string | undefined): string | null =>
    file === undefined ? null : (pems.get(file) ?? null)
  return {
    ca: contents(tls?.ca),
    cert: contents(tls?.cert),
    key: contents(tls?.key),
    serverName: tls?.server_name ?? host,
    verify: tls?.verify ?? true,
  }
}

/** Not reversible: it may be shown, and a private key is part of it. */
function keyOf(url: string, parts: readonly unknown[]): string {
  return `${url}#${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)}`
}
