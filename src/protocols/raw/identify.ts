/**
 * A raw body belongs to the endpoint. It is looked into only when a sticky key is configured to come
 * from it, and a body that is not JSON then simply has no such key.
 */
import type { Head } from '../../domain/head.ts'
import type { Operation } from '../../domain/intent.ts'
import { type JsonPath, rawOf, scanJson, textOf } from '../../kernel/json-scan.ts'
import type { Reading } from '../protocol.ts'

export function identify(
  _operation: Operation,
  _head: Head,
  body: Uint8Array,
  wanted: readonly JsonPath[],
): Reading {
  const scan = wanted.length === 0 || body.length === 0 ? null : scanJson(body, wanted)
  const values = wanted.map((_, index) => {
    const span = scan?.ok ? scan.found[index] : null
    if (span?.kind === 'string') return textOf(body, span)
    return span?.kind === 'number' ? rawOf(body, span) : undefined
  })
  return { values, jsonLength: -1, selectsOutputs: false }
}
