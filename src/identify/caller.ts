/**
 * Who asks, for whatever is counted or kept for each caller: the first source that is present, and the client's
 * address where none is, so that nobody is without an identity. The source is part of it: a header cannot
 * pass for an address.
 *
 * Kept answers never go from one caller to another, so for them all that a caller shows as its credentials is
 * part of who it is, whatever `by` says: two users behind one address are two callers. For rate limits it is the other
 * way round: who has an IPv6 network (/64) has all its addresses, and is one caller.
 */
import { allOf, type Head } from '../domain/head.ts'
import type { Callers } from '../domain/intent.ts'
import type { KeySource, Model } from '../domain/routes.ts'
import { networkText } from '../kernel/address-text.ts'
import { type BodyValues, nameOf, valueFrom } from './key-source.ts'

/** Headers by which endpoints tell users apart. */
export const CREDENTIALS: readonly string[] = ['authorization', 'x-api-key', 'api-key', 'cookie']

const NOBODY: Callers = { rates: [], idempotency: '', cache: '' }

export function callersOf({ rates, idempotency, cache }: Model, head: Head, values: BodyValues): Callers {
  if (rates.length === 0 && idempotency === null && cache === null) return NOBODY
  const named = (by: readonly KeySource[]): string =>
    nameIn(by, head, values) ?? `client\u0000${head.clientAddress}`
  return {
    rates: rates.map(
      ({ by }) => nameIn(by, head, values) ?? `client\u0000${networkText(head.clientAddress)}`,
    ),
    idempotency: idempotency === null ? '' : named(idempotency.by) + credentialsOf(head),
    cache: cache === null || cache.shared ? '' : named(cache.by) + credentialsOf(head),
  }
}

/** Whom the bodies are about, if they are captured: a source's bare value, as a person would name it; empty: nobody. */
export function subjectOf({ capture }: Model, head: Head, values: BodyValues): string {
  for (const source of capture?.subject ?? []) {
    const value = valueFrom(source, head, values)
    if (value) return value
  }
  return ''
}

/** Null: the address it is. */
function nameIn(by: readonly KeySource[], head: Head, values: BodyValues): string | null {
  for (const source of by) {
    if (source.from === 'client') return null
    const value = valueFrom(source, head, values)
    if (value) return `${nameOf(source)}\u0000${value}`
  }
  return null
}

function credentialsOf({ headers }: Head): string {
  let all = ''
  for (const name of CREDENTIALS) {
    const value = allOf(headers, name)
    if (value !== undefined) all += `\u0000${name}\u0000${value}`
  }
  return all
}
