/**
 * The model that the body names, and the values that a sticky key asks for (`body:/user`). What else a request
 * says is the endpoint's affair: it knows its own parameters, and they change faster than a gateway.
 */
import { type Fault, isFault } from '../../domain/fault.ts'
import type { Head } from '../../domain/head.ts'
import type { Operation } from '../../domain/intent.ts'
import { type JsonPath, rawOf, scanJson, textOf } from '../../kernel/json-scan.ts'
import type { Reading } from '../protocol.ts'
import { readBody } from './request-body.ts'

export function modelIn(head: Head, body: Uint8Array): string | Fault {
  const read = readBody(head, body)
  return isFault(read) ? read : read.model
}

export function identify(
  _operation: Operation,
  head: Head,
  body: Uint8Array,
  wanted: readonly JsonPath[],
): Reading | Fault {
  const read = readBody(head, body)
  if (isFault(read)) return read
  return { values: valuesIn(body, wanted), jsonLength: -1, selectsOutputs: read.choosesForm }
}

function valuesIn(body: Uint8Array, wanted: readonly JsonPath[]): Reading['values'] {
  const scan = wanted.length === 0 ? null : scanJson(body, wanted)
  return wanted.map((_, index) => {
    const span = scan?.ok ? scan.found[index] : null
    if (span?.kind === 'string') return textOf(body, span)
    return span?.kind === 'number' ? rawOf(body, span) : undefined
  })
}
