/**
 * UUIDv7 (RFC 9562 §5.7): sortable by time, unique over lanes and restarts. Built from a counter and
 * a per-lane random part drawn once, so an id costs no system call; ids are names, not secrets.
 */
import { randomBytes } from 'node:crypto'

const COUNTER_MAX = 0x1_0000_0000

export class RequestIds {
  readonly #node: string
  #counter: number
  #timeMs = Number.NaN
  #time = ''

  /** `seed`: six bytes that differ between lanes and starts. */
  constructor(seed: Uint8Array = randomBytes(6)) {
    const hex = Buffer.from(seed).toString('hex').padStart(12, '0')
    this.#node = hex.slice(0, 8)
    this.#counter = Number.parseInt(hex.slice(8), 16)
  }

  /** `wallMs`: Unix milliseconds. */
  next(wallMs: number): string {
    this.#counter = (this.#counter + 1) % COUNTER_MAX
    const counter = this.#counter.toString(16).padStart(8, '0')
    return `${this.#timeText(wallMs)}-7${counter.slice(0, 3)}-8${counter.slice(3, 6)}-${counter.slice(6)}00${this.#node}`
  }

  /** Made once for all requests of a millisecond. */
  #timeText(wallMs: number): string {
    if (wallMs !== this.#timeMs) {
      const time = Math.floor(wallMs).toString(16).padStart(12, '0')
      this.#timeMs = wallMs
      this.#time = `${time.slice(0, 8)}-${time.slice(8)}`
    }
    return this.#time
  }
}
