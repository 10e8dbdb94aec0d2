/** Scalars of a JSON answer at given paths, for output checks. Undefined for all when it is not JSON. */
import { type JsonPath, rawOf, scanJson, textOf } from '../kernel/json-scan.ts'
import type { Scalar } from './protocol.ts'

export function readJson(bytes: Uint8Array, wanted: readonly JsonPath[]): readonly Scalar[] {
  const scan = scanJson(bytes, wanted)
  if (!scan.ok) return wanted.map(() => undefined)
  return scan.found.map((span) => {
    switch (span?.kind) {
      case undefined:
        return undefined
      case 'string':
        return textOf(bytes, span)
      case 'number':
        return Number(rawOf(bytes, span))
      case 'true':
        return true
      case 'false':
        return false
      default:
        return null
    }
  })
}
