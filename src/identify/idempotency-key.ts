/**
 * The name by which a caller says that a request is a repeat of another (draft-ietf-httpapi-idempotency-key-header):
 * a quoted string, as the draft has it, or bare, as many clients send it; both are the same key.
 */
import { type Fault, fault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'
import type { Operation } from '../domain/intent.ts'

export const IDEMPOTENCY_HEADER = 'idempotency-key'
export const IDEMPOTENCY_KEY_LENGTH_MAX = 255

/** Null: the request has none, or needs none, because repeating it does no harm by itself. */
export function readIdempotencyKey({ method, headers }: Head, operation: Operation): string | null | Fault {
  if (operation !== 'infer' && operation !== 'call') return null
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return null
  let found: string | null = null
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== IDEMPOTENCY_HEADER) continue
    if (found !== null) return fault('malformed-request', 'idempotency-key is there more than once')
    found = headers[index + 1]!
  }
  if (found === null) return null
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(found)
  const key = quoted === null ? found : quoted[1]!.replace(/\\(.)/g, '$1')
  if (key.length <= IDEMPOTENCY_KEY_LENGTH_MAX && /^[\x20-\x7e]+$/.test(key)) return key
  const expected = `1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} printable ASCII characters, in quotes or without`
  return fault('malformed-request', `idempotency-key must be ${expected}`)
}
