/**
 * Under which key an answer is kept: SHA-256 over all that makes two requests the same, so that no two that differ
 * ever share one, and nothing of a request is kept but its digest. Of a header that is there more than once all values
 * count: an endpoint may read another one than we.
 */
import { createHash } from 'node:crypto'
import { allOf, type Head } from '../domain/head.ts'

/** Headers that say what the bytes of a body are. */
const FORM = ['content-type', 'content-encoding', 'inference-header-content-length']
/** Headers by which endpoints choose among answers; what else they name in Vary is not kept. */
export const CHOOSING: readonly string[] = ['accept', 'accept-encoding', 'accept-language']

/** Hex. Each part with its length in front: no two lists make the same bytes. */
export function digestOf(parts: readonly string[], body: Uint8Array): string {
  const hash = createHash('sha256')
  let text = ''
  for (const part of parts) text += `${part.length}:${part}`
  return hash.update(`${text}\n`).update(body).digest('hex')
}

const NO_BODY = new Uint8Array(0)

/** Of all that the same caller may name by one idempotency key. */
export function repeatKeyOf(model: string, head: Head, caller: string, idempotencyKey: string): string {
  return digestOf([model, caller, head.method, head.path, idempotencyKey], NO_BODY)
}

/** Of what must be the same in a repeat; `pin`: the version asked for, or empty. */
export function fingerprintOf({ query, headers }: Head, body: Uint8Array, pin: string): string {
  const parts = [query, pin]
  for (const name of FORM) parts.push(allOf(headers, name) ?? '')
  return digestOf(parts, body)
}

/** `what`: model, version, caller and whatever else the configuration says that an answer depends on. */
export function questionKeyOf(what: readonly string[], head: Head, body: Uint8Array): string {
  const parts = [...what, head.method, head.target]
  for (const name of FORM) parts.push(allOf(head.headers, name) ?? '')
  for (const name of CHOOSING) parts.push(allOf(head.headers, name) ?? '')
  return digestOf(parts, body)
}
