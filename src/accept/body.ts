/**
 * The request's whole body, copied out of the server's buffers (they are detached when the callback
 * returns) and never larger than its limit. Nothing is handed on before the last byte arrived, because
 * only then is the request's framing proven.
 *
 * What all bodies of a lane hold together is bounded too (kernel/memory-budget.ts): many senders within their own
 * limits must not fill the memory. How long one may take is bounded by body-patience.ts.
 */
import type { HttpResponse } from 'uWebSockets.js'
import { type Fault, fault, isFault } from '../domain/fault.ts'
import { GatheredBytes } from '../kernel/gathered-bytes.ts'
import { type MemoryBudget, MemoryClaim } from '../kernel/memory-budget.ts'
import { type Awaited, BODY_SPAN_BYTES_MIN, BODY_SPAN_MS, type BodyPatience } from './body-patience.ts'
import type { Framing } from './framing.ts'

export type BodyRead = (body: Uint8Array | Fault) => void

/** A refused body up to here is read to its end and dropped; a larger one ends its connection. */
export const SWALLOWED_BYTES_MAX = 256 * 1024 * 1024

/** Of a lane. */
export interface BodyKeeping {
  readonly memory: MemoryBudget
  readonly patience: BodyPatience
}

export class BodySource implements Awaited {
  place = -1
  spanStartedAt = -1
  spanStartedBytes = 0
  putOffAt = -1
  bytesReceived = 0
  /** The memory this request takes; its body's until that has come, then whatever its story needs. */
  readonly claim: MemoryClaim
  readonly #http: HttpResponse
  readonly #framing: Framing
  readonly #patience: BodyPatience
  #gathered: GatheredBytes | null = null
  #done: BodyRead | null = null
  /** Why the body is refused although it is still read, and how much of it there was at the last look. */
  #refusal: Fault | null = null
  #bytesLookedAt = -1
  #isCut = false

  constructor(http: HttpResponse, framing: Framing, { memory, patience }: BodyKeeping) {
    this.#http = http
    this.#framing = framing
    this.#patience = patience
    this.claim = new MemoryClaim(memory)
  }

  /** After a refusal: the rest of the body comes for sure and does no harm, so the connection may stay. */
  get isSwallowed(): boolean {
    const { isChunked, contentLength, expectation } = this.#framing
    if (this.#isCut || isChunked || contentLength > SWALLOWED_BYTES_MAX) return false
    // A client that was to wait may send its next request instead.
    return expectation !== 'open' || this.bytesReceived > 0
  }

  /**
   * Calls `done` once: with the complete body, or with a refusal: `body-too-large` at once when too much
   * was declared, `memory-exhausted` when the lane holds too much, `request-timeout` when it comes too slowly.
   * Never called when the client leaves before the last byte. Must be called before the server's request
   * callback returns.
   */
  read(bytesMax: number, done: BodyRead): void {
    const { contentLength, isChunked } = this.#framing
    if (contentLength > bytesMax) {
      // Its framing is known, so the rest is swallowed: a close would reset the connection under a client
      // that still sends, and most would see that instead of the answer.
      this.#http.onData(() => {})
      return done(tooLarge(contentLength, bytesMax))
    }
    // Of an empty body whose head came in pieces the server never tells the end.
    if (contentLength === 0) return done(new Uint8Array(0))
    const limit = isChunked ? bytesMax : Math.max(0, contentLength)
    const gathered = new GatheredBytes(limit, { isRecycled: true })
    gathered.begin(contentLength)
    this.#gathered = gathered
    this.#done = done
    this.#http.onData((chunk, isLast) => this.#receive(chunk, isLast, limit))
    if (isChunked || contentLength > 0) this.#patience.wait(this)
  }

  /**
   * For a head that is refused: calls `done` once its body, if one is sure to come, has come or come to rest. Its
   * connection ends with the answer, and a client that is still sending would see a reset and no answer.
   */
  outlast(refusal: Fault, done: BodyRead): void {
    const { contentLength, isChunked, expectation } = this.#framing
    const isSent = isChunked || contentLength > 0
    if (!isSent || expectation !== 'none' || contentLength > SWALLOWED_BYTES_MAX) return done(refusal)
    this.#refusal = refusal
    this.#done = done
    this.#http.onData((chunk, isLast) => this.#receive(chunk, isLast, 0))
    this.#patience.wait(this)
  }

  /** The client left, or the body is refused: nobody will have it. */
  release(): void {
    this.#stop()
    this.claim.release()
  }

  #stop(): void {
    this.#done = null
    this.#patience.stop(this)
    this.#gathered?.begin(-1)
    this.#gathered = null
  }

  putOff(): void {
    this.#http.pause()
    this.#http.resume()
  }

  /** A refused body whose sender has come to rest is answered: nothing is lost in a reset any more. */
  looked(): void {
    if (this.#refusal !== null && this.#bytesLookedAt === this.bytesReceived) this.#finish(this.#refusal)
    this.#bytesLookedAt = this.bytesReceived
  }

  tooSlow(): void {
    this.#isCut = true
    this.#finish(this.#refusal ?? TOO_SLOW)
  }

  #receive(chunk: ArrayBuffer, isLast: boolean, limit: number): void {
    // The server goes on delivering after an early answer (its issue 737).
    if (this.#done === null) return
    this.bytesReceived += chunk.byteLength
    this.#refusal ??= this.#take(new Uint8Array(chunk), limit)
    if (isLast) return this.#finish(this.#refusal ?? this.#gathered!.take())
    if (this.#refusal === null) return
    // Where the connection ends with the answer it is read on for a while first, or a client that is still sending
    // would see a reset and no answer.
    const isOutlasted = this.#framing.isChunked || this.#gathered === null
    if (!isOutlasted || this.bytesReceived > SWALLOWED_BYTES_MAX) this.#finish(this.#refusal)
  }

  #finish(body: Uint8Array | Fault): void {
    const done = this.#done
    this.#stop()
    if (isFault(body)) this.claim.release()
    done?.(body)
  }

  #take(chunk: Uint8Array, limit: number): Fault | null {
    if (!this.claim.take(chunk.length, 'request')) return NO_MEMORY
    return this.#gathered!.append(chunk, 0, chunk.length) ? null : tooLarge(this.bytesReceived, limit)
  }
}

const NO_MEMORY = fault(
  'memory-exhausted',
  'this gateway holds as many bytes of bodies as it may (server.limits.memory)',
  '',
  ['retry-after', '1'],
)

const TOO_SLOW = fault(
  'request-timeout',
  `the body came too slowly; this gateway waits for its end or ${BODY_SPAN_BYTES_MIN} bytes in ${BODY_SPAN_MS / 1000} s`,
)

function tooLarge(bytes: number, bytesMax: number): Fault {
  return fault(
    'body-too-large',
    `the body has ${bytes} bytes; this gateway takes at most ${bytesMax} (server.limits.body)`,
  )
}
