/**
 * The tensors of the Open Inference Protocol (V2): its datatypes, how their values are held in memory
 * and how they lie in the binary tensor extension (little-endian, row-major, no padding).
 *
 * FP16 values are kept as their 16 bits, because not every supported Node has a Float16Array. BYTES
 * elements are text: JSON can carry nothing else and the runtimes take nothing else, so bytes that are
 * not UTF-8 are refused instead of damaged.
 */
import { Buffer, isUtf8 } from 'node:buffer'

export type NumericData =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array

export type TensorData = NumericData | readonly string[]

export interface Tensor {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Flat, row-major, exactly as many values as the shape has places. */
  readonly data: TensorData
}

/** What a model says of one input or output; -1 stands for a size that each request chooses. */
export interface TensorSpec {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
}

/** Null: the model does not say, so names, types and shapes are its own to check. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[] | null
  readonly outputs: readonly TensorSpec[] | null
}

interface Traits {
  /** Bytes of one value; 0: varies. */
  readonly width: number
  readonly integer: boolean
  readonly min: number
  readonly max: number
  readonly make: ((count: number) => NumericData) | null
  readonly view: ((buffer: ArrayBuffer) => NumericData) | null
}

type ArrayType = {
  new (count: number): NumericData
  new (buffer: ArrayBuffer): NumericData
  readonly BYTES_PER_ELEMENT: number
}

function traits(array: unknown, integer: boolean, min: number, max: number): Traits {
  const Type = array as ArrayType
  return {
    width: Type.BYTES_PER_ELEMENT,
    integer,
    min,
    max,
    make: (count) => new Type(count),
    view: (buffer) => new Type(buffer),
  }
}

const FLOAT32_MAX = 3.4028234663852886e38

const TABLE = {
  BOOL: traits(Uint8Array, false, 0, 1),
  UINT8: traits(Uint8Array, true, 0, 2 ** 8 - 1),
  UINT16: traits(Uint16Array, true, 0, 2 ** 16 - 1),
  UINT32: traits(Uint32Array, true, 0, 2 ** 32 - 1),
  UINT64: traits(BigUint64Array, true, 0, Number.MAX_SAFE_INTEGER),
  INT8: traits(Int8Array, true, -(2 ** 7), 2 ** 7 - 1),
  INT16: traits(Int16Array, true, -(2 ** 15), 2 ** 15 - 1),
  INT32: traits(Int32Array, true, -(2 ** 31), 2 ** 31 - 1),
  INT64: traits(BigInt64Array, true, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  FP16: traits(Uint16Array, false, -65504, 65504),
  FP32: traits(Float32Array, false, -FLOAT32_MAX, FLOAT32_MAX),
  FP64: traits(Float64Array, false, -Number.MAX_VALUE, Number.MAX_VALUE),
  BYTES: { width: 0, integer: false, min: 0, max: 0, make: null, view: null },
} as const satisfies Record<string, Traits>

export type Datatype = keyof typeof TABLE
export const DATATYPES = Object.keys(TABLE) as readonly Datatype[]
const BY_NAME: ReadonlyMap<string, Datatype> = new Map(DATATYPES.map((name) => [name, name]))

export function datatypeOf(name: unknown): Datatype | undefined {
  return typeof name === 'string' ? BY_NAME.get(name) : undefined
}

export function traitsOf(datatype: Datatype): Traits {
  return TABLE[datatype]
}

/** Number of values in a tensor of that shape; 1 for a scalar. */
export function countOf(shape: readonly number[]): number {
  let count = 1
  for (const size of shape) count *= size
  return count
}

/** What is told of a shape: words are recorded, so they are short and a caller's large numbers are not in them. */
const RANK_SHOWN_MAX = 8
const SIZE_SHOWN_MAX = 1_000_000_000
const NAME_SHOWN_MAX = 64

/** `[-1,8]`, as messages show it. */
export function shapeText(shape: readonly number[]): string {
  const sizes = shape.slice(0, RANK_SHOWN_MAX).map(sizeText)
  return `[${sizes.join(',')}${shape.length > RANK_SHOWN_MAX ? ',…' : ''}]`
}

/** A number of values or bytes, as messages show it. */
export function sizeText(size: number): string {
  return size <= SIZE_SHOWN_MAX ? String(size) : `more than ${SIZE_SHOWN_MAX}`
}

/** A name in quotes, as messages show it: those that callers make may be of any length. */
export function nameText(name: string): string {
  return `'${name.length <= NAME_SHOWN_MAX ? name : `${name.slice(0, NAME_SHOWN_MAX)}…`}'`
}

/** Whether a request's shape may be given to something declared as `declared`. */
export function shapeFits(shape: readonly number[], declared: readonly number[]): boolean {
  if (shape.length !== declared.length) return false
  for (let axis = 0; axis < shape.length; axis += 1) {
    const size = declared[axis]!
    if (size !== -1 && size !== shape[axis]) return false
  }
  return true
}

/** Reads a binary tensor. A string is what is wrong with it, in words for the caller. */
export function dataFromBytes(
  datatype: Datatype,
  bytes: Uint8Array,
  shape: readonly number[],
): TensorData | string {
  const count = countOf(shape)
  const { width, view } = TABLE[datatype]
  if (view === null) return textsFromBytes(bytes, count)
  if (bytes.length !== count * width) {
    return `shape ${shapeText(shape)} of ${datatype} needs ${sizeText(count * width)} bytes, got ${bytes.length}`
  }
  // A copy, because typed arrays need alignment and requests do not promise any.
  const data = view(copyOf(bytes))
  if (datatype === 'BOOL' && (data as Uint8Array).some((value) => value > 1))
    return 'BOOL bytes must be 0 or 1'
  return data
}

function copyOf(bytes: Uint8Array): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes.length)
  new Uint8Array(buffer).set(bytes)
  return buffer
}

function textsFromBytes(bytes: Uint8Array, count: number): readonly string[] | string {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  let at = 0
  while (at < source.length) {
    if (at + 4 > source.length) return `the length of BYTES element ${texts.length} is cut off`
    const length = source.readUInt32LE(at)
    at += 4
    if (length > source.length - at) return `BYTES element ${texts.length} is cut off`
    const element = source.subarray(at, at + length)
    if (!isUtf8(element)) return `BYTES element ${texts.length} is not UTF-8 text`
    texts.push(element.toString('utf8'))
    at += length
  }
  return texts.length === count
    ? texts
    : `the shape needs ${sizeText(count)} BYTES elements, got ${texts.length}`
}

/** Lays a tensor's values out for the binary extension. Numeric data is viewed, not copied. */
export function dataToBytes(tensor: Tensor): Uint8Array {
  const data = tensor.data
  if (!isTexts(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  let length = 0
  for (const text of data) length += 4 + Buffer.byteLength(text)
  const bytes = Buffer.alloc(length)
  let at = 0
  for (const text of data) {
    const written = bytes.write(text, at + 4)
    bytes.writeUInt32LE(written, at)
    at += 4 + written
  }
  return bytes
}

export function isTexts(data: TensorData): data is readonly string[] {
  return Array.isArray(data)
}

/** IEEE 754 binary16, exactly (every half is also a double). */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
