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

/** Of a text that is longer than `max` UTF-16 units, how many to keep so that no surrogate pair is cut. */
export function clippedLength(text: string, max: number): number {
  const last = text.charCodeAt(max - 1)
  return last >= 0xd800 && last <= 0xdbff ? max - 1 : max
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isRequestId(text: string): boolean {
  return UUID.test(text)
}

/** The 16 bytes of a request id. Throws for anything else. */
export function idBytes(id: string): Buffer {
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex')
  if (!isRequestId(id) || bytes.length !== 16) throw new Error(`not a request id: ${id}`)
  return bytes
}

export function idText(bytes: unknown): string {
  const hex = hexText(bytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

export function hexText(bytes: unknown): string {
  return bytes instanceof Uint8Array
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
    : ''
}
