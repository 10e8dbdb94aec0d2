/**
 * Gathers a body in memory, up to a limit. Copies out of a buffer it must not keep, once; a body that was
 * announced by Content-Length is trusted for its size only as far as bytes really arrive: thousands of
 * heads that announce 16 MiB each must not make anybody allocate.
 */
import { Buffer } from 'node:buffer'
import { giveBlockBack, takeBlock } from './recycled-memory.ts'

/** Announced bodies up to here are allocated whole at once; larger ones grow towards what was announced. */
const TRUSTED_BYTES_MAX = 256 * 1024
const GROWN_BYTES_MIN = 4 * 1024
/** Of a larger one, so much more than what came is taken to be on its way: most need one step, not three. */
const TRUSTED_TIMES = 4
const EMPTY = Buffer.alloc(0)

export class GatheredBytes {
  readonly #bytesMax: number
  readonly #isRecycled: boolean
  #bytes: Buffer = EMPTY
  #length = 0
  #announced = -1

  /** `isRecycled`: whoever takes the body gives its memory back when it is of no use any more. */
  constructor(bytesMax: number, { isRecycled = false } = {}) {
    this.#bytesMax = bytesMax
    this.#isRecycled = isRecycled
  }

  get length(): number {
    return this.#length
  }

  /** `announced`: Content-Length, or -1. False when that alone is over the limit. */
  begin(announced: number): boolean {
    if (this.#isRecycled) giveBlockBack(this.#bytes)
    this.#bytes = EMPTY
    this.#length = 0
    this.#announced = announced
    return announced <= this.#bytesMax
  }

  /** False when the body would become larger than the limit; it is not taken then. */
  append(buffer: Uint8Array, start: number, end: number): boolean {
    const needed = this.#length + end - start
    if (needed > this.#bytesMax) return false
    if (needed > this.#bytes.length) this.#grow(needed)
    this.#bytes.set(buffer.subarray(start, end), this.#length)
    this.#length = needed
    return true
  }

  /** The whole body; this object forgets it. */
  take(): Uint8Array {
    const bytes = this.#length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#length)
    this.#bytes = EMPTY
    this.#length = 0
    return bytes
  }

  #grow(needed: number): void {
    const capacity = this.#capacityFor(needed)
    const grown = this.#isRecycled ? takeBlock(capacity) : Buffer.allocUnsafe(capacity)
    this.#bytes.copy(grown, 0, 0, this.#length)
    if (this.#isRecycled) giveBlockBack(this.#bytes)
    this.#bytes = grown
  }

  #capacityFor(needed: number): number {
    if (this.#announced >= 0 && this.#announced <= TRUSTED_BYTES_MAX) return this.#announced
    if (this.#announced >= 0)
      return Math.min(this.#announced, Math.max(TRUSTED_TIMES * needed, GROWN_BYTES_MIN))
    return Math.max(needed, GROWN_BYTES_MIN, Math.min(2 * this.#bytes.length, this.#bytesMax))
  }
}
