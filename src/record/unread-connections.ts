/**
 * Connections that ended before a request of theirs could be read: refused by the HTTP server in its own words, or
 * given up, or only a probe; which of these cannot be told. Each leaves a record with its peer's address, but at most
 * one in TOLD_EVERY_MS: the next one counts those in between, so that nobody fills the log by connecting.
 */
import type { Recorder } from './recorder.ts'

export const TOLD_EVERY_MS = 100

export class UnreadConnections {
  readonly #recorder: Pick<Recorder, 'event'>
  readonly #lane: number
  #toldAt = Number.NEGATIVE_INFINITY
  #untold = 0
  #lastAddress = ''
  #isClosed = false

  constructor(recorder: Pick<Recorder, 'event'>, lane: number) {
    this.#recorder = recorder
    this.#lane = lane
  }

  /** `now`: monotonic ms; `wall`: Unix ms. */
  ended(address: string, now: number, wall: number): void {
    if (this.#isClosed) return
    this.#untold += 1
    this.#lastAddress = address
    if (now - this.#toldAt < TOLD_EVERY_MS) return
    this.#toldAt = now
    this.flush(wall)
  }

  /** The gateway ends them itself from now on; that is nothing to tell. */
  close(wall: number): void {
    this.flush(wall)
    this.#isClosed = true
  }

  /** Tells what no later one has told; to be called now and then. */
  flush(wall: number): void {
    if (this.#untold === 0) return
    const note = { at: wall, lane: this.#lane, address: this.#lastAddress, connections: this.#untold }
    this.#untold = 0
    this.#recorder.event('unread', note)
  }
}
