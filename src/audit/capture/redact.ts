/**
 * Blanks places of a JSON body before it may be kept. The rest stays byte for byte as it was sent: numbers
 * keep their digits and keys their order. Of repeated keys every one is blanked, and an escaped key is the
 * key it stands for, so no spelling of a body hides a value from its path.
 *
 * Paths are JSON pointers (RFC 6901); the token `*` stands for every member or item. The body must be well-formed: what
 * is not JSON cannot be redacted, and is then not kept at all.
 */
import { isUtf8 } from 'node:buffer'
import { type JsonPath, scanJson } from '../../kernel/json-scan.ts'

export const BLANK = '"[redacted]"'

export interface Redacted {
  readonly bytes: Uint8Array
  /** Which of the paths led to a value, by their place in the list; ascending. */
  readonly hits: readonly number[]
}

/** Null when `bytes` are no JSON. */
export function redact(bytes: Uint8Array, paths: readonly JsonPath[]): Redacted | null {
  if (!isUtf8(bytes) || !scanJson(bytes, []).ok) return null
  const walk = new Walk(bytes, paths)
  walk.whole()
  const hits = [...walk.hits].sort((one, other) => one - other)
  if (walk.cuts.length === 0) return { bytes, hits }
  const parts: Uint8Array[] = []
  const blank = Buffer.from(BLANK)
  let from = 0
  for (const { start, end } of walk.cuts) {
    parts.push(bytes.subarray(from, start), blank)
    from = end
  }
  parts.push(bytes.subarray(from))
  return { bytes: Buffer.concat(parts), hits }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const NONE: readonly number[] = []

/** Over bytes that are known to be JSON: nothing is checked again. */
class Walk {
  readonly #bytes: Uint8Array
  readonly #paths: readonly JsonPath[]
  /** In order, none inside another. */
  readonly cuts: { readonly start: number; readonly end: number }[] = []
  readonly hits = new Set<number>()
  #at = 0

  constructor(bytes: Uint8Array, paths: readonly JsonPath[]) {
    this.#bytes = bytes
    this.#paths = paths
  }

  whole(): void {
    this.#space()
    this.#value(
      this.#paths.map((_, index) => index),
      0,
    )
  }

  /** `wanted`: paths that lead to or through this value, of which `depth` tokens are used. */
  #value(wanted: readonly number[], depth: number): void {
    const start = this.#at
    const here = wanted.filter((index) => this.#paths[index]!.length === depth)
    const isCut = here.length > 0
    const inner = isCut ? NONE : wanted
    const byte = this.#bytes[start]
    if (byte === QUOTE) this.#string()
    else if (byte === OPEN_BRACE) this.#members(inner, depth, (key) => JSON.parse(key) as string)
    else if (byte === OPEN_BRACKET) this.#members(inner, depth, null)
    else this.#plain()
    if (!isCut) return
    for (const index of here) this.hits.add(index)
    this.cuts.push({ start, end: this.#at })
  }

  /** Of an object (`keyOf` reads a key's text) or an array (null). */
  #members(wanted: readonly number[], depth: number, keyOf: ((raw: string) => string) | null): void {
    this.#at += 1
    this.#space()
    for (let item = 0; !this.#isClosing(); item += 1) {
      const keyStart = this.#at
      if (keyOf !== null) this.#string()
      const raw = this.#bytes.subarray(keyStart, this.#at)
      if (keyOf !== null) this.#after()
      const inner = wanted.length === 0 ? NONE : this.#through(wanted, depth, () => nameOf(raw, item, keyOf))
      this.#value(inner, depth + 1)
      this.#space()
      if (this.#bytes[this.#at] === COMMA) this.#after()
    }
    this.#at += 1
  }

  #through(wanted: readonly number[], depth: number, name: () => string): readonly number[] {
    const own = name()
    return wanted.filter((index) => {
      const token = this.#paths[index]![depth]
      return token === '*' || token === own
    })
  }

  #isClosing(): boolean {
    const byte = this.#bytes[this.#at]
    return byte === OPEN_BRACE + 2 || byte === OPEN_BRACKET + 2
  }

  /** Past one sign (`:` or `,`), with blanks on both sides of it. */
  #after(): void {
    this.#space()
    this.#at += 1
    this.#space()
  }

  #string(): void {
    let at = this.#at + 1
    for (let byte = this.#bytes[at]; byte !== QUOTE; byte = this.#bytes[at]) at += byte === BACKSLASH ? 2 : 1
    this.#at = at + 1
  }

  /** A number or a word: up to what can follow a value. */
  #plain(): void {
    let at = this.#at
    for (let byte = this.#bytes[at]; isPlain(byte); byte = this.#bytes[at]) at += 1
    this.#at = at
  }

  #space(): void {
    while (isSpace(this.#bytes[this.#at])) this.#at += 1
  }
}

function nameOf(raw: Uint8Array, item: number, keyOf: ((raw: string) => string) | null): string {
  return keyOf === null ? String(item) : keyOf(Buffer.from(raw).toString('utf8'))
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Digits, signs and letters of numbers and words. */
function isPlain(byte: number | undefined): boolean {
  return byte !== undefined && byte !== COMMA && byte !== 0x7d && byte !== 0x5d && !isSpace(byte)
}
