/** Replaces values where they stand in a JSON document; every other byte stays as it is. */
import { Buffer } from 'node:buffer'
import type { JsonSpan } from '../kernel/json-scan.ts'

export interface Replacement {
  readonly span: JsonSpan
  /** Written as a JSON string. */
  readonly text: string
}

/** The bytes themselves, not copied, when there is nothing to replace. Spans never overlap. */
export function splice(bytes: Uint8Array, replacements: readonly Replacement[]): Uint8Array {
  if (replacements.length === 0) return bytes
  const parts: Uint8Array[] = []
  let at = 0
  for (const { span, text } of [...replacements].sort((left, right) => left.span.start - right.span.start)) {
    parts.push(bytes.subarray(at, span.start), Buffer.from(JSON.stringify(text)))
    at = span.end
  }
  parts.push(bytes.subarray(at))
  return Buffer.concat(parts)
}
