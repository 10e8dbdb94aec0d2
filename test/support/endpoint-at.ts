/** An endpoint as the configuration would compile it, for tests that reach one without a configuration. */
import type { Endpoint } from '../../src/domain/routes.ts'

export function endpointAt(host: string, port: number, more: Partial<Endpoint> = {}): Endpoint {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const endpoint: Endpoint = {
    url: `${more.tls == null ? 'http' : 'https'}://${authority}`,
    key: '',
    host,
    port,
    authority,
    socketPath: null,
    tls: null,
    denyPrivate: false,
    pipeline: 1,
    ...more,
  }
  return { ...endpoint, key: more.key ?? JSON.stringify(endpoint) }
}
