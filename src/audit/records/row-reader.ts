/**
 * Reads msgpack values into plain arrays, numbers and texts: the counterpart of RowWriter, for whoever goes through millions
 * of records. Texts that were met before are not made again: records of one model share nearly all of theirs. The
 * general unpacker makes each anew, and takes three times as long.
 */
/** Texts that are remembered, each of at most so many bytes; one that falls into the same place as another replaces it. */
const TEXTS_MAX = 4096
const TEXT_BYTES_MAX = 256
/** Arrays and maps within one another. */
const DEPTH_MAX = 16

export class NotMsgpack extends Error {
  override readonly name = 'NotMsgpack'
}

export class RowReader {
  readonly #texts = new Array<string>(TEXTS_MAX).fill('')
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  #depth = 0

  /**
   * The value that fills `bytes` from `at` on; what follows it is not looked at. Byte strings are copies. Maps become Maps.
   * Throws NotMsgpack where there is none.
   */
  read(bytes: Buffer, at = 0): unknown {
    this.#bytes = bytes
    this.#at = at
    this.#end = bytes.length
    this.#depth = 0
    return this.#value()
  }

  #value(): unknown {
    const head = this.#bytes[this.#take(1)]!
    if (head < 0x80) return head
    if (head >= 0xe0) return head - 0x100
    if (head >= 0xa0 && head < 0xc0) return this.#text(head & 0x1f)
    if (head >= 0x90) return head < 0xa0 ? this.#array(head & 0x0f) : this.#other(head)
    return this.#map(head & 0x0f)
  }

  #other(head: number): unknown {
    const bytes = this.#bytes
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#binary(this.#length(1))
      case 0xc5:
        return this.#binary(this.#length(2))
      case 0xc6:
        return this.#binary(this.#length(4))
      case 0xca:
        return bytes.readFloatBE(this.#take(4))
      case 0xcb:
        return bytes.readDoubleBE(this.#take(8))
      case 0xcc:
        return this.#length(1)
      case 0xcd:
        return this.#length(2)
      case 0xce:
        return this.#length(4)
      case 0xcf:
        return Number(bytes.readBigUInt64BE(this.#take(8)))
      case 0xd0:
        return bytes.readInt8(this.#take(1))
      case 0xd1:
        return bytes.readInt16BE(this.#take(2))
      case 0xd2:
        return bytes.readInt32BE(this.#take(4))
      case 0xd3:
        return Number(bytes.readBigInt64BE(this.#take(8)))
      case 0xd9:
        return this.#text(this.#length(1))
      case 0xda:
        return this.#text(this.#length(2))
      case 0xdb:
        return this.#text(this.#length(4))
      case 0xdc:
        return this.#array(this.#length(2))
      case 0xdd:
        return this.#array(this.#length(4))
      case 0xde:
        return this.#map(this.#length(2))
      case 0xdf:
        return this.#map(this.#length(4))
      default:
        throw new NotMsgpack(`a value that begins with 0x${head.toString(16)}`)
    }
  }

  /** Where the next `length` bytes begin. */
  #take(length: number): number {
    const at = this.#at
    if (length > this.#end - at) throw new NotMsgpack('the bytes end within a value')
    this.#at = at + length
    return at
  }

  #length(bytes: 1 | 2 | 4): number {
    const at = this.#take(bytes)
    const from = this.#bytes
    if (bytes === 1) return from[at]!
    const two = (from[at]! << 8) | from[at + 1]!
    return bytes === 2 ? two : two * 0x1_0000 + ((from[at + 2]! << 8) | from[at + 3]!)
  }

  #array(count: number): unknown[] {
    // Each value takes a byte: what cannot be there is not made room for.
    if (count > this.#end - this.#at) throw new NotMsgpack('the bytes end within an array')
    this.#deeper()
    const values: unknown[] = []
    for (let index = 0; index < count; index += 1) values.push(this.#value())
    this.#depth -= 1
    return values
  }

  #map(count: number): Map<unknown, unknown> {
    this.#deeper()
    const values = new Map<unknown, unknown>()
    for (let index = 0; index < count; index += 1) values.set(this.#value(), this.#value())
    this.#depth -= 1
    return values
  }

  #deeper(): void {
    this.#depth += 1
    if (this.#depth > DEPTH_MAX) throw new NotMsgpack(`more than ${DEPTH_MAX} arrays within one another`)
  }

  #binary(length: number): Uint8Array {
    const at = this.#take(length)
    const copy = new Uint8Array(length)
    for (let index = 0; index < length; index += 1) copy[index] = this.#bytes[at + index]!
    return copy
  }

  #text(length: number): string {
    const at = this.#take(length)
    if (length === 0) return ''
    const bytes = this.#bytes
    const end = at + length
    if (length > TEXT_BYTES_MAX) return bytes.toString('utf8', at, end)
    let hash = length
    let bits = 0
    for (let index = at; index < end; index += 1) {
      const byte = bytes[index]!
      hash = Math.imul(hash, 31) + byte
      bits |= byte
    }
    if (bits >= 0x80) return bytes.toString('utf8', at, end)
    const place = (hash ^ (hash >>> 12)) & (TEXTS_MAX - 1)
    const known = this.#texts[place]!
    if (isSame(known, bytes, at, length)) return known
    const text = bytes.toString('latin1', at, end)
    this.#texts[place] = text
    return text
  }
}

/** `known` is ASCII. */
function isSame(known: string, bytes: Buffer, at: number, length: number): boolean {
  if (known.length !== length) return false
  for (let index = 0; index < length; index += 1)
    if (known.charCodeAt(index) !== bytes[at + index]) return false
  return true
}
