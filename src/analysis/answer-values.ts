/**
 * One value out of an answer, by JSON pointer (RFC 6901). Any JSON answer can be asked; in V2 answers
 * `/outputs/0/data/3` means value 3 in row-major order whether the data is flat, nested or binary, and
 * `/outputs/0/data/1/2` means row 1, column 2. `/outputs/score/...` finds an output by its name.
 *
 * So two versions that merely write the same tensor differently do not look different.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { longIntegerOf, quoteLongIntegers } from '../protocols/open-inference/tensor-values.ts'
import { countOf, dataFromBytes, datatypeOf, valueAt } from '../protocols/open-inference/tensors.ts'
import type { Value } from './comparators.ts'

export interface AnswerBytes {
  readonly bytes: Uint8Array
  /** Length of the JSON part of a binary answer; -1: all of it is JSON. */
  readonly jsonLength: number
}

export interface OpenAnswer {
  readonly document: unknown
  readonly text: string
  /** What follows the JSON; null when nothing can. */
  readonly blobs: Uint8Array | null
}

/** Of nested data. An endpoint may send anything, and the stack is not endless. */
const DEPTH_MAX = 32

type Json = { readonly [key: string]: unknown }

/** Null: not JSON. */
export function openAnswer({ bytes, jsonLength }: AnswerBytes): OpenAnswer | null {
  const json = jsonLength === -1 ? bytes : bytes.subarray(0, jsonLength)
  if (jsonLength > bytes.length || !isUtf8(json)) return null
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8')
  const document = parsed(text)
  if (document === undefined) return null
  return { document, text, blobs: jsonLength === -1 ? null : bytes.subarray(jsonLength) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Undefined: there is no single value at that place. */
export function valueIn(answer: OpenAnswer, pointer: string): Value | undefined {
  const value = lookUp(answer.document, answer.blobs, segmentsOf(pointer))
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isInteger(value)) return value
  // JSON.parse rounded it: two different identifiers must not look equal.
  const exact = lookUp(parsed(quoteLongIntegers(answer.text)), answer.blobs, segmentsOf(pointer))
  return longIntegerOf(exact) ?? value
}

function segmentsOf(pointer: string): readonly string[] {
  if (pointer === '') return []
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function lookUp(document: unknown, blobs: Uint8Array | null, path: readonly string[]): Value | undefined {
  const [first, which, part, ...indices] = path
  if (first === 'outputs' && which !== undefined && part === 'data' && isObject(document)) {
    const outputs = document.outputs
    if (Array.isArray(outputs)) return fromOutput(outputs, blobs, { which, indices })
  }
  let value = document
  for (const segment of path) value = step(value, segment)
  return asValue(value)
}

function step(value: unknown, segment: string): unknown {
  if (Array.isArray(value)) return isIndex(segment) ? value[Number(segment)] : undefined
  return isObject(value) && Object.hasOwn(value, segment) ? value[segment] : undefined
}

function fromOutput(
  outputs: readonly unknown[],
  blobs: Uint8Array | null,
  { which, indices }: { readonly which: string; readonly indices: readonly string[] },
): Value | undefined {
  const place = isIndex(which)
    ? Number(which)
    : outputs.findIndex((entry) => isObject(entry) && entry.name === which)
  const output = outputs[place]
  if (!isObject(output) || !indices.every(isIndex)) return undefined
  const shape = isShape(output.shape) ? output.shape : null
  const flat = flatIndex(indices.map(Number), shape)
  if (flat === null) return undefined
  if (Array.isArray(output.data)) return fromList(output.data, flat)
  return blobs === null || shape === null ? undefined : fromBlob(outputs, blobs, { place, shape, flat })
}

/** One index counts values in row-major order; as many as there are dimensions give a place in each. */
function flatIndex(indices: readonly number[], shape: readonly number[] | null): number | null {
  if (indices.length === 1) return indices[0]!
  if (shape === null || indices.length !== shape.length) return null
  let flat = 0
  for (let axis = 0; axis < shape.length; axis += 1) {
    if (indices[axis]! >= shape[axis]!) return null
    flat = flat * shape[axis]! + indices[axis]!
  }
  return flat
}

function fromList(data: readonly unknown[], flat: number): Value | undefined {
  if (!Array.isArray(data[0])) return asValue(data[flat])
  let left = flat
  const walk = (level: readonly unknown[], depth: number): unknown => {
    if (depth > DEPTH_MAX) return undefined
    for (const entry of level) {
      if (Array.isArray(entry)) {
        const found = walk(entry, depth + 1)
        if (found !== undefined) return found
      } else if (left-- === 0) return entry
    }
    return undefined
  }
  return asValue(walk(data, 1))
}

function fromBlob(
  outputs: readonly unknown[],
  blobs: Uint8Array,
  at: { readonly place: number; readonly shape: readonly number[]; readonly flat: number },
): Value | undefined {
  let offset = 0
  for (const output of outputs.slice(0, at.place)) offset += blobSizeOf(output)
  const output = outputs[at.place] as Json
  const datatype = datatypeOf(output.datatype)
  const bytes = blobs.subarray(offset, offset + blobSizeOf(output))
  if (datatype === undefined || at.flat >= countOf(at.shape)) return undefined
  const data = dataFromBytes(datatype, bytes, at.shape)
  return typeof data === 'string'
    ? undefined
    : valueAt({ name: '', datatype, shape: at.shape, data }, at.flat)
}

function blobSizeOf(output: unknown): number {
  if (!isObject(output) || !isObject(output.parameters)) return 0
  const size = output.parameters.binary_data_size
  return typeof size === 'number' && Number.isSafeInteger(size) && size > 0 ? size : 0
}

function asValue(value: unknown): Value | undefined {
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean'
    ? value
    : undefined
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isIndex(segment: string): boolean {
  return /^(0|[1-9]\d{0,8})$/.test(segment)
}

function isShape(shape: unknown): shape is readonly number[] {
  return Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0)
}
