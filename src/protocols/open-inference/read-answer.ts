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
  const jsonLength = Number(declared)
  if (!Number.isInteger(jsonLength) || jsonLength > answer.body.length) return wanted.map(() => undefined)
  const json = answer.body.subarray(0, jsonLength)
  const outputs = binaryOutputs(json, jsonLength)
  const values = readJson(json, wanted)
  return values.map((value, index) => value ?? readBinary(answer.body, outputs, wanted[index]!))
}

/** One entry for each output, in order; null for outputs whose data is in the JSON. */
function binaryOutputs(json: Uint8Array, jsonLength: number): readonly (BinaryOutput | null)[] {
  let start = jsonLength
  const outputs: (BinaryOutput | null)[] = []
  for (let index = 0; ; index += 1) {
    const base = ['outputs', String(index)]
    const [name, datatype, size] = readJson(json, [
      [...base, 'name'],
      [...base, 'datatype'],
      [...base, 'parameters', 'binary_data_size'],
    ])
    if (name === undefined) return outputs
    if (typeof size !== 'number' || typeof datatype !== 'string') outputs.push(null)
    else {
      outputs.push({ datatype, start, bytes: size })
      start += size
    }
  }
}

function readBinary(body: Uint8Array, outputs: readonly (BinaryOutput | null)[], path: JsonPath): Scalar {
  const [root, output, data, element] = path
  const tensor = outputs[Number(output)]
  if (root !== 'outputs' || data !== 'data' || path.length !== 4 || !tensor) return undefined
  const kind = ELEMENTS.get(tensor.datatype)
  const at = Number(element) * (kind?.bytes ?? 0)
  if (kind === undefined || !/^\d+$/.test(element!) || at + kind.bytes > tensor.bytes) return undefined
  if (tensor.start + tensor.bytes > body.length) return undefined
  return kind.read(new DataView(body.buffer, body.byteOffset + tensor.start, tensor.bytes), at)
}
