/**
 * What must arrive at an endpoint when a request is forwarded, as one fingerprint that the endpoint makes of what
 * it got and the campaign of what it sent. Equal fingerprints: same dialect, method, target, end-to-end headers in
 * their order, and body. Written from the contract; shares no code with what the gateway does.
 *
 * Left out on purpose: accept-encoding where a dialect's answers are read.
 */
import { createHash } from 'node:crypto'

export type Dialect = 'raw' | 'open-inference' | 'openai'

/** Of the hop, told by the gateway itself, or written by whoever writes the message. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(
  `connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding
  upgrade expect host content-length grpc-timeout forwarded x-forwarded-for x-forwarded-host x-forwarded-proto
  x-real-ip via x-client-ip x-cluster-client-ip x-original-forwarded-for x-original-host x-envoy-external-address
  true-client-ip cf-connecting-ip fastly-client-ip forwarded-for x-forwarded x-remote-ip x-remote-addr
  x-originating-ip x-original-url x-rewrite-url x-http-host-override x-envoy-original-path x-appengine-user-ip
  x-azure-clientip x-azure-socketip x-nf-client-connection-ip x-vercel-forwarded-for client-ip cf-connecting-ipv6
  cf-pseudo-ipv4 do-connecting-ip fly-client-ip proxy-client-ip wl-proxy-client-ip`.split(/\s+/),
)

export interface Forwardable {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** Of a request that an endpoint of this dialect got, or should get. */
export function fingerprint(dialect: Dialect, { method, target, headers, body }: Forwardable): string {
  const named = new Set(
    headers
      .flatMap((value, index) =>
        headers[index - 1] === 'connection' && index % 2 === 1 ? value.split(',') : [],
      )
      .map((name) => name.trim().toLowerCase()),
  )
  const hash = createHash('sha1').update(`${dialect} ${method} ${target}\n`, 'latin1')
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    const read = name.replaceAll('_', '-')
    if (NOT_FORWARDED.has(read) || /^(?:modelgate|x-forwarded)-/.test(read) || named.has(name)) continue
    if (dialect !== 'raw' && name === 'accept-encoding') continue
    hash.update(`${name}: ${headers[index + 1]}\n`, 'latin1')
  }
  return hash.update('\n').update(body).digest('hex')
}

/** Null where no endpoint is asked. Models: `api` (raw), `m` (open-inference, version v1), `gpt` (openai). */
export function expectedFingerprint(request: Forwardable): string | null {
  const { target } = request
  const raw = /^\/models\/api(?=[/?]|$)(.*)$/.exec(target)?.[1]
  if (raw !== undefined)
    return fingerprint('raw', { ...request, target: raw.startsWith('/') ? raw : `/${raw}` })
  const v2 = /^(\/v2\/models\/m)(?:\/versions\/v1)?(|\/ready|\/infer)((?:\?.*)?)$/.exec(target)
  if (v2 !== null) return fingerprint('open-inference', { ...request, target: v2.slice(1).join('') })
  if (/^\/v1\/(?:chat\/completions|completions|embeddings)(?:\?|$)/.test(target)) {
    return fingerprint('openai', request)
  }
  return null
}
