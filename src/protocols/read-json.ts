/** Scalars of a JSON answer at given paths, for checks and comparisons. Undefined for all when it is not JSON. */
import { Buffer, isUtf8 } from 'node:buffer'
import { type JsonPath, type JsonSpan, rawOf, scanJson, textOf } from '../kernel/json-scan.ts'
import type { ExactScalar, Scalar } from './protocol.ts'

/** Longer integers than any type of 64 bits has; BigInt takes more than linear time for them. */
const EXACT_LENGTH_MAX = 20

export function readJson(bytes: Uint8Array, wanted: readonly JsonPath[]): readonly ExactScalar[] {
  const scan = scanJson(bytes, wanted)
  if (!scan.ok) return wanted.map(() => undefined)
  return scan.found.map((span) => exactScalarOf(bytes, span))
}

/** Integers beyond 2^53 become bigint. Text that is not UTF-8 is no value; a number may be infinite. */
export function exactScalarOf(bytes: Uint8Array, span: JsonSpan | null | undefined): ExactScalar {
  switch (span?.kind) {
    case undefined:
      return undefined
    case 'string':
      return isUtf8(Buffer.from(bytes.buffer, bytes.byteOffset + span.start, span.end - span.start))
        ? textOf(bytes, span)
        : undefined
    case 'number':
      return numberOf(rawOf(bytes, span))
    case 'true':
      return true
    case 'false':
      return false
    default:
      return null
  }
}

export function scalarOf(value: ExactScalar): Scalar {
  return typeof value === 'bigint' ? Number(value) : value
}

function numberOf(written: string): number | bigint {
  const value = Number(written)
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value
  return written.length <= EXACT_LENGTH_MAX && /^-?\d+$/.test(written) ? BigInt(written) : value
}
