/**
 * The `data` of a JSON tensor: flat or nested lists of JSON values into one typed array, or the words
 * for what is wrong with them. Nothing is rounded, wrapped or guessed.
 *
 * JSON.parse rounds integers beyond 2^53. Where a 64-bit tensor holds one, the reading stops with
 * INEXACT and the caller parses once more after `quoteLongIntegers`, so that every digit is kept. This
 * second parse costs only those who send such numbers.
 */
import { countOf, type Datatype, shapeText, type TensorData, traitsOf } from './tensors.ts'

/** A 64-bit tensor holds an integer that JSON.parse has rounded. */
export const INEXACT = Symbol('inexact')

const MARK = '\u0000integer:'

/**
 * JSON with every integer of 16 digits or more turned into a marked string, all else untouched.
 * Strings are matched first, so digits inside them stay as they are.
 */
export function quoteLongIntegers(text: string): string {
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g, (match) =>
    match.charCodeAt(0) === 0x22 ? match : `"\\u0000integer:${match}"`,
  )
}

/** The exact integer behind a marked string, or undefined. */
export function longIntegerOf(value: unknown): bigint | undefined {
  if (typeof value !== 'string' || !value.startsWith(MARK)) return undefined
  const digits = value.slice(MARK.length)
  return /^-?\d+$/.test(digits) ? BigInt(digits) : undefined
}

/** A string is what is wrong, for the caller to read. */
export function dataFromJson(
  datatype: Datatype,
  values: readonly unknown[],
  shape: readonly number[],
): TensorData | string | typeof INEXACT {
  const count = countOf(shape)
  const flat = Array.isArray(values[0]) ? flatten(values, shape) : values
  if (flat === null) return `nested data does not follow shape ${shapeText(shape)}`
  if (flat.length !== count) return `shape ${shapeText(shape)} needs ${count} values, got ${flat.length}`
  if (datatype === 'BYTES') return texts(flat)
  if (datatype === 'BOOL') return booleans(flat)
  if (datatype === 'FP16') return 'FP16 can only be sent as binary data'
  if (datatype === 'INT64' || datatype === 'UINT64') return longIntegers(datatype, flat)
  return numbers(datatype, flat)
}

function flatten(values: readonly unknown[], shape: readonly number[]): unknown[] | null {
  const flat: unknown[] = []
  const walk = (level: readonly unknown[], axis: number): boolean => {
    if (level.length !== shape[axis]) return false
    if (axis === shape.length - 1) {
      for (const value of level) flat.push(value)
      return true
    }
    return level.every((inner) => Array.isArray(inner) && walk(inner, axis + 1))
  }
  return walk(values, 0) ? flat : null
}

function texts(flat: readonly unknown[]): readonly string[] | string {
  for (let index = 0; index < flat.length; index += 1) {
    const value = flat[index]
    if (typeof value !== 'string' || value.startsWith(MARK)) return `value ${index} is not a string`
  }
  return flat as readonly string[]
}

function booleans(flat: readonly unknown[]): Uint8Array | string {
  const data = new Uint8Array(flat.length)
  for (let index = 0; index < flat.length; index += 1) {
    const value = flat[index]
    if (typeof value !== 'boolean') return `value ${index} is not true or false`
    data[index] = value ? 1 : 0
  }
  return data
}

function numbers(datatype: Datatype, flat: readonly unknown[]): TensorData | string {
  const { make, min, max, integer } = traitsOf(datatype)
  const data = make!(flat.length) as Float64Array
  for (let index = 0; index < flat.length; index += 1) {
    let value = flat[index]
    if (typeof value !== 'number') {
      const long = longIntegerOf(value)
      if (long === undefined) return `value ${index} is not a number`
      value = Number(long)
    }
    const number = value as number
    if (integer && !Number.isInteger(number)) return `value ${index} (${number}) is not an integer`
    if (!(number >= min && number <= max)) return `value ${index} (${number}) does not fit ${datatype}`
    data[index] = number
  }
  return data
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const UINT64_MAX = 2n ** 64n - 1n

function longIntegers(
  datatype: 'INT64' | 'UINT64',
  flat: readonly unknown[],
): TensorData | string | typeof INEXACT {
  const signed = datatype === 'INT64'
  const data = signed ? new BigInt64Array(flat.length) : new BigUint64Array(flat.length)
  const min = signed ? INT64_MIN : 0n
  const max = signed ? INT64_MAX : UINT64_MAX
  for (let index = 0; index < flat.length; index += 1) {
    const value = flat[index]
    const exact = typeof value === 'number' ? fromNumber(value) : longIntegerOf(value)
    if (exact === INEXACT) return INEXACT
    if (exact === null) return `value ${index} (${value}) is not an integer`
    if (exact === undefined) return `value ${index} is not a number`
    if (exact < min || exact > max) return `value ${index} (${exact}) does not fit ${datatype}`
    data[index] = exact
  }
  return data
}

/** Null: not an integer. Written with an exponent, an unsafe integer stays a number in both parses. */
function fromNumber(value: number): bigint | null | typeof INEXACT {
  if (!Number.isInteger(value)) return null
  return Number.isSafeInteger(value) ? BigInt(value) : INEXACT
}
