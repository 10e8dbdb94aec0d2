/**
 * Reads the lines of an answer's head into values. Everything that decides where the answer ends, or
 * whether the connection may be used again, is taken out here; what is left is end to end.
 *
 * Byte-level rules were already kept by LineBlock; this file holds the rules of whole lines (SPEC.md
 * R4–R10).
 */
import { isHopByHop, isToken, trimmed } from './field.ts'
import { type Framing, framingOf } from './framing.ts'
import { CONTENT_LENGTH_DIGITS_MAX } from './limits.ts'

export interface AnswerHead {
  readonly status: number
  /**
   * name, value, …; lower-case names, end-to-end only, without `date`, and `content-length` only of HEAD, but of no 204.
   * A value has one character, U+0000 to U+00FF, for each byte that came.
   */
  readonly headers: readonly string[]
  readonly framing: Framing
  /** What the endpoint said; an answer that runs until close is never reusable. */
  readonly keepsAlive: boolean
  /** `Keep-Alive: timeout=n` in ms; Infinity when it did not say. */
  readonly keepAliveMs: number
}

/** HTTP/1.x SP 3DIGIT [SP reason]; servers that leave out the second space are common. */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: |\r)/
/** Not `toLowerCase`: that makes a k of the Kelvin sign. */
const CHUNKED = /^chunked$/i
const DIGITS = /^[0-9]+$/
const TIMEOUT = /(?:^|[,;\t ])timeout[\t ]*=[\t ]*"?([0-9]{1,6})(?![0-9])/i

/** What is gathered while the lines go by. */
interface Gathered {
  readonly headers: string[]
  contentLength: number
  isChunked: boolean
  closes: boolean
  keepsAlive: boolean
  keepAliveMs: number
  /** Names that `Connection` declared to be of this hop. */
  named: string[] | undefined
}

/** `text`: status line and headers, each with CRLF. `method`: of the request. A string says what is wrong. */
export function parseHead(text: string, method: string): AnswerHead | string {
  const line = STATUS_LINE.exec(text)
  if (line === null) return 'the status line is not HTTP/1.0 or 1.1 with a status from 100 to 599'
  const isHttp10 = line[1] === '0'
  const status = Number(line[2])
  const gathered: Gathered = {
    headers: [],
    contentLength: -1,
    isChunked: false,
    closes: false,
    keepsAlive: false,
    keepAliveMs: Number.POSITIVE_INFINITY,
    named: undefined,
  }
  const problem = parseFields(text, text.indexOf('\r\n') + 2, gathered)
  if (problem !== '') return problem
  const { contentLength, isChunked } = gathered
  // RFC 9110 §15.2: HTTP/1.0 knows no 1xx.
  if (isHttp10 && status < 200) return 'an interim answer in HTTP/1.0'
  if (isChunked && contentLength !== -1) return 'both Transfer-Encoding and Content-Length'
  // RFC 9112 §6.1: in HTTP/1.0 such framing is faulty.
  if (isChunked && isHttp10) return 'Transfer-Encoding in an HTTP/1.0 answer'
  // RFC 9110 §8.6, RFC 9112 §6.1: neither may stand in a 1xx or 204. Nobody could tell what follows an
  // interim answer's body from the answer; behind a 204 nothing else follows if the connection ends.
  const announcesBody = isChunked || contentLength > 0
  if (announcesBody && status < 200) return 'an interim answer that announces a body'
  // RFC 9112 §9.6 lets the final answer follow; readers differ on whether it still counts.
  if (gathered.closes && status < 200) return 'an interim answer that ends the connection'
  const framing = framingOf({ method, status, contentLength, isChunked })
  // Endpoints that forget HEAD or 304 send the body they announce, perhaps only when the next request is on its way:
  // it would be taken for the answer to that one, and to HEAD also where nothing is announced.
  const isBodiless = method === 'HEAD' || status === 204 || status === 304
  const isVague = method === 'HEAD' && contentLength === -1 && status !== 204 && status !== 304
  const mayFollow = (isBodiless && announcesBody) || isVague
  const wantsMore = isHttp10 ? gathered.keepsAlive && !gathered.closes : !gathered.closes
  return {
    status,
    headers: endToEnd(gathered, method, status),
    framing,
    keepsAlive: wantsMore && framing.is !== 'until-close' && !mayFollow,
    keepAliveMs: gathered.keepAliveMs,
  }
}

/**
 * Trailers obey the grammar of headers and are then dropped: nothing in them may change an answer. What
 * speaks of framing may not stand there at all (RFC 9110 §6.5.1): somebody would believe it.
 */
export function checkTrailers(text: string): string {
  for (let at = 0; at < text.length; ) {
    const lineEnd = text.indexOf('\r\n', at)
    const colon = text.indexOf(':', at)
    const name = text.slice(at, colon)
    if (colon === -1 || colon > lineEnd || !isToken(name)) return 'a malformed trailer line'
    if (isFraming(name.toLowerCase())) return 'a framing header in the trailers'
    at = lineEnd + 2
  }
  return ''
}

function parseFields(text: string, start: number, gathered: Gathered): string {
  for (let at = start; at < text.length; ) {
    const lineEnd = text.indexOf('\r\n', at)
    const first = text.charCodeAt(at)
    if (first === 0x20 || first === 0x09) return 'a folded header line'
    const colon = text.indexOf(':', at)
    if (colon === -1 || colon > lineEnd) return 'a header line without colon'
    const asWritten = text.slice(at, colon)
    if (!isToken(asWritten)) return 'a header name that is not a token'
    const name = asWritten.toLowerCase()
    if (isFraming(name) && text.slice(colon, lineEnd).includes('\t')) return 'a tab in a framing header'
    const problem = gather(name, trimmed(text, colon + 1, lineEnd), gathered)
    if (problem !== '') return problem
    at = lineEnd + 2
  }
  return ''
}

/** White space may be a tab, but readers differ on whether `chunked` and a tab is still `chunked`. */
function isFraming(name: string): boolean {
  return name === 'content-length' || name === 'transfer-encoding'
}

function gather(name: string, value: string, gathered: Gathered): string {
  switch (name) {
    case 'content-length':
      return gatherLength(value, gathered)
    case 'transfer-encoding':
      if (gathered.isChunked) return 'Transfer-Encoding more than once'
      if (!CHUNKED.test(value)) return 'a Transfer-Encoding other than one chunked'
      gathered.isChunked = true
      return ''
    case 'connection':
      gatherConnection(value, gathered)
      return ''
    case 'keep-alive': {
      const seconds = TIMEOUT.exec(value)?.[1]
      if (seconds !== undefined) gathered.keepAliveMs = Number(seconds) * 1_000
      return ''
    }
    case 'date':
      return ''
    default:
      if (!isHopByHop(name)) gathered.headers.push(name, value)
      return ''
  }
}

function gatherLength(value: string, gathered: Gathered): string {
  if (gathered.contentLength !== -1) return 'Content-Length more than once'
  if (value.length > CONTENT_LENGTH_DIGITS_MAX || !DIGITS.test(value)) {
    return 'a Content-Length that is not a plain number'
  }
  gathered.contentLength = Number(value)
  return ''
}

function gatherConnection(value: string, gathered: Gathered): void {
  for (const option of value.toLowerCase().split(',')) {
    const name = trimmed(option, 0, option.length)
    if (name === 'close') gathered.closes = true
    else if (name === 'keep-alive') gathered.keepsAlive = true
    else if (name !== '') {
      gathered.named ??= []
      gathered.named.push(name)
    }
  }
}

/** RFC 9110 §9.3.2: what HEAD is told of the length is all it can know of it; §8.6: a 204 tells none. */
function endToEnd(gathered: Gathered, method: string, status: number): readonly string[] {
  const headers = withoutNamed(gathered)
  if (method !== 'HEAD' || status === 204 || gathered.contentLength === -1) return headers
  return [...headers, 'content-length', String(gathered.contentLength)]
}

function withoutNamed({ headers, named }: Gathered): readonly string[] {
  if (named === undefined) return headers
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    if (!named.includes(headers[index]!)) kept.push(headers[index]!, headers[index + 1]!)
  }
  return kept
}
