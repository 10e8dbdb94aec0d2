/**
 * Walks the frames of a file in bounded memory. It does no I/O itself: the owner fills `room()` from
 * wherever the bytes come, tells how many came, and takes frames until 'short'. `at` is the file offset of
 * the next byte not yet taken. After 'bad' (or 'short' at the real end of a file) `skip()` looks for the next
 * place where a whole frame stands, so that damage is measured and what follows it is not lost.
 */
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES, type Frame, frameAt } from './frame.ts'

export const CURSOR_BYTES = 1024 * 1024

export class FrameCursor {
  readonly #buffer: Buffer
  #from = 0
  #to = 0
  /** File offset of buffer[0]. */
  #base: number

  /** `room`: what it may read into, or how many bytes of that it makes; at least two of the largest frames fit. */
  constructor(offset: number, room: number | Buffer = CURSOR_BYTES) {
    const bytes = Math.max(typeof room === 'number' ? room : 0, 2 * FRAME_BYTES_MAX)
    this.#buffer = typeof room !== 'number' && room.length >= bytes ? room : Buffer.allocUnsafeSlow(bytes)
    this.#base = offset
  }

  get at(): number {
    return this.#base + this.#from
  }

  /** File offset up to which bytes were read. */
  get filledTo(): number {
    return this.#base + this.#to
  }

  /** Starts over at `offset`, forgetting what was read. */
  seek(offset: number): void {
    this.#base = offset
    this.#from = 0
    this.#to = 0
  }

  /** Free space behind what was read. Payloads handed out before become invalid. */
  room(): Buffer {
    if (this.#from > 0) {
      this.#buffer.copyWithin(0, this.#from, this.#to)
      this.#base += this.#from
      this.#to -= this.#from
      this.#from = 0
    }
    return this.#buffer.subarray(this.#to)
  }

  added(bytes: number): void {
    this.#to += bytes
  }

  next(): Frame | 'short' | 'bad' {
    const found = frameAt(this.#buffer, this.#from, this.#to, this.#base)
    if (typeof found !== 'string') this.#from += found.bytes
    return found
  }

  /**
   * Moves forward, at least one byte, to the next whole frame and returns true; false when there is none in
   * what was read so far: the cursor then stands where a frame may still begin once more is read.
   * `accept` sorts out bytes that only look like a frame (a body may contain one).
   */
  skip(accept: (frame: Frame) => boolean, atEnd: boolean): boolean {
    for (this.#from += 1; this.#from + FRAME_HEAD_BYTES <= this.#to; this.#from += 1) {
      const found = frameAt(this.#buffer, this.#from, this.#to)
      if (found === 'bad') continue
      if (found === 'short') {
        if (atEnd) continue
        this.#from -= 1
        return false
      }
      if (accept(found)) return true
    }
    if (atEnd) this.#from = this.#to
    else this.#from -= 1
    return false
  }
}
