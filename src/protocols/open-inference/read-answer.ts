/**
 * Values of a V2 answer at given paths: the one reader for output checks (on a lane) and comparisons (on
 * a scoring thread). A path is a JSON pointer into the answer; and, however the tensor was written (flat,
 * nested or binary),
 *
 *     /outputs/<index or name>/data/<i>        is value i in row-major order
 *     /outputs/<index or name>/data/<i>/<j>…   is the value in that place of each dimension
 *
 * Must never parse a whole answer: a flat JSON tensor asked by index is found in one scan of the bytes;
 * names and nested data take a second, shorter walk; of a binary answer only the JSON head is read.
 */

import { headerOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import { type JsonPath, type JsonSpan, scanJson } from '../../kernel/json-scan.ts'
import type { ExactScalar, Scalar } from '../protocol.ts'
import { exactScalarOf, scalarOf } from '../read-json.ts'
import { leafAt } from '../walk-json.ts'
import { outputsIn, type WrittenOutput } from './answer-outputs.ts'
import { elementAt } from './blob-element.ts'
import { JSON_LENGTH_HEADER } from './identify.ts'
import { countOf } from './tensors.ts'

interface AnswerBytes {
  readonly bytes: Uint8Array
  /** Length of the JSON part of a binary answer; -1: all of it is JSON. NaN: nothing can be read. */
  readonly jsonLength: number
}

/** Undefined for each path that is missing or unreadable, null for JSON null or a container. */
export function readAnswer(answer: Answer, wanted: readonly JsonPath[]): readonly Scalar[] {
  return readExact(answer, wanted).map(scalarOf)
}

/** The same, with integers beyond 2^53 as bigint. */
export function readExact(answer: Answer, wanted: readonly JsonPath[]): readonly ExactScalar[] {
  return readValues({ bytes: answer.body, jsonLength: jsonLengthOf(answer) }, wanted)
}

/** What `AnswerBytes.jsonLength` is for an answer. */
function jsonLengthOf(answer: Answer): number {
  const declared = headerOf(answer.headers, JSON_LENGTH_HEADER)
  if (declared === undefined) return -1
  const length = /^\d{1,10}$/.test(declared) ? Number(declared) : Number.NaN
  return length <= answer.body.length ? length : Number.NaN
}

function readValues({ bytes, jsonLength }: AnswerBytes, wanted: readonly JsonPath[]): readonly ExactScalar[] {
  if (!(jsonLength <= bytes.length)) return wanted.map(() => undefined)
  const json = jsonLength === -1 ? bytes : bytes.subarray(0, jsonLength)
  const scan = scanJson(json, [...wanted, OUTPUTS])
  if (!scan.ok) return wanted.map(() => undefined)
  const list = scan.found[wanted.length]
  let outputs: readonly WrittenOutput[] | undefined
  return wanted.map((path, index) => {
    const value = exactScalarOf(json, scan.found[index])
    if ((value !== undefined && value !== null) || list?.kind !== 'array') return value
    const place = placeOf(path)
    if (place === null) return value
    outputs ??= outputsIn(json, list)
    const blobs = jsonLength === -1 ? null : bytes.subarray(jsonLength)
    return elementOf({ json, blobs, outputs }, place, value)
  })
}

const OUTPUTS: JsonPath = ['outputs']

interface Place {
  readonly output: string
  readonly indices: readonly number[]
}

/** Null for a path that names no element of an output's data. Indices as in JSON pointers, without leading zeros. */
function placeOf(path: JsonPath): Place | null {
  if (path[0] !== 'outputs' || path[2] !== 'data' || path.length < 4) return null
  const indices = path.slice(3)
  return indices.every((token) => INDEX.test(token))
    ? { output: path[1]!, indices: indices.map(Number) }
    : null
}

const INDEX = /^(?:0|[1-9]\d{0,9})$/

interface Opened {
  readonly json: Uint8Array
  readonly blobs: Uint8Array | null
  readonly outputs: readonly WrittenOutput[]
}

/** `plain`: what a plain JSON pointer found there, which stands where there is no such element. */
function elementOf({ json, blobs, outputs }: Opened, place: Place, plain: ExactScalar): ExactScalar {
  const output = outputNamed(json, outputs, place.output)
  if (output === undefined) return plain
  const flat = flatIndex(place.indices, output.shape)
  if (flat === null) return plain
  if (output.data !== null) {
    const leaf: JsonSpan | null = leafAt(json, output.data, flat)
    return leaf === null ? plain : exactScalarOf(json, leaf)
  }
  const { datatype, blobStart, blobLength } = output
  if (blobs === null || datatype === undefined || blobLength === -1) return plain
  if (!(blobStart + blobLength <= blobs.length)) return plain
  if (output.shape !== null && flat >= countOf(output.shape)) return plain
  return elementAt(datatype, blobs.subarray(blobStart, blobStart + blobLength), flat)
}

/** By index where the token is one, else the first of that name. */
function outputNamed(
  json: Uint8Array,
  outputs: readonly WrittenOutput[],
  token: string,
): WrittenOutput | undefined {
  if (INDEX.test(token)) return outputs[Number(token)]
  return outputs.find(({ name }) => name?.kind === 'string' && exactScalarOf(json, name) === token)
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
