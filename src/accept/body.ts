/**
 * The request's whole body, copied out of the server's buffers (they are detached when the callback
 * returns) and never larger than its limit. Nothing is handed on before the last byte arrived, because
 * only then is the request's framing proven.
 *
 * What all unfinished bodies of a lane hold together is bounded too: many slow senders within their own
 * limits must not fill the memory.
 */
import type { HttpResponse } from 'uWebSockets.js'
import { type Fault, fault } from '../domain/fault.ts'
import { GatheredBytes } from '../kernel/gathered-bytes.ts'

export type BodyRead = (body: Uint8Array | Fault) => void

/** Bytes of unfinished bodies in one lane. */
export const UNFINISHED_BYTES_MAX = 512 * 1024 * 1024

/** A refused body up to here is read to its end and dropped; a larger one ends its connection. */
export const SWALLOWED_BYTES_MAX = 256 * 1024 * 1024

/** One for a lane. */
export interface BodyBudget {
  held: number
  readonly bytesMax: number
}

export class BodySource {
  readonly #http: HttpResponse
  readonly #declared: number
  readonly #budget: BodyBudget
  #held = 0
  #ended = false

  /** `declared`: the checked Content-Length; -1 when there is none, which means no body. */
  constructor(http: HttpResponse, declared: number, budget: BodyBudget) {
    this.#http = http
    this.#declared = declared
    this.#budget = budget
  }

  /** After a refusal: the rest of the body does no harm, so the connection may stay. */
  get isSwallowed(): boolean {
    return this.#declared <= SWALLOWED_BYTES_MAX
  }

  /**
   * Calls `done` once: with the complete body, or with a refusal: `body-too-large` at once when too much
   * was declared, `overloaded` when the lane holds too much. Never called when the client leaves before
   * the last byte. Must be called before the server's request callback returns.
   */
  read(bytesMax: number, done: BodyRead): void {
    if (this.#declared > bytesMax) {
      // Its framing is known, so the rest is swallowed: a close would reset the connection under a client
      // that still sends, and most would see that instead of the answer.
      this.#ended = true
      this.#http.onData(() => {})
      return done(tooLarge(this.#declared, bytesMax))
    }
    const gathered = new GatheredBytes(Math.max(0, this.#declared))
    gathered.begin(this.#declared)
    this.#http.onData((chunk, isLast) => {
      // The server goes on delivering after an early answer (its issue 737).
      if (this.#ended) return
      const refusal = this.#take(new Uint8Array(chunk), gathered)
      if (refusal === null && !isLast) return
      this.release()
      done(refusal ?? gathered.take())
    })
  }

  /** Gives its share of the budget back; also when the client left in the middle. */
  release(): void {
    this.#ended = true
    this.#budget.held -= this.#held
    this.#held = 0
  }

  #take(chunk: Uint8Array, gathered: GatheredBytes): Fault | null {
    if (this.#budget.held + chunk.length > this.#budget.bytesMax) return TOO_MANY
    this.#budget.held += chunk.length
    this.#held += chunk.length
    return gathered.append(chunk, 0, chunk.length) ? null : tooLarge(this.#held, this.#declared)
  }
}

const TOO_MANY = fault('overloaded', 'this gateway holds too many unfinished request bodies', '', [
  'retry-after',
  '1',
])

function tooLarge(bytes: number, bytesMax: number): Fault {
  return fault(
    'body-too-large',
    `the body has ${bytes} bytes; this gateway takes at most ${bytesMax} (server.limits.body)`,
  )
}
