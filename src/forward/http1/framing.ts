/**
 * Where an answer's body ends: RFC 9112 §6.3, as the client of a request. The steps are numbered as
 * there; what the RFC lets a client repair is refused instead, because two readers that repair
 * differently see different answers.
 */
export type Framing =
  | { readonly is: 'none' }
  | { readonly is: 'length'; readonly bytes: number }
  | { readonly is: 'chunked' }
  | { readonly is: 'until-close' }

export interface FramingFacts {
  /** Of the request. */
  readonly method: string
  readonly status: number
  /** -1 when not declared. */
  readonly contentLength: number
  readonly isChunked: boolean
}

const NONE: Framing = { is: 'none' }
const CHUNKED: Framing = { is: 'chunked' }
const UNTIL_CLOSE: Framing = { is: 'until-close' }

export function framingOf({ method, status, contentLength, isChunked }: FramingFacts): Framing {
  // 1: no body whatever the headers say. A HEAD's Content-Length speaks of the GET it stands for.
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NONE
  // 3 and 4: Transfer-Encoding; beside Content-Length, or other than chunked, the head was refused.
  if (isChunked) return CHUNKED
  // 5 and 6: Content-Length; repeated or not a number, the head was refused.
  if (contentLength === 0) return NONE
  if (contentLength > 0) return { is: 'length', bytes: contentLength }
  // 8: whatever comes until the connection ends.
  return UNTIL_CLOSE
}
