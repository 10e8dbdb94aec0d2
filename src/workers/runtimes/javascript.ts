/**
 * A model written as an ES module:
 *
 *   export function score(inputs) → outputs        sync or async; records name → { datatype, shape, data }
 *   export const metadata = { inputs: [{ name, datatype, shape }], outputs: [...] }      optional
 *   export const batchable = true                  optional: takes and gives rows of several requests
 *
 * `data` arrives as a typed array (BYTES: strings) and may be answered as one or as a plain list. What
 * `score` answers is checked against what the module declares, so that a wrong model is found here and
 * never by a client's parser. The module is trusted code: it runs unconfined in a scoring thread.
 */
import { statSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { dataFromJson } from '../../protocols/open-inference/tensor-values.ts'
import {
  countOf,
  datatypeOf,
  type ModelSignature,
  shapeFits,
  shapeText,
  type Tensor,
  type TensorData,
  type TensorSpec,
  traitsOf,
} from '../../protocols/open-inference/tensors.ts'
import { type LoadedModel, ModelRefused, type Runtime } from './contract.ts'

type Value = { readonly datatype: string; readonly shape: readonly number[]; readonly data: unknown }
type Score = (inputs: Record<string, Value>) => unknown

export const javascript: Runtime = {
  name: 'javascript',
  platform: 'javascript',
  isNative: false,
  async load(file) {
    // Node remembers a module by its URL, a broken one too: a mended file needs another URL.
    const { mtimeMs, size } = statSync(file)
    const module = (await import(`${pathToFileURL(file)}?${mtimeMs}-${size}`)) as Record<string, unknown>
    if (typeof module.score !== 'function') throw new ModelRefused('the module exports no function score')
    const signature = signatureOf(module.metadata)
    return new JavascriptModel(
      module.score as Score,
      signature,
      module.batchable === true && rowwise(signature),
    )
  },
}

function signatureOf(metadata: unknown): ModelSignature {
  if (metadata === undefined) return { inputs: null, outputs: null }
  const { inputs, outputs } = (metadata ?? {}) as Record<string, unknown>
  return { inputs: specsOf('inputs', inputs), outputs: specsOf('outputs', outputs) }
}

function specsOf(side: string, list: unknown): readonly TensorSpec[] {
  if (!Array.isArray(list)) throw new ModelRefused(`metadata.${side} is not a list`)
  return list.map((entry, index) => {
    const { name, datatype, shape } = (entry ?? {}) as Record<string, unknown>
    const known = datatypeOf(datatype)
    if (typeof name !== 'string' || known === undefined || !isShape(shape, -1)) {
      throw new ModelRefused(`metadata.${side}[${index}] is not { name, datatype, shape }`)
    }
    return { name, datatype: known, shape }
  })
}

function rowwise({ inputs, outputs }: ModelSignature): boolean {
  return [...(inputs ?? []), ...(outputs ?? [])].every((spec) => spec.shape[0] === -1)
}

class JavascriptModel implements LoadedModel {
  readonly signature: ModelSignature
  readonly batchable: boolean
  readonly #score: Score

  constructor(score: Score, signature: ModelSignature, batchable: boolean) {
    this.#score = score
    this.signature = signature
    this.batchable = batchable
  }

  async run(inputs: readonly Tensor[], outputs: readonly string[] | null): Promise<readonly Tensor[]> {
    // Without declared inputs the names are the caller's, so the record must inherit nothing.
    const record = Object.create(null) as Record<string, Value>
    for (const { name, datatype, shape, data } of inputs) record[name] = { datatype, shape, data }
    const answer = await this.#score(record)
    if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
      throw new Error('score did not answer with an object of outputs')
    }
    const given = new Map(Object.entries(answer))
    if (this.signature.outputs === null) return [...given].map(([name, value]) => tensorOf(name, value, null))
    const wanted = this.signature.outputs.filter((spec) => outputs === null || outputs.includes(spec.name))
    return wanted.map((spec) => tensorOf(spec.name, given.get(spec.name), spec))
  }

  async release(): Promise<void> {}
}

function tensorOf(name: string, value: unknown, spec: TensorSpec | null): Tensor {
  const { datatype: written, shape, data } = (value ?? {}) as Record<string, unknown>
  const datatype = datatypeOf(written)
  if (datatype === undefined || !isShape(shape, 0)) {
    throw new Error(`output '${name}' is not { datatype, shape, data }`)
  }
  if (spec !== null && (spec.datatype !== datatype || !shapeFits(shape, spec.shape))) {
    throw new Error(
      `output '${name}' is ${datatype} ${shapeText(shape)}, declared ${spec.datatype} ${shapeText(spec.shape)}`,
    )
  }
  const ready = ArrayBuffer.isView(data) ? typed(datatype, data) : listed(datatype, data, shape)
  if (typeof ready === 'string') throw new Error(`output '${name}': ${ready}`)
  if (ready.length !== countOf(shape)) {
    throw new Error(
      `output '${name}': shape ${shapeText(shape)} needs ${countOf(shape)} values, got ${ready.length}`,
    )
  }
  return { name, datatype, shape, data: ready }
}

function typed(datatype: Tensor['datatype'], data: ArrayBufferView): TensorData | string {
  const expected = traitsOf(datatype).make?.(0)
  if (expected === undefined || expected.constructor !== data.constructor) {
    return `data is a ${data.constructor.name}, which does not hold ${datatype}`
  }
  return data as unknown as TensorData
}

/** Plain lists; unlike a request's, they may hold NaN and Infinity and 64-bit integers as bigint. */
function listed(datatype: Tensor['datatype'], data: unknown, shape: readonly number[]): TensorData | string {
  if (!Array.isArray(data)) return 'data is not a list'
  if (datatype === 'FP32') return floats(Float32Array, data)
  if (datatype === 'FP64') return floats(Float64Array, data)
  if (datatype === 'INT64' || datatype === 'UINT64') {
    const bad = data.findIndex((value) => typeof value !== 'bigint' && !Number.isSafeInteger(value))
    if (bad !== -1) return `value ${bad} is not an exact integer`
    return datatype === 'INT64' ? BigInt64Array.from(data, BigInt) : BigUint64Array.from(data, BigInt)
  }
  const read = dataFromJson(datatype, data, shape)
  return typeof read === 'symbol' ? 'an integer is not exact' : read
}

function floats(
  Type: typeof Float32Array | typeof Float64Array,
  data: readonly unknown[],
): TensorData | string {
  const flat = data.flat(Number.POSITIVE_INFINITY)
  const bad = flat.findIndex((value) => typeof value !== 'number')
  return bad === -1 ? Type.from(flat as number[]) : `value ${bad} is not a number`
}

function isShape(shape: unknown, min: number): shape is readonly number[] {
  return Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= min)
}
