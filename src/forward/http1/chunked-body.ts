/**
 * Takes the chunks off a chunked body (RFC 9112 §7.1), over any splits, as ranges of the buffer it is
 * fed; it copies and keeps nothing but a few numbers and, for trailers, its LineBlock.
 *
 * Sizes are hex digits and nothing else, lines end in CRLF and nothing else, extensions and trailers are
 * bounded, checked and thrown away (SPEC.md R3, R11, R12).
 */
import type { Buffer } from 'node:buffer'
import { checkTrailers } from './answer-head.ts'
import { isTokenByte } from './field.ts'
import { CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX } from './limits.ts'
import { LineBlock } from './line-block.ts'

const CR = 0x0d
const LF = 0x0a
const SEMICOLON = 0x3b
const TAB = 0x09
const SPACE = 0x20
const DELETE = 0x7f
const QUOTE = 0x22
const BACKSLASH = 0x5c
const EQUALS = 0x3d

/** `;name`, `;name=value`, `;name="value"`: which part of an extension comes next (RFC 9112 §7.1.1). */
type ExtensionPhase = 'name' | 'in-name' | 'value' | 'in-value' | 'quoted' | 'escaped' | 'quoted-end'
type Phase = 'size' | ExtensionPhase | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers'

export class ChunkedBody {
  /** First byte not yet read, after `next` returned. */
  position = 0
  /** After 'body': where in the buffer the bytes are. */
  bodyStart = 0
  bodyEnd = 0
  problem = ''
  #phase: Phase = 'size'
  #size = 0
  #digits = 0
  #extensionBytes = 0
  readonly #trailers = new LineBlock()

  reset(): void {
    this.#phase = 'size'
    this.#size = 0
    this.#digits = 0
    this.#extensionBytes = 0
    this.#trailers.reset(false)
  }

  next(buffer: Buffer, start: number, end: number): 'more' | 'body' | 'end' | 'malformed' {
    let position = start
    while (position < end) {
      if (this.#phase === 'data') return this.#data(position, end)
      if (this.#phase === 'trailers') return this.#readTrailers(buffer, position, end)
      if (!this.#line(buffer[position]!)) return 'malformed'
      position += 1
    }
    this.position = position
    return 'more'
  }

  #data(start: number, end: number): 'body' {
    const taken = Math.min(this.#size, end - start)
    this.#size -= taken
    if (this.#size === 0) this.#phase = 'data-cr'
    this.bodyStart = start
    this.bodyEnd = start + taken
    this.position = this.bodyEnd
    return 'body'
  }

  #readTrailers(buffer: Buffer, start: number, end: number): 'more' | 'end' | 'malformed' {
    const after = this.#trailers.read(buffer, start, end)
    if (after === -2) {
      this.problem = this.#trailers.problem
      return 'malformed'
    }
    this.position = after === -1 ? end : after
    if (after === -1) return 'more'
    this.problem = checkTrailers(this.#trailers.text)
    return this.problem === '' ? 'end' : 'malformed'
  }

  /** One byte of what is between the data: the size line, and the CRLF after a chunk. */
  #line(byte: number): boolean {
    switch (this.#phase) {
      case 'size':
        return this.#sizeByte(byte)
      case 'size-lf':
        if (byte !== LF) return this.#broken('a CR without LF in a chunk line')
        this.#phase = this.#size === 0 ? 'trailers' : 'data'
        return true
      case 'data-cr':
        if (byte !== CR) return this.#broken('a chunk longer than its size')
        this.#phase = 'data-lf'
        return true
      case 'data-lf':
        if (byte !== LF) return this.#broken('a CR without LF after a chunk')
        this.#phase = 'size'
        this.#digits = 0
        return true
      default:
        return this.#extensionByte(byte)
    }
  }

  #sizeByte(byte: number): boolean {
    const digit = hexValue(byte)
    if (digit !== -1) {
      this.#digits += 1
      if (this.#digits > CHUNK_SIZE_DIGITS_MAX) return this.#broken('a chunk size with too many digits')
      this.#size = this.#size * 16 + digit
      return true
    }
    if (this.#digits === 0) return this.#broken('a chunk size that is not hexadecimal')
    if (byte === CR) this.#phase = 'size-lf'
    else if (byte === SEMICOLON) this.#phase = 'name'
    else return this.#broken('a chunk size that is not hexadecimal')
    return true
  }

  /** Spaces that the RFC calls bad and lets a reader remove are refused, as other readers do. */
  #extensionByte(byte: number): boolean {
    const phase = this.#phase
    if (byte === CR && (phase === 'in-name' || phase === 'in-value' || phase === 'quoted-end')) {
      this.#phase = 'size-lf'
      return true
    }
    this.#extensionBytes += 1
    if (this.#extensionBytes > CHUNK_EXTENSION_BYTES_MAX) return this.#broken('too many chunk extensions')
    const next = afterExtensionByte(phase, byte)
    if (next === undefined) return this.#broken('a malformed chunk extension')
    this.#phase = next
    return true
  }

  #broken(problem: string): false {
    this.problem = problem
    return false
  }
}

function afterExtensionByte(phase: Phase, byte: number): ExtensionPhase | undefined {
  switch (phase) {
    case 'quoted':
      if (byte === QUOTE) return 'quoted-end'
      if (byte === BACKSLASH) return 'escaped'
      return isText(byte) ? 'quoted' : undefined
    case 'escaped':
      return isText(byte) ? 'quoted' : undefined
    case 'value':
      if (byte === QUOTE) return 'quoted'
      return isTokenByte(byte) ? 'in-value' : undefined
    case 'quoted-end':
      return byte === SEMICOLON ? 'name' : undefined
    case 'in-value':
      if (byte === SEMICOLON) return 'name'
      return isTokenByte(byte) ? 'in-value' : undefined
    default:
      if (phase === 'in-name' && byte === SEMICOLON) return 'name'
      if (phase === 'in-name' && byte === EQUALS) return 'value'
      return isTokenByte(byte) ? 'in-name' : undefined
  }
}

function isText(byte: number): boolean {
  return (byte >= SPACE || byte === TAB) && byte !== DELETE
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
