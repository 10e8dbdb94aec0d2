/**
 * Copies a request's head while the server still allows it, and refuses what the server's lenient
 * parser lets through: a request is routed only if every party behind it would read it the same way.
 *
 * Each refusal closes the connection, since the bytes that follow cannot be trusted. Which leniencies
 * there are is in ARCHITECTURE.md, “What the edge checks itself”.
 */

import type { HttpRequest } from 'uWebSockets.js'
import { Buffer } from 'node:buffer'
import { type Fault, fault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'
import { credibleHeaders } from './credible-headers.ts'
import { type Framing, type FramingRules, malformed, readFraming } from './framing.ts'
import type { TrustPolicy } from './trust.ts'

export const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
])

const TARGET = /^\/[!-"$-~]*$/
/** Anything in a path that can be ambiguous has one of these. */
const SUSPECT = /[%\\]|\/\./
/**
 * An encoded slash, backslash or NUL, a backslash, and dot segments (with path parameters or without) mean
 * different paths to different readers; a broken escape does, too, and so does UTF-8 that is longer than it need be
 * (RFC 3629 §3): `%c0%af` is a slash to readers that do not look.
 */
const AMBIGUOUS_PATH =
  /%(?:2f|5c|00|c[01]%[89ab]|e0%[89]|f0%8|(?![0-9a-f]{2}))|\\|\/(?:\.|%2e){1,2}(?:[/;]|%3b|$)/i

/** Colon, blank and CRLF of a header line. */
const LINE_BYTES = 4
/** Two blanks, `HTTP/1.1` and CRLF of the request line, and the empty line. */
const FRAME_BYTES = 14

export interface HeadRules extends FramingRules {
  readonly headerBytesMax: number
  readonly trust: TrustPolicy
}

export interface HeadRead {
  readonly head: Head
  readonly framing: Framing
  readonly refusal: Fault | null
}

export function readHead(request: HttpRequest, peer: string, rules: HeadRules): HeadRead {
  const method = request.getCaseSensitiveMethod()
  const path = request.getUrl()
  // Undefined without a question mark, empty with nothing behind it: both are forwarded as they came.
  const query = request.getQuery() as string | undefined
  const target = query === undefined ? path : `${path}?${query}`
  const headers: string[] = []
  request.forEach((name, value) => void headers.push(name, value))
  const headerBytes = sizeOf([method, target], headers, rules.headerBytesMax)
  const framing = readFraming(method, headers, rules)
  const origin = rules.trust.originOf(peer, framing.host, headers, framing.claimsForwarding)
  const head: Head = {
    method,
    path,
    query: query ?? '',
    target,
    headers: credibleHeaders(headers, framing.hopNames, origin.forwarded.isTrusted),
    contentLength: framing.contentLength,
    clientAddress: origin.clientAddress,
    forwarded: origin.forwarded,
  }
  const tooLarge =
    headerBytes > rules.headerBytesMax ? fieldsTooLarge(headerBytes, rules.headerBytesMax) : null
  return { head, framing, refusal: tooLarge ?? framing.refusal ?? checkLine(head) }
}

/**
 * Bytes of the header block, or less where that many fit anyway: no character has more than three. Blanks around a value
 * do not count; the server does not tell of them.
 */
function sizeOf(line: readonly string[], headers: readonly string[], bytesMax: number): number {
  let characters = 0
  for (const text of headers) characters += text.length
  for (const text of line) characters += text.length
  const frame = FRAME_BYTES + (headers.length / 2) * LINE_BYTES
  if (characters * 3 + frame <= bytesMax) return characters + frame
  return Buffer.byteLength(headers.join('')) + Buffer.byteLength(line.join('')) + frame
}

function fieldsTooLarge(bytes: number, bytesMax: number): Fault {
  return fault(
    'header-fields-too-large',
    `the header block has ${bytes} bytes; this gateway takes at most ${bytesMax} (server.limits.headers)`,
  )
}

function checkLine({ method, target, path }: Head): Fault | null {
  if (!METHODS.has(method)) {
    return fault('method-not-allowed', `the method must be one of ${[...METHODS].join(', ')}`, '', [
      'allow',
      [...METHODS].join(', '),
    ])
  }
  if (!TARGET.test(target)) {
    return malformed('the request target must be a path of printable ASCII characters without "#"')
  }
  if (SUSPECT.test(path) && AMBIGUOUS_PATH.test(path)) {
    return malformed(
      'the path must not contain dot segments, backslashes, broken or overlong escapes, or an encoded slash or NUL',
    )
  }
  return null
}
