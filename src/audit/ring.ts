/**
 * Hands bodies and sticky keys from a lane to the writer thread, which computes their keyed digests. They
 * never touch the disk. One producer, one consumer, no waiting on either side: what does not fit is refused
 * and the record says so.
 *
 * Positions count bytes modulo 2^32 over a power-of-two buffer. An entry is `sequence u32 | kind and length u32
 * | bytes`, padded to 8; it becomes visible with one atomic store. A record's entries are published before its
 * frame, so whoever reads the frame finds them.
 */
import { assert } from '../kernel/assert.ts'

const HEAD = 0
const TAIL = 1
const CONTROL_BYTES = 64
const ENTRY_BYTES = 8
const KIND_SHIFT = 28
const LENGTH_MASK = 0x0fff_ffff

/** What a digest is of; also its place in a record's list of digests. */
export const DIGEST_KINDS = ['key', 'request', 'answer'] as const
export const KEY_DIGEST = 0
export const REQUEST_DIGEST = 1
export const ANSWER_DIGEST = 2

/** Room for about 15,000 entries of 512 B: a quarter of a second at 20,000 requests/s. */
export const RING_BYTES = 8 * 1024 * 1024

export interface RingEntry {
  /** Low 32 bits of the lane sequence. */
  readonly sequence: number
  readonly kind: number
  /** One part, or two where the entry wraps around. Valid until `release`. */
  readonly parts: readonly Uint8Array[]
}

export function ringMemory(bytes: number = RING_BYTES): SharedArrayBuffer {
  assert(Number.isInteger(Math.log2(bytes)), 'a ring’s size is a power of two')
  return new SharedArrayBuffer(CONTROL_BYTES + bytes)
}

class RingView {
  readonly control: Int32Array
  readonly bytes: Uint8Array
  readonly heads: DataView
  readonly mask: number

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, CONTROL_BYTES / 4)
    this.bytes = new Uint8Array(memory, CONTROL_BYTES)
    this.heads = new DataView(memory, CONTROL_BYTES)
    this.mask = this.bytes.length - 1
  }
}

const paddedBytes = (length: number): number => ENTRY_BYTES + ((length + 7) & ~7)

export class RingProducer {
  readonly #ring: RingView
  /** Half the ring: one large body must not push out all others. */
  readonly entryBytesMax: number

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new RingView(memory)
    this.entryBytesMax = this.#ring.bytes.length / 2
  }

  /** False when there is no room now. */
  offer(sequence: number, kind: number, bytes: Uint8Array): boolean {
    const at = this.#claim(sequence, kind, bytes.length)
    if (at === -1) return false
    this.#copy(bytes, at)
    this.#publish(bytes.length)
    return true
  }

  /** The same of several parts, which make one entry: all of them or none. */
  offerTogether(sequence: number, kind: number, parts: readonly Uint8Array[]): boolean {
    let length = 0
    for (const part of parts) length += part.length
    let at = this.#claim(sequence, kind, length)
    if (at === -1) return false
    for (const part of parts) {
      this.#copy(part, at)
      at = (at + part.length) & this.#ring.mask
    }
    this.#publish(length)
    return true
  }

  /** Where the bytes of an entry go; -1 when they find no room. */
  #claim(sequence: number, kind: number, length: number): number {
    const { control, heads, mask } = this.#ring
    const head = control[HEAD]!
    const used = (head - Atomics.load(control, TAIL)) >>> 0
    if (length > this.entryBytesMax || used + paddedBytes(length) > mask + 1) return -1
    const at = head & mask
    heads.setUint32(at, sequence >>> 0, true)
    heads.setUint32(at + 4, ((kind << KIND_SHIFT) | length) >>> 0, true)
    return (at + ENTRY_BYTES) & mask
  }

  #publish(length: number): void {
    const { control } = this.#ring
    Atomics.store(control, HEAD, (control[HEAD]! + paddedBytes(length)) | 0)
  }

  #copy(from: Uint8Array, at: number): void {
    const { bytes } = this.#ring
    const first = Math.min(from.length, bytes.length - at)
    bytes.set(first === from.length ? from : from.subarray(0, first), at)
    if (first < from.length) bytes.set(from.subarray(first), 0)
  }
}

export class RingConsumer {
  readonly #ring: RingView

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new RingView(memory)
  }

  /** The oldest entry, still in the ring; undefined when it is empty. */
  peek(): RingEntry | undefined {
    const { control, heads, bytes, mask } = this.#ring
    const tail = control[TAIL]!
    if (Atomics.load(control, HEAD) === tail) return undefined
    const at = tail & mask
    const second = heads.getUint32(at + 4, true)
    const length = second & LENGTH_MASK
    const from = (at + ENTRY_BYTES) & mask
    const first = Math.min(length, bytes.length - from)
    const parts = [bytes.subarray(from, from + first)]
    if (first < length) parts.push(bytes.subarray(0, length - first))
    return { sequence: heads.getUint32(at, true), kind: second >>> KIND_SHIFT, parts }
  }

  /** Gives the oldest entry's room back. */
  release(): void {
    const { control, heads, mask } = this.#ring
    const tail = control[TAIL]!
    const length = heads.getUint32((tail & mask) + 4, true) & LENGTH_MASK
    Atomics.store(control, TAIL, (tail + paddedBytes(length)) | 0)
  }
}
