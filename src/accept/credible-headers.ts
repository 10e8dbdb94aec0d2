/**
 * The headers of a request that its sender may send: what `Connection` names is of the hop (RFC 9110 §7.6.1), and who
 * a request came from is a proxy's to say, and not a stranger's. The others are taken out before anything is decided,
 * so that nobody is routed by a header that the endpoint does not get.
 */
import { Remembered } from '../kernel/remembered.ts'

/** Who sent a request, and which target it had, in words that endpoints and their frameworks know. */
const OF_A_PROXY: ReadonlySet<string> = new Set([
  'forwarded',
  'forwarded-for',
  'x-forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-remote-ip',
  'x-remote-addr',
  'x-originating-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  'x-http-host-override',
  'x-envoy-external-address',
  'x-envoy-original-path',
  'x-appengine-user-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-nf-client-connection-ip',
  'x-vercel-forwarded-for',
  'client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'do-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'proxy-client-ip',
  'wl-proxy-client-ip',
])

/** `hopNames`: what Connection names, in lower case; null: nothing. */
export function credibleHeaders(
  headers: readonly string[],
  hopNames: ReadonlySet<string> | null,
  isTrusted: boolean,
): readonly string[] {
  let kept: string[] | null = null
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    const isDropped = hopNames?.has(name) || (!isTrusted && IS_OF_A_PROXY.of(name))
    if (isDropped) kept ??= headers.slice(0, index)
    else kept?.push(name, headers[index + 1]!)
  }
  return kept ?? headers
}

const IS_OF_A_PROXY = new Remembered((name) => {
  // Some servers read `x_forwarded_for` as `x-forwarded-for`, so an underscore hides nothing.
  const read = name.replaceAll('_', '-')
  return OF_A_PROXY.has(read) || read.startsWith('x-forwarded-')
})
