/**
 * ONNX Runtime on the CPU; the only door to onnxruntime-node. The library (45 MB on disk) is imported
 * when the first model loads, so a gateway without ONNX models never pays for it.
 *
 * One thread per session: the pool's threads are the parallelism, and a session that spreads over all
 * cores would take them from the lanes. Sequences and maps (what converters call ZipMap) have no place
 * in V2 tensors and are refused when the model loads, not when the first request fails.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import type { Datatype, ModelSignature, Tensor, TensorSpec } from '../../protocols/open-inference/tensors.ts'
import { type LoadedModel, ModelRefused, type Runtime } from './contract.ts'

type Ort = typeof import('onnxruntime-node')
type ValueMetadata = InferenceSession.ValueMetadata

const TYPES: readonly (readonly [Datatype, OrtTensor.Type])[] = [
  ['BOOL', 'bool'],
  ['UINT8', 'uint8'],
  ['UINT16', 'uint16'],
  ['UINT32', 'uint32'],
  ['UINT64', 'uint64'],
  ['INT8', 'int8'],
  ['INT16', 'int16'],
  ['INT32', 'int32'],
  ['INT64', 'int64'],
  ['FP16', 'float16'],
  ['FP32', 'float32'],
  ['FP64', 'float64'],
  ['BYTES', 'string'],
]
const TO_ORT: ReadonlyMap<string, OrtTensor.Type> = new Map(TYPES)
const FROM_ORT: ReadonlyMap<string, Datatype> = new Map(TYPES.map(([ours, theirs]) => [theirs, ours]))

/** 4: fatal only. Whatever goes wrong is reported by us, once, and not on stderr of the process. */
const LOG_SEVERITY = 4

let imported: Promise<Ort> | undefined

export const onnx: Runtime = {
  name: 'onnx',
  platform: 'onnxruntime_onnx',
  isNative: true,
  async load(file) {
    imported ??= import('onnxruntime-node')
    const ort = await imported
    const session = await ort.InferenceSession.create(file, {
      executionProviders: ['cpu'],
      executionMode: 'sequential',
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: LOG_SEVERITY,
    })
    try {
      const signature = {
        inputs: session.inputMetadata.map((value) => specOf('input', value)),
        outputs: session.outputMetadata.map((value) => specOf('output', value)),
      }
      const batchable = joinable([...session.inputMetadata, ...session.outputMetadata])
      return new OnnxModel(ort, session, { signature, batchable })
    } catch (error) {
      await session.release()
      throw error
    }
  },
}

function specOf(side: 'input' | 'output', value: ValueMetadata): TensorSpec {
  if (!value.isTensor) {
    throw new ModelRefused(
      `${side} '${value.name}' is a sequence or a map, not a tensor (export the model with zipmap=False)`,
    )
  }
  const datatype = FROM_ORT.get(value.type)
  if (datatype === undefined) throw new ModelRefused(`${side} '${value.name}' has type ${value.type}`)
  return {
    name: value.name,
    datatype,
    shape: value.shape.map((size) => (typeof size === 'number' ? size : -1)),
  }
}

/**
 * Every input and output starts with a size that the request chooses, and no two of these sizes bear
 * different names: 'batch' here and 'sequence' there are not the same rows.
 */
function joinable(values: readonly ValueMetadata[]): boolean {
  const names = new Set<string>()
  for (const value of values) {
    const first = value.isTensor ? value.shape[0] : undefined
    if (typeof first !== 'string') return false
    if (first !== '') names.add(first)
  }
  return values.length > 0 && names.size <= 1
}

class OnnxModel implements LoadedModel {
  readonly signature: ModelSignature
  readonly batchable: boolean
  readonly #ort: Ort
  readonly #session: InferenceSession

  constructor(
    ort: Ort,
    session: InferenceSession,
    says: { readonly signature: ModelSignature; readonly batchable: boolean },
  ) {
    this.#ort = ort
    this.#session = session
    this.signature = says.signature
    this.batchable = says.batchable
  }

  async run(inputs: readonly Tensor[], outputs: readonly string[] | null): Promise<readonly Tensor[]> {
    // Input names were checked to be the model's own, so they are safe as keys here.
    const feeds: Record<string, OrtTensor> = {}
    for (const input of inputs) feeds[input.name] = this.#feed(input)
    const fetched =
      outputs === null ? await this.#session.run(feeds) : await this.#session.run(feeds, [...outputs])
    const answers: Tensor[] = []
    for (const name of this.#session.outputNames) {
      const value = fetched[name]
      if (value !== undefined) answers.push(tensorOf(name, value))
    }
    return answers
  }

  release(): Promise<void> {
    return this.#session.release()
  }

  #feed(input: Tensor): OrtTensor {
    const type = TO_ORT.get(input.datatype)!
    const data = type === 'float16' ? float16(input.data as Uint16Array) : input.data
    return new this.#ort.Tensor(type, data as Float32Array, input.shape)
  }
}

function tensorOf(name: string, value: OrtTensor): Tensor {
  const datatype = FROM_ORT.get(value.type)!
  let data = value.data as Tensor['data']
  if (datatype === 'FP16' && !(data instanceof Uint16Array)) {
    const half = data as unknown as Float32Array
    data = new Uint16Array(half.buffer, half.byteOffset, half.length)
  }
  return { name, datatype, shape: value.dims, data }
}

/** Newer Node versions have a Float16Array, and ONNX Runtime then wants it. */
function float16(bits: Uint16Array): unknown {
  const Native = (globalThis as { Float16Array?: new (b: ArrayBufferLike, o: number, n: number) => unknown })
    .Float16Array
  return Native === undefined ? bits : new Native(bits.buffer, bits.byteOffset, bits.length)
}
