/**
 * The headers an endpoint gets: the caller's end-to-end ones as they came, none of the hop's, and ours.
 *
 * Hop-by-hop headers (RFC 9110 §7.6.1) never cross; those the caller's `Connection` names, and what only a trusted proxy
 * may say, the edge has taken out already (accept/credible-headers.ts). Forwarding headers are written anew from what it
 * made of them (accept/trust.ts). Host and framing are written by the codec.
 */
import { type Head, OWN_PREFIX } from '../domain/head.ts'
import type { OutboundRequest } from '../domain/wire.ts'
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

const DEADLINE = 'modelgate-deadline-ms'

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
    headers.push(DEADLINE, String(Math.max(0, Math.floor(marks.deadlineLeftMs))))
  }
  if (marks.isRead) headers.push('accept-encoding', 'identity')
  if (marks.isShadow) headers.push('modelgate-shadow', '1')
  return headers
}

/** The same request, sent again so many ms later: its endpoint has less time left. */
export function sentLater(request: OutboundRequest, ms: number): OutboundRequest {
  const { method, target, headers, body, repeatable } = request
  const at = headers.findIndex((text, index) => index % 2 === 0 && text === DEADLINE)
  if (at === -1) return request
  const leftMs = Math.max(0, Math.floor(Number(headers[at + 1]) - ms))
  return { method, target, headers: headers.with(at + 1, String(leftMs)), body, repeatable }
}

const IS_REFUSED = new Remembered((name) => {
  // Some servers read `x_forwarded_for` as `x-forwarded-for`, so an underscore hides nothing.
  const read = name.replaceAll('_', '-')
  return DROPPED.has(read) || read.startsWith(OWN_PREFIX)
})
