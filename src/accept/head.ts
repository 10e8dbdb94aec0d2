/**
 * Copies a request's head while the server still allows it, and refuses what the server's lenient
 * parser lets through: a request is routed only if every party behind it would read it the same way.
 *
 * Each refusal closes the connection, since the bytes that follow cannot be trusted. Which leniencies
 * there are is in ARCHITECTURE.md, “What the edge checks itself”.
 */
import type { HttpRequest } from 'uWebSockets.js'
import { type Fault, fault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'

export const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
])

/** Each may appear once; two of them and two readers disagree. */
const ONCE: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'content-type',
  'content-encoding',
  'inference-header-content-length',
  'authorization',
])

/** RFC 3986 reg-name, IPv4 or bracketed IPv6, with an optional port. */
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/
const TARGET = /^\/[!-"$-~]*$/
/** An encoded slash, backslash or NUL, and a backslash, mean different paths to different readers. */
const AMBIGUOUS_PATH = /%2f|%5c|%00|\\|(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i
/** What the server puts in place of bytes that are no UTF-8: the value would reach the endpoint changed. */
const REPLACEMENT = '\ufffd'
const DIGITS = /^\d{1,15}$/
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** Colon, blank and CRLF of a header line. */
const LINE_BYTES = 4

export type HeadRead = { readonly head: Head; readonly refusal: Fault | null }

export function readHead(request: HttpRequest, clientAddress: string, headerBytesMax: number): HeadRead {
  const method = request.getCaseSensitiveMethod()
  const path = request.getUrl()
  const query = request.getQuery() ?? ''
  const headers: string[] = []
  let headerBytes = path.length + query.length
  request.forEach((name, value) => {
    headers.push(name, value)
    headerBytes += name.length + value.length + LINE_BYTES
  })
  const framing = readFraming(method, headers)
  const head: Head = {
    method,
    path,
    query,
    target: query === '' ? path : `${path}?${query}`,
    headers,
    contentLength: framing.contentLength,
    clientAddress,
  }
  const tooLarge = headerBytes > headerBytesMax ? fieldsTooLarge(headerBytes, headerBytesMax) : null
  return { head, refusal: tooLarge ?? framing.refusal ?? checkLine(head) }
}

function fieldsTooLarge(bytes: number, bytesMax: number): Fault {
  return fault(
    'header-fields-too-large',
    `the header block has ${bytes} bytes; this gateway takes at most ${bytesMax} (server.limits.headers)`,
  )
}

function checkLine(head: Head): Fault | null {
  if (!METHODS.has(head.method)) {
    return fault('method-not-allowed', `the method must be one of ${[...METHODS].join(', ')}`, '', [
      'allow',
      [...METHODS].join(', '),
    ])
  }
  if (!TARGET.test(head.target)) {
    return malformed('the request target must be a path of printable ASCII characters without "#"')
  }
  if (AMBIGUOUS_PATH.test(head.path)) {
    return malformed('the path must not contain dot segments, backslashes or an encoded slash or NUL')
  }
  return null
}

interface Framing {
  readonly contentLength: number
  readonly refusal: Fault | null
}

function readFraming(method: string, headers: readonly string[]): Framing {
  const seen = new Set<string>()
  let contentLength = -1
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    const value = headers[index + 1]!
    if (!TOKEN.test(name)) return refuse('a header name has characters that are not allowed there')
    if (ONCE.has(name)) {
      if (seen.has(name)) return refuse(`the header ${name} must not be repeated`)
      seen.add(name)
    } else if (name === 'content_length' || name === 'transfer_encoding') {
      return refuse(`the header ${name} is too easily taken for ${name.replace('_', '-')}`)
    }
    if (value.includes(REPLACEMENT)) return refuse(`the value of the header ${name} is not valid UTF-8`)
    if (name === 'host' && !HOST.test(value)) return refuse('the Host header is not a host and port')
    if (name === 'content-length') {
      if (!DIGITS.test(value)) return refuse('Content-Length must be a decimal number')
      contentLength = Number(value)
    }
  }
  if (seen.has('transfer-encoding')) return { contentLength: -1, refusal: chunkedRefusal(seen) }
  if (!seen.has('host')) return refuse('the Host header is missing')
  if (contentLength === -1 && WITH_BODY.has(method)) return { contentLength, refusal: NO_LENGTH }
  return { contentLength, refusal: null }
}

/**
 * The server stops reading a header list at an empty name, so `: x` hides a Content-Length after it: the
 * body would then be read as the next request. A method that has a body says how long it is.
 */
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])
const NO_LENGTH = fault('length-required', 'a POST, PUT or PATCH must have a Content-Length; 0 for no body')

function chunkedRefusal(seen: ReadonlySet<string>): Fault {
  if (seen.has('content-length')) return malformed('Content-Length and Transfer-Encoding exclude each other')
  return fault(
    'length-required',
    'this gateway takes request bodies with Content-Length only (server.limits.chunked_requests)',
  )
}

function refuse(message: string): Framing {
  return { contentLength: -1, refusal: malformed(message) }
}

function malformed(message: string): Fault {
  return fault('malformed-request', message)
}
