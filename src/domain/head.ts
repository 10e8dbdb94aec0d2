/** What a caller asked, before its body: a copy, safe to keep after the server's callback returned. */
export interface Head {
  /** As sent, upper case by the edge's allow-list. */
  readonly method: string
  /** The exact bytes of the target that were checked and will be forwarded: path, or path?query. */
  readonly target: string
  readonly path: string
  /** Without the question mark; empty when there is none. */
  readonly query: string
  /** name, value, name, value …; names in lower case, order and repeats as sent. */
  readonly headers: readonly string[]
  /** -1 when the request declared none. */
  readonly contentLength: number
  readonly clientAddress: string
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

/** `application/json` of `application/json; charset=utf-8`; empty when there is no content type. */
export function mediaTypeOf(headers: readonly string[]): string {
  const value = headerOf(headers, 'content-type') ?? ''
  const end = value.indexOf(';')
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase()
}
