/** What a caller asked, before its body: a copy, safe to keep after the server's callback returned. */
export interface Head {
  /** As sent, upper case by the edge's allow-list. */
  readonly method: string
  /** The exact bytes of the target that were checked and will be forwarded: path, or path?query. */
  readonly target: string
  readonly path: string
  /** Without the question mark; empty when there is none. */
  readonly query: string
  /**
   * name, value, name, value …; names in lower case, order and repeats as sent. Without what belongs to the hop by its
   * `Connection`, and without what only a trusted proxy may say: nothing is decided by what no endpoint gets.
   */
  readonly headers: readonly string[]
  /** -1 when the request declared none. */
  readonly contentLength: number
  /** Who asks: the peer of the connection, or whom a trusted proxy names as its caller. */
  readonly clientAddress: string
  readonly forwarded: Forwarded
}

/** Where the request came from, as endpoints are told. Made by the edge from server.trust, never from claims alone. */
export interface Forwarded {
  /** The peer is of server.trust: its marks are believed. */
  readonly isTrusted: boolean
  /** `x-forwarded-for`, the peer last. */
  readonly chain: string
  /** The host the caller asked for; empty when it named none. */
  readonly host: string
  readonly scheme: 'http' | 'https'
}

/** Headers with this prefix are the gateway's own, in requests and in answers; none of them crosses a hop. */
export const OWN_PREFIX = 'modelgate-'

/** First value of a header, or undefined. `name` in lower case. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] === name) return headers[index + 1]
  }
  return undefined
}

/** All values of a header, each on a line; undefined when it is not there. For what must not depend on which one is read. */
export function allOf(headers: readonly string[], name: string): string | undefined {
  let all: string | undefined
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] === name)
      all = all === undefined ? headers[index + 1]! : `${all}\n${headers[index + 1]!}`
  }
  return all
}

/** `application/json` of `application/json; charset=utf-8`; empty when there is no content type. */
export function mediaTypeOf(headers: readonly string[]): string {
  const value = headerOf(headers, 'content-type') ?? ''
  const end = value.indexOf(';')
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase()
}
