/**
 * An infer request (V2 REST, with or without the binary tensor extension) held against the model's own
 * signature: every input named, typed, shaped and filled as the model takes it, or a Fault that says
 * in words which tensor is wrong and what was expected.
 *
 * Promises: the words name tensors, places and types, never a value, for they are recorded (names that
 * a caller made are clipped); inputs come in the model's order; `data` has exactly as many values as the shape.
 * Must never let through what the model did not declare. Runs on a scoring thread, never on a lane.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { type Fault, fault, isFault } from '../../domain/fault.ts'
import { dataFromJson, INEXACT, quoteLongIntegers } from './tensor-values.ts'
import {
  DATATYPES,
  dataFromBytes,
  datatypeOf,
  type ModelSignature,
  nameText,
  shapeFits,
  shapeText,
  sizeText,
  type Tensor,
  type TensorSpec,
} from './tensors.ts'

export interface WantedOutput {
  readonly name: string
  readonly binary: boolean
}

export interface InferRequest {
  /** To be echoed; null when the caller gave none. */
  readonly id: string | null
  readonly inputs: readonly Tensor[]
  /** In the order asked; null: all the model gives. */
  readonly outputs: readonly WantedOutput[] | null
  /** Whether outputs that are not listed by name are wanted as binary data. */
  readonly binary: boolean
}

const RANK_MAX = 32

type Json = { readonly [key: string]: unknown }

/** `jsonLength`: of the JSON part when the binary extension is used, else -1. */
export function decodeRequest(
  body: Uint8Array,
  jsonLength: number,
  signature: ModelSignature,
): InferRequest | Fault {
  if (jsonLength === 0) {
    return fault('malformed-request', 'inference-header-content-length is 0: a request needs its JSON part')
  }
  if (jsonLength > body.length) {
    return fault(
      'malformed-request',
      `inference-header-content-length is ${jsonLength} but the body has ${body.length} bytes`,
    )
  }
  const json = jsonLength === -1 ? body : body.subarray(0, jsonLength)
  if (!isUtf8(json)) return fault('malformed-json', 'the body is not valid UTF-8')
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8')
  const blobs = jsonLength === -1 ? null : body.subarray(jsonLength)
  const read = decodeText(text, blobs, signature)
  if (read !== INEXACT) return read
  const exact = decodeText(quoteLongIntegers(text), blobs, signature)
  return exact === INEXACT
    ? fault('bad-tensor', 'an integer beyond 2^53 is written with an exponent: write all its digits')
    : exact
}

function decodeText(
  text: string,
  blobs: Uint8Array | null,
  signature: ModelSignature,
): InferRequest | Fault | typeof INEXACT {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    const position = /position (\d+)/.exec((error as Error).message)?.[1]
    const where = position === undefined ? '' : ` (at position ${position})`
    return fault('malformed-json', `the body is not valid JSON${where}`)
  }
  if (!isObject(document)) return fault('malformed-request', 'the body must be a JSON object with "inputs"')
  const id = document.id ?? null
  if (id !== null && typeof id !== 'string') return fault('malformed-request', '"id" must be a string')
  if (!Array.isArray(document.inputs)) return fault('malformed-request', '"inputs" must be a list of tensors')
  const inputs = readInputs(document.inputs, blobs, signature.inputs)
  if (inputs === INEXACT || isFault(inputs)) return inputs
  const parameters = document.parameters
  if (parameters !== undefined && !isObject(parameters)) {
    return fault('malformed-request', '"parameters" must be an object')
  }
  const binary = parameters?.binary_data_output === true
  const outputs = readOutputs(document.outputs, binary, signature.outputs)
  if (isFault(outputs)) return outputs
  return { id, inputs, outputs, binary }
}

function readInputs(
  list: readonly unknown[],
  blobs: Uint8Array | null,
  specs: readonly TensorSpec[] | null,
): readonly Tensor[] | Fault | typeof INEXACT {
  const given = new Map<string, Tensor>()
  let used = 0
  for (let index = 0; index < list.length; index += 1) {
    const input = list[index]
    if (!isObject(input) || typeof input.name !== 'string') {
      return fault('malformed-request', `input ${index} must be an object with a "name"`)
    }
    const name = input.name
    if (given.has(name)) return fault('bad-tensor', `input ${nameText(name)} is given twice`)
    const spec = specs === null ? null : specs.find((candidate) => candidate.name === name)
    if (spec === undefined) {
      return fault('bad-tensor', `unknown input ${nameText(name)}; the model takes: ${namesOf(specs ?? [])}`)
    }
    const tensor = readTensor(input, name, spec, blobs === null ? null : blobs.subarray(used))
    if (tensor === INEXACT || isFault(tensor)) return tensor
    used += tensor.used
    given.set(name, tensor.tensor)
  }
  if (blobs !== null && used < blobs.length) {
    return fault('malformed-request', `${blobs.length - used} bytes follow the last binary tensor`)
  }
  if (specs === null) return [...given.values()]
  const missing = specs.find((spec) => !given.has(spec.name))
  if (missing !== undefined) return fault('bad-tensor', `missing input ${nameText(missing.name)}`)
  return specs.map((spec) => given.get(spec.name)!)
}

/** `rest`: the binary data no earlier input took; null when the request has none. */
function readTensor(
  input: Json,
  name: string,
  spec: TensorSpec | null,
  rest: Uint8Array | null,
): { tensor: Tensor; used: number } | Fault | typeof INEXACT {
  const datatype = datatypeOf(input.datatype)
  if (spec !== null && datatype !== spec.datatype) {
    return badInput(name, `expected datatype ${spec.datatype}, got ${typeText(input.datatype)}`)
  }
  if (datatype === undefined) {
    return badInput(name, `datatype must be one of ${DATATYPES.join(', ')}, got ${typeText(input.datatype)}`)
  }
  const shape = input.shape
  if (!isShape(shape)) return badInput(name, '"shape" must be a list of integers, 0 or more')
  if (spec !== null && !shapeFits(shape, spec.shape)) {
    return badInput(name, `shape ${shapeText(shape)} does not fit ${shapeText(spec.shape)}`)
  }
  const size = isObject(input.parameters) ? input.parameters.binary_data_size : undefined
  if (size === undefined) {
    if (!Array.isArray(input.data)) return badInput(name, '"data" must be a list')
    const data = dataFromJson(datatype, input.data, shape)
    if (data === INEXACT) return INEXACT
    if (typeof data === 'string') return badInput(name, data)
    return { tensor: { name, datatype, shape, data }, used: 0 }
  }
  if (rest === null)
    return badInput(name, 'binary_data_size needs the inference-header-content-length header')
  if (input.data !== undefined) return badInput(name, 'either "data" or binary_data_size, not both')
  if (!isCount(size)) return badInput(name, 'binary_data_size must be an integer, 0 or more')
  if (size > rest.length)
    return badInput(name, `binary_data_size is ${sizeText(size)}, but ${rest.length} bytes are left`)
  const data = dataFromBytes(datatype, rest.subarray(0, size), shape)
  if (typeof data === 'string') return badInput(name, data)
  return { tensor: { name, datatype, shape, data }, used: size }
}

function readOutputs(
  list: unknown,
  binary: boolean,
  specs: readonly TensorSpec[] | null,
): readonly WantedOutput[] | null | Fault {
  if (list === undefined || list === null) return null
  if (!Array.isArray(list)) return fault('malformed-request', '"outputs" must be a list')
  if (list.length === 0) return null
  const wanted = new Map<string, WantedOutput>()
  for (let index = 0; index < list.length; index += 1) {
    const output: unknown = list[index]
    if (!isObject(output) || typeof output.name !== 'string') {
      return fault('malformed-request', `output ${index} must be an object with a "name"`)
    }
    const name = output.name
    if (wanted.has(name)) return fault('bad-tensor', `requested output ${nameText(name)} is asked for twice`)
    if (specs !== null && !specs.some((spec) => spec.name === name)) return unknownOutput(name, specs)
    const parameters = isObject(output.parameters) ? output.parameters : {}
    // To ignore it would answer something other than what was asked for.
    if (parameters.classification !== undefined) {
      return fault('bad-tensor', `requested output ${nameText(name)}: classification is not supported`)
    }
    const own = parameters.binary_data
    wanted.set(name, { name, binary: typeof own === 'boolean' ? own : binary })
  }
  return [...wanted.values()]
}

export function unknownOutput(name: string, gives: readonly { readonly name: string }[]): Fault {
  return fault(
    'bad-tensor',
    `requested output ${nameText(name)} does not exist; the model gives: ${namesOf(gives)}`,
  )
}

function badInput(name: string, what: string): Fault {
  return fault('bad-tensor', `input ${nameText(name)}: ${what}`)
}

/** How many of a model's names a message lists. */
const NAMES_SHOWN_MAX = 16

function namesOf(specs: readonly { readonly name: string }[]): string {
  const names = specs.slice(0, NAMES_SHOWN_MAX).map((spec) => nameText(spec.name))
  const more = specs.length - names.length
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Known types by name; whatever else stands there is the caller's and is not repeated. */
function typeText(value: unknown): string {
  return datatypeOf(value) ?? (value === undefined ? 'none' : 'another')
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isShape(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= RANK_MAX && value.every(isCount)
}
