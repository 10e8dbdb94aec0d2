/**
 * The outputs of a V2 answer as they are written: where each one's data lies, in the JSON or behind it.
 * What an endpoint says is believed only as far as it can be true: from the first impossible size on,
 * no binary tensor has a place.
 */
import { type JsonSpan, rawOf, textOf } from '../../kernel/json-scan.ts'
import { fieldsOf, itemsOf } from '../walk-json.ts'
import { type Datatype, datatypeOf } from './tensors.ts'

export interface WrittenOutput {
  readonly name: JsonSpan | undefined
  readonly datatype: Datatype | undefined
  /** Null when it is none. */
  readonly shape: readonly number[] | null
  /** The list of values in the JSON; null when there is none. */
  readonly data: JsonSpan | null
  /** Counted from the end of the JSON. */
  readonly blobStart: number
  /** -1: no binary data. NaN, as `blobStart` then: none that can be believed. */
  readonly blobLength: number
}

/** `json` was proven by scanJson, `list` is its array of outputs. */
export function outputsIn(json: Uint8Array, list: JsonSpan): readonly WrittenOutput[] {
  const outputs: WrittenOutput[] = []
  let blobStart = 0
  for (const item of itemsOf(json, list)) {
    const fields = fieldsByName(json, item)
    const data = fields.get('data')
    const size = sizeOf(json, fields.get('parameters'))
    const datatype = fields.get('datatype')
    const shape = fields.get('shape')
    outputs.push({
      name: fields.get('name'),
      datatype: datatype?.kind === 'string' ? datatypeOf(textOf(json, datatype)) : undefined,
      shape: shape === undefined ? null : shapeOf(json, shape),
      data: data?.kind === 'array' ? data : null,
      blobStart,
      blobLength: size ?? -1,
    })
    // NaN spreads: nothing after an impossible size has a place.
    if (size !== null) blobStart += size
  }
  return outputs
}

/** Of repeated keys the last counts, as JSON.parse has it. */
function fieldsByName(json: Uint8Array, object: JsonSpan | undefined): ReadonlyMap<string, JsonSpan> {
  const fields = new Map<string, JsonSpan>()
  if (object?.kind !== 'object') return fields
  for (const { key, value } of fieldsOf(json, object)) fields.set(textOf(json, key), value)
  return fields
}

/** Null: the output says nothing of binary data. NaN: what it says cannot be true. */
function sizeOf(json: Uint8Array, parameters: JsonSpan | undefined): number | null {
  const span = fieldsByName(json, parameters).get('binary_data_size')
  if (span === undefined) return null
  return span.kind === 'number' ? sizeFrom(rawOf(json, span)) : Number.NaN
}

function sizeFrom(written: string): number {
  const size = Number(written)
  return Number.isSafeInteger(size) && size >= 0 ? size : Number.NaN
}

/** Bounds what is read of a shape that an endpoint wrote. */
const RANK_MAX = 32

function shapeOf(json: Uint8Array, span: JsonSpan): readonly number[] | null {
  if (span.kind !== 'array') return null
  const shape: number[] = []
  for (const item of itemsOf(json, span)) {
    const size = item.kind === 'number' ? sizeFrom(rawOf(json, item)) : Number.NaN
    if (Number.isNaN(size) || shape.length === RANK_MAX) return null
    shape.push(size)
  }
  return shape
}
