/**
 * A model's outputs as the answer of the Open Inference Protocol: JSON, or JSON followed by the binary
 * data of the outputs that were asked for that way.
 *
 * Promises: 64-bit integers keep every digit; numbers are written so that reading them gives the same
 * value. JSON has no NaN and no Infinity, so such an output is a Fault naming it, never `null`.
 */
import { Buffer } from 'node:buffer'
import { type Fault, fault } from '../../domain/fault.ts'
import type { InferRequest } from './decode-request.ts'
import { dataToBytes, halfToNumber, isTexts, nameText, type Tensor } from './tensors.ts'

export interface EncodedAnswer {
  readonly json: string
  /** In UTF-8 bytes. */
  readonly jsonLength: number
  /** What follows the JSON; empty when everything is in it. */
  readonly blobs: readonly Uint8Array[]
  readonly byteLength: number
}

/** `outputs` are in the order in which they shall be answered. */
export function encodeAnswer(
  served: { readonly model: string; readonly version: string },
  request: InferRequest,
  outputs: readonly Tensor[],
): EncodedAnswer | Fault {
  const blobs: Uint8Array[] = []
  const parts: string[] = []
  let blobLength = 0
  for (const output of outputs) {
    const head = `{"name":${JSON.stringify(output.name)},"datatype":"${output.datatype}","shape":[${output.shape.join(',')}]`
    if (wantsBinary(request, output.name)) {
      const blob = dataToBytes(output)
      blobs.push(blob)
      blobLength += blob.length
      parts.push(`${head},"parameters":{"binary_data_size":${blob.length}}}`)
    } else {
      const data = jsonOf(output)
      if (typeof data !== 'string') return data
      parts.push(`${head},"data":[${data}]}`)
    }
  }
  const id = request.id === null ? '' : `,"id":${JSON.stringify(request.id)}`
  const json = `{"model_name":${JSON.stringify(served.model)},"model_version":${JSON.stringify(served.version)}${id},"outputs":[${parts.join(',')}]}`
  const jsonLength = Buffer.byteLength(json)
  return { json, jsonLength, blobs, byteLength: jsonLength + blobLength }
}

/** Headers of an answer; `jsonLength` -1: all of it is JSON. */
export function answerHeaders(jsonLength: number): readonly string[] {
  if (jsonLength === -1) return JSON_HEADERS
  return ['content-type', 'application/octet-stream', 'inference-header-content-length', String(jsonLength)]
}

const JSON_HEADERS: readonly string[] = ['content-type', 'application/json']

function wantsBinary(request: InferRequest, name: string): boolean {
  const wanted = request.outputs?.find((output) => output.name === name)
  return wanted === undefined ? request.binary : wanted.binary
}

/** The values, comma-separated. `join` writes numbers as JSON does, 64-bit integers exactly. */
function jsonOf(output: Tensor): string | Fault {
  const data = output.data
  if (isTexts(data)) return data.map((text) => JSON.stringify(text)).join(',')
  if (output.datatype === 'BOOL') return Array.from(data as Uint8Array, (value) => value !== 0).join(',')
  if (output.datatype === 'FP16') {
    return finiteJson(output.name, Float64Array.from(data as Uint16Array, halfToNumber))
  }
  if (data instanceof Float32Array || data instanceof Float64Array) return finiteJson(output.name, data)
  return data.join(',')
}

function finiteJson(name: string, data: Float32Array | Float64Array): string | Fault {
  for (let index = 0; index < data.length; index += 1) {
    const value = data[index]!
    if (Number.isFinite(value)) continue
    return fault(
      'invalid-output',
      `output ${nameText(name)} holds ${value} at ${index}, which JSON cannot carry`,
    )
  }
  return data.join(',')
}
