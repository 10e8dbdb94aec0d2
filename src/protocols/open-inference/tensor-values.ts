/**
 * The `data` of a JSON tensor: flat or nested lists of JSON values into one typed array, or the words
 * for what is wrong with them. Nothing is rounded, wrapped or guessed.
 *
 * JSON.parse rounds integers beyond 2^53. Where a 64-bit tensor holds one, the reading stops with
 * INEXACT and the caller parses once more after `quoteLongIntegers`, so that every digit is kept. This
 * second parse costs only those who send such numbers.
 */
import { countOf, type Datatype, shapeText, sizeText, type TensorData, traitsOf } from './tensors.ts'

/** A 64-bit tensor holds an integer that JSON.parse has rounded. */
export const INEXACT = Symbol('inexact')

const MARK = '\u0000integer:'

/** Shorter integers are below 2^53, which JSON.parse reads exactly. */
const LONG_DIGITS_MIN = 16
/** Of -9223372036854775808 and of 18446744073709551615. */
const LONG_LENGTH_MAX = 20

const QUOTE = 0x22
const BACKSLASH = 0x5c
const MINUS = 0x2d

/**
 * JSON with every integer of 16 digits or more turned into a marked string, all else untouched. Only for
 * text that JSON.parse has taken. A scan by hand: a regular expression overflows its stack on a string
 * with millions of escapes.
 */
export function quoteLongIntegers(text: string): string {
  const parts: string[] = []
  let copied = 0
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code !== MINUS && !isDigit(code)) at += 1
    else {
      const { end, isInteger } = numberFrom(text, at)
      const digits = code === MINUS ? end - at - 1 : end - at
      if (isInteger && digits >= LONG_DIGITS_MIN) {
        parts.push(text.slice(copied, at), '"\\u0000integer:', text.slice(at, end), '"')
        copied = end
      }
      at = end
    }
  }
  parts.push(text.slice(copied))
  return parts.join('')
}

/** `at` the opening quote. */
function endOfString(text: string, at: number): number {
  let end = at + 1
  for (let code = text.charCodeAt(end); code !== QUOTE; code = text.charCodeAt(end)) {
    end += code === BACKSLASH ? 2 : 1
  }
  return end + 1
}

function numberFrom(text: string, at: number): { readonly end: number; readonly isInteger: boolean } {
  let end = at + 1
  let isInteger = true
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end)
    if (isDigit(code)) continue
    // . e E + -
    if (code !== 0x2e && code !== 0x65 && code !== 0x45 && code !== 0x2b && code !== MINUS) break
    isInteger = false
  }
  return { end, isInteger }
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** The digits behind a marked string, or undefined. */
function longDigitsOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || !value.startsWith(MARK)) return undefined
  const written = value.slice(MARK.length)
  const first = written.charCodeAt(0) === MINUS ? 1 : 0
  if (first === written.length) return undefined
  for (let at = first; at < written.length; at += 1) if (!isDigit(written.charCodeAt(at))) return undefined
  return written
}

/**
 * A string is what is wrong, for the caller to read. It is also recorded, so it tells the place of a
 * value and the type it should have, and never the value.
 */
export function dataFromJson(
  datatype: Datatype,
  values: readonly unknown[],
  shape: readonly number[],
): TensorData | string | typeof INEXACT {
  const count = countOf(shape)
  const flat = Array.isArray(values[0]) ? flatten(values, shape) : values
  if (flat === null) return `nested data does not follow shape ${shapeText(shape)}`
  if (flat.length !== count)
    return `shape ${shapeText(shape)} needs ${sizeText(count)} values, got ${flat.length}`
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
      const digits = longDigitsOf(value)
      if (digits === undefined) return `value ${index} is not a number`
      value = Number(digits)
    }
    const number = value as number
    if (integer && !Number.isInteger(number)) return `value ${index} is not an integer`
    if (!(number >= min && number <= max)) return `value ${index} does not fit ${datatype}`
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
    const exact = typeof value === 'number' ? fromNumber(value) : fromDigits(longDigitsOf(value))
    if (exact === INEXACT) return INEXACT
    if (exact === null) return `value ${index} is not an integer`
    if (exact === undefined) return `value ${index} is not a number`
    if (typeof exact === 'number' || exact < min || exact > max)
      return `value ${index} does not fit ${datatype}`
    data[index] = exact
  }
  return data
}

/** Null: not an integer. Written with an exponent, an unsafe integer stays a number in both parses. */
function fromNumber(value: number): bigint | null | typeof INEXACT {
  if (!Number.isInteger(value)) return null
  return Number.isSafeInteger(value) ? BigInt(value) : INEXACT
}

/** Infinity for what no 64 bits hold: BigInt takes more than linear time for millions of digits. */
function fromDigits(digits: string | undefined): bigint | number | undefined {
  if (digits === undefined) return undefined
  if (digits.length > LONG_LENGTH_MAX) return Number.POSITIVE_INFINITY
  return BigInt(digits)
}
