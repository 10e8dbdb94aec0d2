/**
 * Proves that an infer body is what the dialect says it is before any model sees it: a media type we
 * speak, one well-formed JSON object with an `inputs` array, and a sane binary extension header. The
 * tensors themselves are checked by the model that gets them. Nothing is built from the body here.
 */
import { isUtf8 } from 'node:buffer'
import { type Fault, fault } from '../../domain/fault.ts'
import { type Head, headerOf, mediaTypeOf } from '../../domain/head.ts'
import type { Operation } from '../../domain/intent.ts'
import { type JsonPath, type JsonSpan, rawOf, scanJson, textOf } from '../../kernel/json-scan.ts'
import type { Reading } from '../protocol.ts'
import { itemsOf } from '../walk-json.ts'

/** Carries the length of the JSON that precedes the binary tensors. */
export const JSON_LENGTH_HEADER = 'inference-header-content-length'

const INPUTS: JsonPath = ['inputs']
const OUTPUTS: JsonPath = ['outputs']
const MEDIA_TYPES: ReadonlySet<string> = new Set(['', 'application/json', 'application/octet-stream'])

export function identify(
  operation: Operation,
  head: Head,
  body: Uint8Array,
  wanted: readonly JsonPath[],
): Reading | Fault {
  if (operation !== 'infer') return nothingRead(wanted, -1)
  const jsonLength = readJsonLength(head, body.length)
  if (typeof jsonLength !== 'number') return jsonLength
  const refusal = checkMediaType(head, jsonLength)
  if (refusal !== null) return refusal
  // Length 0 is the extension's “one raw input” form: the whole body is one tensor, described nowhere.
  if (jsonLength === 0) return nothingRead(wanted, jsonLength)
  return readJson(jsonLength === -1 ? body : body.subarray(0, jsonLength), wanted, jsonLength)
}

function nothingRead(wanted: readonly JsonPath[], jsonLength: number): Reading {
  return { values: wanted.map(() => undefined), jsonLength, selectsOutputs: false }
}

function readJson(json: Uint8Array, wanted: readonly JsonPath[], jsonLength: number): Reading | Fault {
  if (!isUtf8(json)) return fault('malformed-json', 'the body is not valid UTF-8')
  const scan = scanJson(json, [INPUTS, OUTPUTS, ...wanted])
  if (!scan.ok) {
    return fault('malformed-json', `the body is not valid JSON: expected ${scan.expected} at byte ${scan.at}`)
  }
  if (scan.found[0]?.kind !== 'array') {
    return fault('malformed-request', 'expected a JSON object with "inputs", an array of tensors')
  }
  const values = scan.found.slice(2).map((span) => {
    if (span?.kind === 'string') return textOf(json, span)
    return span?.kind === 'number' ? rawOf(json, span) : undefined
  })
  return { values, jsonLength, selectsOutputs: isFilledList(json, scan.found[1]) }
}

/** An empty list asks for all, as none does. */
function isFilledList(json: Uint8Array, span: JsonSpan | null | undefined): boolean {
  return span?.kind === 'array' && !itemsOf(json, span).next().done
}

function readJsonLength(head: Head, bodyLength: number): number | Fault {
  const value = headerOf(head.headers, JSON_LENGTH_HEADER)
  if (value === undefined) return -1
  const length = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
  if (length <= bodyLength) return length
  return fault(
    'malformed-request',
    `${JSON_LENGTH_HEADER} must be a decimal number up to the body's length (${bodyLength})`,
  )
}

function checkMediaType(head: Head, jsonLength: number): Fault | null {
  const type = mediaTypeOf(head.headers)
  const encoding = headerOf(head.headers, 'content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    return fault('unsupported-media-type', 'send the body without content-encoding')
  }
  if (!MEDIA_TYPES.has(type)) {
    return fault(
      'unsupported-media-type',
      `content-type must be application/json, or application/octet-stream with ${JSON_LENGTH_HEADER}`,
    )
  }
  if (type === 'application/octet-stream' && jsonLength === -1) {
    return fault('unsupported-media-type', `application/octet-stream needs the header ${JSON_LENGTH_HEADER}`)
  }
  return null
}
