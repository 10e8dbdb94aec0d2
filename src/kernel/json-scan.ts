/**
 * Checks that bytes are one JSON document (RFC 8259) and notes where a few wanted values lie, in one
 * pass and without building anything: 3.7–5.3 ns a byte of tensor JSON from 1 KiB to 1 MiB, where decoding and
 * JSON.parse took 6.1–7.9 and allocated it all (best of 5 in one process, Node 20, a slow shared core).
 *
 * Of repeated keys the last one counts, as JSON.parse has it. Bytes of strings are not checked to be
 * UTF-8: callers use node:buffer's isUtf8 first. Nesting is bounded by JSON_DEPTH_MAX.
 * Tested against JSON.parse in test/kernel/json-scan.test.ts.
 */
export const JSON_DEPTH_MAX = 128

export type JsonKind = 'string' | 'number' | 'object' | 'array' | 'true' | 'false' | 'null'

/** A value inside a document: bytes [start, end), quotes included. */
export interface JsonSpan {
  readonly kind: JsonKind
  readonly start: number
  readonly end: number
}

export type JsonScan =
  | { readonly ok: true; readonly found: readonly (JsonSpan | null)[] }
  | { readonly ok: false; readonly at: number; readonly expected: string }

/** A JSON pointer (RFC 6901) split into its unescaped reference tokens; [] is the whole document. */
export type JsonPath = readonly string[]

export function parsePointer(pointer: string): JsonPath {
  if (pointer === '') return []
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

export function scanJson(bytes: Uint8Array, paths: readonly JsonPath[]): JsonScan {
  const scanner = new Scanner(bytes, paths)
  return scanner.document()
}

/** The string's text, escapes resolved. */
export function textOf(bytes: Uint8Array, span: JsonSpan): string {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset + span.start, span.end - span.start).toString('utf8')
  return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1)
}

/** The string says exactly `text`, which is ASCII; decoded only where it has escapes. */
export function isText(bytes: Uint8Array, span: JsonSpan, text: string): boolean {
  const start = span.start + 1
  const length = span.end - 1 - start
  if (length < text.length) return false
  for (let index = 0; index < length; index += 1) {
    const byte = bytes[start + index]
    if (byte === BACKSLASH) return textOf(bytes, span) === text
    if (byte !== text.charCodeAt(index)) return false
  }
  return true
}

/** Every character takes at least a byte; and the first one is itself, unless it is escaped or takes several. */
function mayBe(bytes: Uint8Array, { start, end }: { start: number; end: number }, text: string): boolean {
  if (end - start - 2 < text.length) return false
  const first = bytes[start + 1]!
  return first === text.charCodeAt(0) || first === BACKSLASH || first >= 0x80 || text === ''
}

/** The number, or the other scalar, as written. */
export function rawOf(bytes: Uint8Array, span: JsonSpan): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + span.start, span.end - span.start).toString('latin1')
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

const NONE: readonly number[] = []

/** Thrown inside this file only, and caught in `document`. */
class Mismatch {
  readonly at: number
  readonly expected: string
  constructor(at: number, expected: string) {
    this.at = at
    this.expected = expected
  }
}

class Scanner {
  readonly #bytes: Uint8Array
  readonly #paths: readonly JsonPath[]
  readonly #found: (JsonSpan | null)[]
  #at = 0

  constructor(bytes: Uint8Array, paths: readonly JsonPath[]) {
    this.#bytes = bytes
    this.#paths = paths
    this.#found = paths.map(() => null)
  }

  document(): JsonScan {
    try {
      this.#space()
      this.#value(
        this.#paths.map((_, index) => index),
        0,
      )
      this.#space()
      if (this.#at < this.#bytes.length) this.#fail('the end of the document')
      return { ok: true, found: this.#found }
    } catch (error) {
      if (error instanceof Mismatch) return { ok: false, at: error.at, expected: error.expected }
      throw error
    }
  }

  /** `wanted`: indexes of the paths that lead to or through this value; `depth`: tokens already used. */
  #value(wanted: readonly number[], depth: number): void {
    const start = this.#at
    const kind = this.#scalarOrNested(wanted, depth)
    for (const index of wanted) {
      if (this.#paths[index]!.length === depth) this.#found[index] = { kind, start, end: this.#at }
    }
  }

  #scalarOrNested(wanted: readonly number[], depth: number): JsonKind {
    const byte = this.#bytes[this.#at]
    switch (byte) {
      case QUOTE:
        this.#string()
        return 'string'
      case OPEN_BRACE:
        this.#object(wanted, depth)
        return 'object'
      case OPEN_BRACKET:
        this.#array(wanted, depth)
        return 'array'
      case 0x74:
        return this.#word('true')
      case 0x66:
        return this.#word('false')
      case 0x6e:
        return this.#word('null')
      default:
        this.#number()
        return 'number'
    }
  }

  #object(wanted: readonly number[], depth: number): void {
    if (depth >= JSON_DEPTH_MAX) this.#fail(`at most ${JSON_DEPTH_MAX} levels`)
    this.#at += 1
    this.#space()
    if (this.#bytes[this.#at] === CLOSE_BRACE) {
      this.#at += 1
      return
    }
    for (;;) {
      const keyStart = this.#at
      if (this.#bytes[keyStart] !== QUOTE) this.#fail('a key in double quotes')
      this.#string()
      const inner = wanted.length === 0 ? NONE : this.#matching(wanted, depth, keyStart)
      this.#space()
      if (this.#bytes[this.#at] !== COLON) this.#fail('":" after the key')
      this.#at += 1
      this.#space()
      this.#value(inner, depth + 1)
      this.#space()
      const next = this.#bytes[this.#at]
      if (next === CLOSE_BRACE) {
        this.#at += 1
        return
      }
      if (next !== COMMA) this.#fail('"," or "}"')
      this.#at += 1
      this.#space()
    }
  }

  #array(wanted: readonly number[], depth: number): void {
    if (depth >= JSON_DEPTH_MAX) this.#fail(`at most ${JSON_DEPTH_MAX} levels`)
    this.#at += 1
    this.#space()
    if (this.#bytes[this.#at] === CLOSE_BRACKET) {
      this.#at += 1
      return
    }
    // Each item costs one comparison of numbers, whatever is wanted: 8 million items took 4 times as long
    // when every wanted token was compared with the item's number as text.
    const places = wanted.length === 0 ? NONE : wanted.map((index) => placeOf(this.#paths[index]![depth]))
    let nextWanted = nextAfter(places, -1)
    for (let item = 0; ; item += 1) {
      let inner = NONE
      if (item === nextWanted) {
        inner = wanted.filter((_, at) => places[at] === item)
        nextWanted = nextAfter(places, item)
      }
      this.#value(inner, depth + 1)
      this.#space()
      const next = this.#bytes[this.#at]
      if (next === CLOSE_BRACKET) {
        this.#at += 1
        return
      }
      if (next !== COMMA) this.#fail('"," or "]"')
      this.#at += 1
      this.#space()
    }
  }

  /** Paths that go on through the key just read; what an earlier, repeated key found is forgotten. */
  #matching(wanted: readonly number[], depth: number, keyStart: number): readonly number[] {
    const span = { kind: 'string', start: keyStart, end: this.#at } as const
    let key: string | undefined
    let inner: number[] | undefined
    for (const index of wanted) {
      const path = this.#paths[index]!
      if (path.length <= depth || !mayBe(this.#bytes, span, path[depth]!)) continue
      key ??= textOf(this.#bytes, span)
      if (path[depth] !== key) continue
      this.#found[index] = null
      inner ??= []
      inner.push(index)
    }
    return inner ?? NONE
  }

  #string(): void {
    const bytes = this.#bytes
    let at = this.#at + 1
    for (;;) {
      const byte = bytes[at]
      if (byte === QUOTE) {
        this.#at = at + 1
        return
      }
      if (byte === BACKSLASH) {
        this.#at = at
        at = this.#escape()
      } else if (byte === undefined || byte < 0x20) {
        this.#at = at
        this.#fail(byte === undefined ? 'the end of the string' : 'control characters to be escaped')
      } else {
        at += 1
      }
    }
  }

  /** At a backslash; returns the position after the escape. */
  #escape(): number {
    const byte = this.#bytes[this.#at + 1]
    if (byte === 0x75) {
      for (let digit = 2; digit < 6; digit += 1) {
        if (!isHexDigit(this.#bytes[this.#at + digit])) this.#fail('four hexadecimal digits after \\u')
      }
      return this.#at + 6
    }
    if (byte === undefined || !ESCAPES.has(byte)) this.#fail('a valid escape')
    return this.#at + 2
  }

  #number(): void {
    const bytes = this.#bytes
    let at = this.#at
    if (bytes[at] === MINUS) at += 1
    const whole = at
    at = this.#digits(at, 'a JSON value')
    if (bytes[whole] === ZERO && at > whole + 1) {
      this.#at = whole
      this.#fail('a number without leading zeros')
    }
    if (bytes[at] === DOT) at = this.#digits(at + 1, 'a digit after the decimal point')
    const exponent = bytes[at]
    if (exponent === 0x65 || exponent === 0x45) {
      const sign = bytes[at + 1]
      at = this.#digits(sign === 0x2b || sign === MINUS ? at + 2 : at + 1, 'a digit in the exponent')
    }
    this.#at = at
  }

  #digits(from: number, expected: string): number {
    const bytes = this.#bytes
    let at = from
    for (let byte = bytes[at]; byte !== undefined && byte >= ZERO && byte <= NINE; byte = bytes[at]) at += 1
    if (at === from) {
      this.#at = from
      this.#fail(expected)
    }
    return at
  }

  #word(word: 'true' | 'false' | 'null'): JsonKind {
    for (let index = 0; index < word.length; index += 1) {
      if (this.#bytes[this.#at + index] !== word.charCodeAt(index)) this.#fail('a JSON value')
    }
    this.#at += word.length
    return word
  }

  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
      this.#at += 1
    }
  }

  #fail(expected: string): never {
    throw new Mismatch(this.#at, expected)
  }
}

/** The number of an item that a token names (RFC 6901: no leading zeros); -1 when it names none. */
function placeOf(token: string | undefined): number {
  return token !== undefined && PLACE.test(token) ? Number(token) : -1
}

const PLACE = /^(?:0|[1-9]\d{0,14})$/

/** The smallest of `places` above `item`; Infinity when there is none. */
function nextAfter(places: readonly number[], item: number): number {
  let next = Number.POSITIVE_INFINITY
  for (const place of places) if (place > item && place < next) next = place
  return next
}

/** After a backslash: `"` `\` `/` b f n r t */
const ESCAPES: ReadonlySet<number> = new Set([QUOTE, BACKSLASH, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74])

function isHexDigit(byte: number | undefined): boolean {
  return (
    byte !== undefined &&
    ((byte >= ZERO && byte <= NINE) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66))
  )
}
