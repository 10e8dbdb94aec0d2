/**
 * Small pieces that rows of several record types share: closed words as numbers, milliseconds as whole
 * microseconds, ids as bytes, and limits on every string, so that no record outgrows its frame.
 */

/** A closed list of words; a word's place is its number on disk, so words are only ever added at the end. */
export class Words<W extends string> {
  readonly #words: readonly W[]
  readonly #numbers: ReadonlyMap<string, number>

  constructor(words: readonly W[]) {
    this.#words = words
    this.#numbers = new Map(words.map((word, number) => [word, number]))
  }

  /** An unknown word is kept as it is, so a record never lies about what it did not understand. */
  encode(word: W): number | string {
    return this.#numbers.get(word) ?? word
  }

  decode(value: unknown): W {
    return (typeof value === 'number' ? (this.#words[value] ?? `word-${value}`) : String(value)) as W
  }
}

/** −1 (not reached) stays −1; everything else becomes whole microseconds. */
export function toMicros(ms: number): number {
  return ms < 0 || !Number.isFinite(ms) ? -1 : Math.round(ms * 1000)
}

export function fromMicros(micros: unknown): number {
  const value = Number(micros)
  return value < 0 ? -1 : value / 1000
}

/** At most `max` UTF-16 units, never ending inside a surrogate pair. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text
  const last = text.charCodeAt(max - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isRequestId(text: string): boolean {
  return UUID.test(text)
}

/** The 16 bytes of a request id. Throws for anything else: ids are made here, so that would be a bug. */
export function idBytes(id: string): Buffer {
  const bytes = Buffer.allocUnsafe(16)
  if (id.length !== 36 || fillHex(bytes, id) !== 16) throw new Error(`not a request id: ${id}`)
  return bytes
}

/** Value of each hexadecimal digit by its character code; 255 for all others. 40 ns an id where Buffer's own costs 390. */
const HEX_VALUES = new Uint8Array(128).fill(255)
for (const digit of '0123456789abcdef') HEX_VALUES[digit.charCodeAt(0)] = Number.parseInt(digit, 16)

/** Fills `bytes` from hexadecimal digits, passing over hyphens; returns how many whole bytes were found. */
function fillHex(bytes: Buffer, text: string): number {
  let count = 0
  let high = -1
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === 0x2d) continue
    const value = code < 128 ? HEX_VALUES[code]! : 255
    if (value === 255) return -1
    if (high === -1) high = value
    else {
      bytes[count] = (high << 4) | value
      count += 1
      high = -1
    }
  }
  return high === -1 ? count : -1
}

export function idText(bytes: unknown): string {
  const hex = hexText(bytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const NO_BYTES = Buffer.alloc(0)

/** Bytes of a hexadecimal text; empty for what is none. */
export function hexBytes(hex: string): Buffer {
  if (hex === '') return NO_BYTES
  const bytes = Buffer.allocUnsafe(hex.length >> 1)
  return fillHex(bytes, hex) === bytes.length ? bytes : NO_BYTES
}

export function hexText(bytes: unknown): string {
  return bytes instanceof Uint8Array
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
    : ''
}
