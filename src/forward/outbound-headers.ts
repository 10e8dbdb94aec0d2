/**
 * The headers an endpoint gets: the caller's end-to-end ones as they came, none of the hop's, and ours.
 *
 * Hop-by-hop headers (RFC 9110 §7.6.1), with those the caller's `Connection` names, never cross.
 * Forwarding headers are written anew from what the edge made of them (accept/trust.ts): what a caller claims
 * about itself is not passed on as fact; from a proxy that is trusted the others of their kind cross, too. Host and framing are written by the codec.
 */
import { type Head, OWN_PREFIX } from '../domain/head.ts'
import { Remembered } from '../kernel/remembered.ts'

const DROPPED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
  'content-length',
  'grpc-timeout',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'via',
])

/** Who sent a request, in words that endpoints and their frameworks know: a proxy's to say, not a stranger's. */
const OF_A_PROXY: ReadonlySet<string> = new Set([
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-host',
  'x-envoy-external-address',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
])

export interface Marks {
  readonly requestId: string
  /** Milliseconds the endpoint has left; null when the caller set no deadline. */
  readonly deadlineLeftMs: number | null
  readonly isShadow: boolean
  /** The answer will be looked into, so it must come as it is: a check cannot read compressed bytes. */
  readonly isRead: boolean
}

export function outboundHeaders(head: Head, marks: Marks): readonly string[] {
  const named = connectionNames(head)
  const headers: string[] = []
  for (let index = 0; index < head.headers.length; index += 2) {
    const name = head.headers[index]!
    const crosses = CROSSING.of(name)
    if (crosses === 'never' || (crosses === 'trusted' && !head.forwarded.isTrusted)) continue
    if (named?.has(name)) continue
    if (marks.isRead && name === 'accept-encoding') continue
    headers.push(name, head.headers[index + 1]!)
  }
  const { chain, host, scheme } = head.forwarded
  headers.push('via', '1.1 modelgate', 'x-forwarded-for', chain, 'x-forwarded-proto', scheme)
  if (host !== '') headers.push('x-forwarded-host', host)
  headers.push('modelgate-request-id', marks.requestId)
  if (marks.deadlineLeftMs !== null) {
    headers.push('modelgate-deadline-ms', String(Math.max(0, Math.floor(marks.deadlineLeftMs))))
  }
  if (marks.isRead) headers.push('accept-encoding', 'identity')
  if (marks.isShadow) headers.push('modelgate-shadow', '1')
  return headers
}

/** Whose headers of a name cross: everybody's, those of a proxy that is trusted, nobody's. */
type Crossing = 'always' | 'trusted' | 'never'

const CROSSING = new Remembered<Crossing>((name) => {
  // Some servers read `x_forwarded_for` as `x-forwarded-for`, so an underscore hides nothing.
  const read = name.replaceAll('_', '-')
  if (DROPPED.has(read) || read.startsWith(OWN_PREFIX)) return 'never'
  return OF_A_PROXY.has(read) || read.startsWith('x-forwarded-') ? 'trusted' : 'always'
})

/** A caller may send several Connection headers; each can name headers of the hop. */
function connectionNames({ headers }: Head): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== 'connection') continue
    const value = headers[index + 1]!
    if (value === 'keep-alive' || value === 'close') continue
    names ??= new Set()
    for (const name of value.split(',')) names.add(name.trim().toLowerCase())
  }
  return names
}
