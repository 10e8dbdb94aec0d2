/**
 * Proves that a predict or explain body is what the dialect says it is before any model sees it: one
 * well-formed JSON object with `instances`, a list of rows, or `inputs`, the same by columns. What is in
 * them is checked by the model that gets them. Nothing is built from the body here.
 */
import { isUtf8 } from 'node:buffer'
import { type Fault, fault } from '../../domain/fault.ts'
import { type Head, headerOf, mediaTypeOf } from '../../domain/head.ts'
import type { Operation } from '../../domain/intent.ts'
import { type JsonPath, rawOf, scanJson, textOf } from '../../kernel/json-scan.ts'
import type { Reading } from '../protocol.ts'

const INSTANCES: JsonPath = ['instances']
const INPUTS: JsonPath = ['inputs']

export function identify(
  operation: Operation,
  head: Head,
  body: Uint8Array,
  wanted: readonly JsonPath[],
): Reading | Fault {
  if (operation !== 'infer') return reading(wanted.map(() => undefined))
  const refusal = checkMediaType(head)
  if (refusal !== null) return refusal
  if (!isUtf8(body)) return fault('malformed-json', 'the body is not valid UTF-8')
  const scan = scanJson(body, [INSTANCES, INPUTS, ...wanted])
  if (!scan.ok) {
    return fault('malformed-json', `the body is not valid JSON: expected ${scan.expected} at byte ${scan.at}`)
  }
  const [instances, inputs, ...found] = scan.found
  if (instances === null ? inputs === null : instances?.kind !== 'array') {
    return fault('malformed-request', 'expected a JSON object with "instances", a list, or with "inputs"')
  }
  return reading(
    found.map((span) => {
      if (span?.kind === 'string') return textOf(body, span)
      return span?.kind === 'number' ? rawOf(body, span) : undefined
    }),
  )
}

function reading(values: Reading['values']): Reading {
  return { values, jsonLength: -1, selectsOutputs: false }
}

function checkMediaType(head: Head): Fault | null {
  if ((headerOf(head.headers, 'content-encoding') ?? 'identity') !== 'identity') {
    return fault('unsupported-media-type', 'send the body without content-encoding')
  }
  const type = mediaTypeOf(head.headers)
  if (type === '' || type === 'application/json') return null
  return fault('unsupported-media-type', 'content-type must be application/json')
}
