/**
 * Puts off the server's own timer while a client takes its time. The server ends a connection 8 to 12 s after it had
 * to keep something back, unless the kernel tells of room meanwhile. But the kernel holds up to 4 MiB and tells of
 * room when a third of that has left: a client that reads 100 KiB/s would be cut off in the middle of its answer.
 *
 * Pausing and resuming at once sets the timer anew and changes nothing else. Resuming alone would leave the
 * connection unread, so that its end goes unnoticed (both measured, 20.51.4).
 */
import type { HttpResponse } from 'uWebSockets.js'
import type { Sweep, Watched } from '../kernel/sweep.ts'

export const PUT_OFF_MS = 4_000

export class ServerTimer implements Watched {
  /** At first with the next sweep: this folder reads no clock. */
  dueAt = 0
  slot = -1
  readonly #http: HttpResponse
  readonly #sweep: Sweep
  #timesLeft = 0
  #tooLong: () => void = () => {}

  constructor(http: HttpResponse, sweep: Sweep) {
    this.#http = http
    this.#sweep = sweep
  }

  /** From now on; `tooLong` is called after `times` sweeps in a row of PUT_OFF_MS, unless it is asked for again. */
  putOff(times: number, tooLong: () => void): void {
    this.#timesLeft = times
    this.#tooLong = tooLong
    this.#sweep.watch(this)
  }

  /** Before the response is ended or closed: it must not be touched any more. */
  leaveAlone(): void {
    this.#sweep.unwatch(this)
  }

  expire(now: number): void {
    if (this.#timesLeft === 0) return this.#tooLong()
    this.#timesLeft -= 1
    this.#http.pause()
    this.#http.resume()
    this.dueAt = now + PUT_OFF_MS
    this.#sweep.watch(this)
  }
}
