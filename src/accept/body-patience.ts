/**
 * Ends the wait for bodies that come too slowly, so that a slow sender holds a connection for a bounded time
 * and is told why. The server would end it after 8 to 12 s without a word and without a record; its timer is
 * put off (server-timer.ts tells how) as long as a body is waited for here.
 *
 * One entry in the lane's sweep for all bodies. A body that arrives with its head costs a push and a pop.
 */
import type { Sweep, Watched } from '../kernel/sweep.ts'

/** In each span of this length, in ms, … */
export const BODY_SPAN_MS = 8_000
/** … a body brings at least so many bytes (16 KiB/s), or its end. */
export const BODY_SPAN_BYTES_MIN = 128 * 1024
/** How often bodies are looked at, in ms. */
export const BODY_LOOK_MS = 500
/** The server's own timer ends a connection 8 s after it was set, at the earliest. */
const PUT_OFF_MS = 3_000

/** A body that is not complete. `place` and the times belong to the patience. */
export interface Awaited {
  place: number
  /** Monotonic ms; -1 until it was looked at. */
  spanStartedAt: number
  spanStartedBytes: number
  putOffAt: number
  readonly bytesReceived: number
  /** Keep the server from ending the connection. */
  putOff(): void
  /** Looked at, still coming. */
  looked(): void
  /** Too slow; it is no longer waited for. */
  tooSlow(): void
}

export class BodyPatience implements Watched {
  /** At first with the next sweep: this folder reads no clock. */
  dueAt = 0
  slot = -1
  readonly #sweep: Sweep
  readonly #awaited: Awaited[] = []

  constructor(sweep: Sweep) {
    this.#sweep = sweep
  }

  wait(body: Awaited): void {
    body.place = this.#awaited.length
    this.#awaited.push(body)
    if (this.slot !== -1) return
    this.dueAt = 0
    this.#sweep.watch(this)
  }

  /** It is complete, refused, or its client has left. */
  stop(body: Awaited): void {
    const { place } = body
    if (place === -1) return
    const last = this.#awaited.pop()!
    if (last !== body) {
      this.#awaited[place] = last
      last.place = place
    }
    body.place = -1
  }

  expire(now: number): void {
    for (let index = this.#awaited.length - 1; index >= 0; index -= 1) {
      const body = this.#awaited[index]
      if (body !== undefined) this.#look(body, now)
    }
    if (this.#awaited.length === 0) return
    this.dueAt = now + BODY_LOOK_MS
    this.#sweep.watch(this)
  }

  #look(body: Awaited, now: number): void {
    if (body.spanStartedAt === -1) {
      body.spanStartedAt = now
      body.putOffAt = now
    }
    if (now - body.spanStartedAt >= BODY_SPAN_MS) {
      if (body.bytesReceived - body.spanStartedBytes < BODY_SPAN_BYTES_MIN) {
        this.stop(body)
        return body.tooSlow()
      }
      body.spanStartedAt = now
      body.spanStartedBytes = body.bytesReceived
    }
    if (now - body.putOffAt >= PUT_OFF_MS) {
      body.putOffAt = now
      body.putOff()
    }
    body.looked()
  }
}
