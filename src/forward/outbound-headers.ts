/**
 * The headers an endpoint gets: the caller's end-to-end ones as they came, none of the hop's, and ours.
 *
 * Hop-by-hop headers (RFC 9110 §7.6.1) never cross; those the caller's `Connection` names, and what only a trusted proxy
 * may say, the edge has taken out already (accept/credible-headers.ts). Forwarding headers are written anew from what it
 * made of them (accept/trust.ts). Host and framing are written by the codec.
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

export interface Marks {
  readonly requestId: string
  /** Milliseconds the endpoint has left; null when the caller set no deadline. */
  readonly deadlineLeftMs: number | null
  readonly isShadow: boolean
  /** The answer will be looked into, so it must come as it is: a check cannot read compressed bytes. */
  readonly isRead: boolean
}

export function outboundHeaders(head: Head, marks: Marks): readonly string[] {
  const headers: string[] = []
  for (let index = 0; index < head.headers.length; index += 2) {
    const name = head.headers[index]!
    if (IS_REFUSED.of(name)) continue
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

const IS_REFUSED = new Remembered((name) => {
  // Some servers read `x_forwarded_for` as `x-forwarded-for`, so an underscore hides nothing.
  const read = name.replaceAll('_', '-')
  return DROPPED.has(read) || read.startsWith(OWN_PREFIX)
})
