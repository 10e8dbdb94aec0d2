/**
 * Steps through JSON that scanJson has already proven, by the places of its values and without building
 * them. Must never be given unproven bytes: nothing is checked twice. No recursion, so no depth matters.
 */
import type { JsonKind, JsonSpan } from '../kernel/json-scan.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** The items of an array, in order. */
export function* itemsOf(bytes: Uint8Array, array: JsonSpan): Generator<JsonSpan> {
  let at = next(bytes, array.start + 1)
  while (bytes[at] !== CLOSE_BRACKET) {
    const item = spanAt(bytes, at)
    yield item
    at = next(bytes, item.end)
  }
}

/** The fields of an object, in order, repeated keys included. */
export function* fieldsOf(
  bytes: Uint8Array,
  object: JsonSpan,
): Generator<{ readonly key: JsonSpan; readonly value: JsonSpan }> {
  let at = next(bytes, object.start + 1)
  while (bytes[at] !== CLOSE_BRACE) {
    const key = spanAt(bytes, at)
    const value = spanAt(bytes, next(bytes, key.end))
    yield { key, value }
    at = next(bytes, value.end)
  }
}

/** `itemsOf` and `fieldsOf` without a generator, which costs more than what is done with a small value. */
export function eachItem(bytes: Uint8Array, array: JsonSpan, visit: (item: JsonSpan) => void): void {
  let at = next(bytes, array.start + 1)
  while (bytes[at] !== CLOSE_BRACKET) {
    const item = spanAt(bytes, at)
    visit(item)
    at = next(bytes, item.end)
  }
}

export function eachField(
  bytes: Uint8Array,
  object: JsonSpan,
  visit: (key: JsonSpan, value: JsonSpan) => void,
): void {
  let at = next(bytes, object.start + 1)
  while (bytes[at] !== CLOSE_BRACE) {
    const key = spanAt(bytes, at)
    const value = spanAt(bytes, next(bytes, key.end))
    visit(key, value)
    at = next(bytes, value.end)
  }
}

/** A list or an object without anything in it. */
export function isBare(bytes: Uint8Array, nested: JsonSpan): boolean {
  return isClosing(bytes[next(bytes, nested.start + 1)]!)
}

/** Value `index` of a list, counted in order through all lists within it; null when there are fewer. */
export function leafAt(bytes: Uint8Array, list: JsonSpan, index: number): JsonSpan | null {
  let left = index
  let at = list.start + 1
  while (at < list.end) {
    const byte = bytes[at]!
    if (byte === OPEN_BRACKET || byte === CLOSE_BRACKET || isBetween(byte)) {
      at += 1
      continue
    }
    if (left === 0) return spanAt(bytes, at)
    left -= 1
    at = endOf(bytes, at)
  }
  return null
}

function spanAt(bytes: Uint8Array, start: number): JsonSpan {
  return { kind: kindOf(bytes[start]!), start, end: endOf(bytes, start) }
}

function kindOf(first: number): JsonKind {
  switch (first) {
    case QUOTE:
      return 'string'
    case OPEN_BRACE:
      return 'object'
    case OPEN_BRACKET:
      return 'array'
    case 0x74:
      return 'true'
    case 0x66:
      return 'false'
    case 0x6e:
      return 'null'
    default:
      return 'number'
  }
}

/** Where the value that starts at `start` ends. */
function endOf(bytes: Uint8Array, start: number): number {
  const first = bytes[start]
  if (first === QUOTE) return endOfString(bytes, start)
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfNested(bytes, start)
  let at = start
  while (at < bytes.length && !isBetween(bytes[at]!) && !isClosing(bytes[at]!)) at += 1
  return at
}

function endOfString(bytes: Uint8Array, start: number): number {
  let at = start + 1
  while (bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at + 1
}

function endOfNested(bytes: Uint8Array, start: number): number {
  let depth = 0
  let at = start
  for (;;) {
    const byte = bytes[at]!
    if (byte === QUOTE) {
      at = endOfString(bytes, at)
      continue
    }
    at += 1
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1
    else if (isClosing(byte)) {
      depth -= 1
      if (depth === 0) return at
    }
  }
}

/** The next byte that starts or closes a value. */
function next(bytes: Uint8Array, from: number): number {
  let at = from
  while (isBetween(bytes[at]!)) at += 1
  return at
}

function isClosing(byte: number): boolean {
  return byte === CLOSE_BRACE || byte === CLOSE_BRACKET
}

function isBetween(byte: number): boolean {
  return byte === COMMA || byte === COLON || byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
