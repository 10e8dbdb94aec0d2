/**
 * Comments in a stream of events while the caller waits for the first content: proxies and clients between
 * give up on a connection that is silent for long. A comment (`:` to the end of the line) is no event; readers
 * skip it. Sent only between events, never once content has come, and only where `stream.keep_alive` asks.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'

export const COMMENT: Uint8Array = Buffer.from(': keep-alive\n\n')

const LF = 0x0a
const CR = 0x0d

export class KeepAlive implements Watched {
  dueAt: number
  slot = -1
  readonly #parts: { readonly clock: Clock; readonly sweep: Sweep; readonly everyMs: number }
  readonly #beat: () => void

  /** `beat` is called every `everyMs` until `stop`. */
  constructor(
    parts: { readonly clock: Clock; readonly sweep: Sweep; readonly everyMs: number },
    beat: () => void,
  ) {
    this.#parts = parts
    this.#beat = beat
    this.dueAt = parts.clock.now() + parts.everyMs
    parts.sweep.watch(this)
  }

  expire(now: number): void {
    this.dueAt = now + this.#parts.everyMs
    this.#parts.sweep.watch(this)
    this.#beat()
  }

  stop(): void {
    this.#parts.sweep.unwatch(this)
  }
}

/** CR LF LF is the longest end of an event that a piece of fewer bytes would not show. */
const TAIL_BYTES = 3

/** Tells, piece by piece, whether what follows begins a new event: what came ends with an empty line, or is nothing. */
export class EventEdge {
  #tail: Uint8Array = new Uint8Array(0)

  isAt = true

  follow(bytes: Uint8Array): void {
    const seen = bytes.length >= TAIL_BYTES ? bytes : Buffer.concat([this.#tail, bytes])
    this.isAt = endsAnEvent(seen)
    // A copy: the bytes are overwritten by the next read.
    this.#tail = new Uint8Array(seen.subarray(Math.max(0, seen.length - TAIL_BYTES)))
  }
}

function endsAnEvent(bytes: Uint8Array): boolean {
  const last = bytes.length - 1
  if (bytes[last] === CR) return bytes[last - 1] === CR
  if (bytes[last] !== LF) return false
  return bytes[last - 1] === LF || (bytes[last - 1] === CR && bytes[last - 2] === LF)
}
