/**
 * Values of a V2 answer at given paths. With the binary extension a path such as `/outputs/0/data/3`
 * is read from the tensor's bytes: little-endian, row-major, in output order after the JSON.
 */

import { headerOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import type { JsonPath } from '../../kernel/json-scan.ts'
import type { Scalar } from '../protocol.ts'
import { readJson } from '../read-json.ts'
import { JSON_LENGTH_HEADER } from './identify.ts'

interface BinaryOutput {
  readonly datatype: string
  readonly start: number
  readonly bytes: number
}

type Read = (view: DataView, at: number) => Scalar

const ELEMENTS: ReadonlyMap<string, { readonly bytes: number; readonly read: Read }> = new Map([
  ['BOOL', { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 }],
  ['UINT8', { bytes: 1, read: (view, at) => view.getUint8(at) }],
  ['INT8', { bytes: 1, read: (view, at) => view.getInt8(at) }],
  ['UINT16', { bytes: 2, read: (view, at) => view.getUint16(at, true) }],
  ['INT16', { bytes: 2, read: (view, at) => view.getInt16(at, true) }],
  ['UINT32', { bytes: 4, read: (view, at) => view.getUint32(at, true) }],
  ['INT32', { bytes: 4, read: (view, at) => view.getInt32(at, true) }],
  ['UINT64', { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) }],
  ['INT64', { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) }],
  ['FP32', { bytes: 4, read: (view, at) => view.getFloat32(at, true) }],
  ['FP64', { bytes: 8, read: (view, at) => view.getFloat64(at, true) }],
])

export function readAnswer(answer: Answer, wanted: readonly JsonPath[]): readonly Scalar[] {
  const declared = headerOf(answer.headers, JSON_LENGTH_HEADER)
  if (declared === undefined) return readJson(answer.body, wanted)
  const jsonLength = /^\d{1,10}$/.test(declared) ? Number(declared) : Number.NaN
  if (!(jsonLength <= answer.body.length)) return wanted.map(() => undefined)
  const json = answer.body.subarray(0, jsonLength)
  const values = readJson(json, wanted)
  const elements = wanted.map((path, index) => (values[index] === undefined ? elementOf(path) : null))
  const last = elements.reduce((highest, element) => Math.max(highest, element?.output ?? -1), -1)
  if (last === -1) return values
  const outputs = binaryOutputs(json, jsonLength, last)
  return elements.map((element, index) =>
    element === null ? values[index] : readBinary(answer.body, outputs[element.output], element.at),
  )
}

interface Element {
  readonly output: number
  readonly at: number
}

/** Null for a path that names no element of an output's data. Indices as in JSON pointers, without leading zeros. */
function elementOf([root, output, data, at, ...more]: JsonPath): Element | null {
  const isElement = root === 'outputs' && data === 'data' && more.length === 0
  if (!isElement || !INDEX.test(output ?? '') || !INDEX.test(at ?? '')) return null
  return Number(output) <= OUTPUTS_MAX ? { output: Number(output), at: Number(at) } : null
}

const INDEX = /^(?:0|[1-9]\d{0,9})$/
/** A check of an output beyond this finds nothing: each one before it costs three more paths to look for. */
const OUTPUTS_MAX = 255

/**
 * Where the tensors of outputs 0 to `last` lie, read in one scan; null for those whose data is in the JSON,
 * nothing from the first one that says something impossible on.
 */
function binaryOutputs(json: Uint8Array, jsonLength: number, last: number): readonly (BinaryOutput | null)[] {
  const paths: JsonPath[] = []
  for (let index = 0; index <= last; index += 1) {
    const base = ['outputs', String(index)]
    paths.push([...base, 'datatype'], [...base, 'parameters', 'binary_data_size'])
  }
  const found = readJson(json, paths)
  const outputs: (BinaryOutput | null)[] = []
  let start = jsonLength
  for (let index = 0; index <= last; index += 1) {
    const datatype = found[2 * index]
    const bytes = found[2 * index + 1]
    if (bytes === undefined || typeof datatype !== 'string') outputs.push(null)
    else if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) return outputs
    else {
      outputs.push({ datatype, start, bytes })
      start += bytes
    }
  }
  return outputs
}

function readBinary(body: Uint8Array, tensor: BinaryOutput | null | undefined, element: number): Scalar {
  if (!tensor || tensor.start + tensor.bytes > body.length) return undefined
  const kind = ELEMENTS.get(tensor.datatype)
  const at = element * (kind?.bytes ?? 0)
  if (kind === undefined || at + kind.bytes > tensor.bytes) return undefined
  return kind.read(new DataView(body.buffer, body.byteOffset + tensor.start, tensor.bytes), at)
}
