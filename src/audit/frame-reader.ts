/**
 * Reads the frames of one file up to a limit and measures what is damaged in between: frames after a damaged
 * stretch are found again and returned, the stretch is put on `damages`. Sequences only grow; a frame that
 * does not fit the order is treated as damage, so nothing is returned twice.
 */
import type { Disk } from './disk.ts'
import type { Frame } from './frame.ts'
import { CURSOR_BYTES, FrameCursor } from './frame-cursor.ts'
import type { Damage } from './torn.ts'

/** A sequence this far ahead is noise that happens to have a good checksum. */
const LEAP_MAX = 0x1_0000_0000

export class FrameReader {
  readonly damages: Damage[] = []
  readonly #disk: Disk
  readonly #fd: number
  readonly #cursor: FrameCursor
  #last: number

  /** `last`: sequence before the first frame that is expected. `room`: as for `FrameCursor`. */
  constructor(disk: Disk, fd: number, place: { at: number; last: number; room?: number | Buffer }) {
    this.#disk = disk
    this.#fd = fd
    this.#cursor = new FrameCursor(place.at, place.room ?? CURSOR_BYTES)
    this.#last = place.last
  }

  get at(): number {
    return this.#cursor.at
  }

  get last(): number {
    return this.#last
  }

  /** The next whole frame that ends at or before `limit`; undefined when there is none left. */
  next(limit: number): Frame | undefined {
    for (;;) {
      const found = this.#cursor.next()
      if (typeof found !== 'string') {
        if (this.#fits(found)) return this.#took(found)
        this.#cursor.seek(found.at)
        this.#fill(limit)
        return this.#afterDamage(limit)
      }
      if (found === 'short') {
        if (this.#fill(limit) > 0) continue
        if (this.#cursor.at >= limit) return undefined
      }
      return this.#afterDamage(limit)
    }
  }

  #afterDamage(limit: number): Frame | undefined {
    const at = this.#cursor.at
    const accept = (frame: Frame) => this.#fits(frame)
    for (let isWhole = false; ; isWhole = this.#fill(limit) === 0) {
      if (this.#cursor.skip(accept, isWhole)) {
        this.damages.push({ at, bytes: this.#cursor.at - at, where: 'middle' })
        return this.#took(this.#cursor.next() as Frame)
      }
      if (!isWhole) continue
      this.damages.push({ at, bytes: this.#cursor.filledTo - at, where: 'tail' })
      this.#cursor.seek(limit)
      return undefined
    }
  }

  #took(frame: Frame): Frame {
    this.#last = frame.sequence
    return frame
  }

  #fits(frame: Frame): boolean {
    return frame.sequence > this.#last && frame.sequence - this.#last <= LEAP_MAX
  }

  #fill(limit: number): number {
    const room = this.#cursor.room()
    const wanted = Math.min(room.length, limit - this.#cursor.filledTo)
    if (wanted <= 0) return 0
    const read = this.#disk.read(this.#fd, room, wanted, this.#cursor.filledTo)
    this.#cursor.added(read)
    return read
  }
}

/** The next frame, and how many sequences are missing before it. */
export function nextCounted(reader: FrameReader, limit: number): { frame: Frame; gap: number } | undefined {
  const before = reader.last
  const frame = reader.next(limit)
  return frame === undefined ? undefined : { frame, gap: frame.sequence - before - 1 }
}
