/**
 * Cuts a stream of server-sent events (WHATWG HTML §9.2) into events, however its bytes arrive: lines end with CR, LF
 * or CRLF, an event ends with an empty line. Each finished event is handed on whole, in the push that finished it.
 *
 * Holds one unfinished event of at most EVENT_BYTES_MAX. A longer one is handed on unseen, piece by piece, and the next
 * is seen again. Whatever way the same bytes are cut, the same is handed on: test/protocols/openai/tap.test.ts.
 */
import { GatheredBytes } from '../kernel/gathered-bytes.ts'

export const EVENT_BYTES_MAX = 256 * 1024

export interface EventSink {
  /** With the empty line that ends it. A view: valid during the call, and until the pushed bytes are. */
  event(bytes: Uint8Array): void
  /** Part of an event that is too long to be seen; or the LF of a CRLF whose CR ended the event before. */
  unseen(bytes: Uint8Array): void
}

const LF = 0x0a
const CR = 0x0d
const NOTHING = new Uint8Array(0)

export class EventFramer {
  readonly #sink: EventSink
  readonly #held = new GatheredBytes(EVENT_BYTES_MAX)
  /** Of the event under way, held or not. */
  #length = 0
  #isTooLong = false
  #isLineEmpty = true
  #isAfterCr = false

  constructor(sink: EventSink) {
    this.#sink = sink
    this.#held.begin(-1)
  }

  /** Nothing of an event is under way. */
  get isBetween(): boolean {
    return this.#length === 0
  }

  push(bytes: Uint8Array): void {
    let start = this.#afterCr(bytes)
    let isLineEmpty = this.#isLineEmpty
    for (let at = start; at < bytes.length; at += 1) {
      const byte = bytes[at]!
      if (byte !== LF && byte !== CR) {
        isLineEmpty = false
        continue
      }
      const isPair = byte === CR && bytes[at + 1] === LF
      this.#isAfterCr = byte === CR && at + 1 === bytes.length
      if (isLineEmpty) {
        this.#finish(bytes.subarray(start, at + 1))
        start = at + 1
        if (isPair) {
          this.#sink.unseen(bytes.subarray(start, start + 1))
          start += 1
        }
      }
      if (isPair) at += 1
      isLineEmpty = true
    }
    this.#isLineEmpty = isLineEmpty
    if (start < bytes.length) this.#keep(bytes.subarray(start))
  }

  /** What is held of an event that never ended; it is forgotten. */
  rest(): Uint8Array {
    return this.#length === 0 || this.#isTooLong ? NOTHING : this.#takeHeld()
  }

  /** An LF that belongs to the line before; returns where what follows it begins. */
  #afterCr(bytes: Uint8Array): number {
    if (!this.#isAfterCr || bytes.length === 0) return 0
    this.#isAfterCr = false
    if (bytes[0] !== LF) return 0
    const first = bytes.subarray(0, 1)
    if (this.#length === 0) this.#sink.unseen(first)
    else this.#keep(first)
    return 1
  }

  #finish(end: Uint8Array): void {
    const isSeen = !this.#isTooLong && this.#length + end.length <= EVENT_BYTES_MAX
    if (!isSeen) {
      this.#pass(end)
      this.#begin()
    } else if (this.#length === 0) this.#sink.event(end)
    else {
      this.#held.append(end, 0, end.length)
      this.#sink.event(this.#takeHeld())
    }
  }

  #keep(bytes: Uint8Array): void {
    if (!this.#isTooLong && this.#length + bytes.length <= EVENT_BYTES_MAX) {
      this.#held.append(bytes, 0, bytes.length)
      this.#length += bytes.length
    } else this.#pass(bytes)
  }

  #pass(bytes: Uint8Array): void {
    if (!this.#isTooLong && this.#length > 0) this.#sink.unseen(this.#takeHeld())
    this.#isTooLong = true
    this.#length += bytes.length
    this.#sink.unseen(bytes)
  }

  #takeHeld(): Uint8Array {
    const held = this.#held.take()
    this.#begin()
    return held
  }

  #begin(): void {
    this.#held.begin(-1)
    this.#length = 0
    this.#isTooLong = false
  }
}
