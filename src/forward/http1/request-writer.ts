/**
 * Writes a request's head: request line, Host, the caller's end-to-end headers, our own framing.
 *
 * The endpoint can only ever see one request per call: no CR, LF or NUL leaves (SPEC.md W1–W3), and no caller's header decides where the request ends (W4). Encoded as UTF-8, never as
 * latin1, which would cut U+010A down to a line feed.
 */
import { Remembered } from '../../kernel/remembered.ts'
import { isHopByHop, isLowerToken } from './field.ts'

export interface WritableRequest {
  readonly method: string
  readonly target: string
  /** name, value, …; names in lower case. */
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** The head could not be written; `reason` says which rule it breaks, without quoting a value. */
export interface Unwritable {
  readonly unwritable: string
}

const BREAKS_LINES = /[\r\n\0]/
const BREAKS_TARGET = /[\0-\x20\x7f]/
const METHOD = /^[A-Z]+$/

/** The head with its empty line, as text to encode in UTF-8. `authority`: the endpoint's, for Host. */
export function writeHead(request: WritableRequest, authority: string): string | Unwritable {
  const { method, target, headers, body } = request
  if (!METHOD.test(method)) return { unwritable: 'the method is not a plain upper-case word' }
  if (target === '' || BREAKS_TARGET.test(target)) {
    return { unwritable: 'the target is empty or holds a space or control character' }
  }
  if (BREAKS_TARGET.test(authority)) return { unwritable: 'the authority holds a control character' }
  let head = `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\n`
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index]!
    const value = headers[index + 1]!
    const kind = KIND_OF.of(name)
    if (kind === 'no-token') return { unwritable: 'a header name is not a lower-case token' }
    if (BREAKS_LINES.test(value)) return { unwritable: `header '${name}' holds CR, LF or NUL` }
    if (kind === 'theirs') head += `${name}: ${value}\r\n`
  }
  if (body.length > 0 || needsLength(method)) head += `content-length: ${body.length}\r\n`
  return `${head}\r\n`
}

const KIND_OF = new Remembered<'no-token' | 'ours' | 'theirs'>((name) => {
  if (!isLowerToken(name)) return 'no-token'
  return isOurs(name) ? 'ours' : 'theirs'
})

/** Written by this file or by nobody. `expect` too: the body always follows at once. */
function isOurs(name: string): boolean {
  return name === 'host' || name === 'content-length' || name === 'expect' || isHopByHop(name)
}

/** RFC 9110 §8.6: methods that anticipate content say so even when there is none. */
function needsLength(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}
