/**
 * The only writer to a client: answers once, corked, never after the client left. Everything that
 * waits for a client learns here that it has gone.
 *
 * uWebSockets.js throws when a response is touched after its abort; the `gone` flag guards each write.
 */

import type { HttpResponse } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Sweep } from '../kernel/sweep.ts'
import { ClientStream, type ClientStreamListener } from './client-stream.ts'
import { headerValue } from './header-value.ts'
import { tryLast, tryPart } from './last-answer.ts'
import { PUT_OFF_MS, ServerTimer } from './server-timer.ts'

/** Statuses whose answers have no body (RFC 9110 §6.4.1); HEAD is the other case. */
const BODILESS = new Set([204, 304])

const STATUS_LINES = new Map(
  Object.entries(STATUS_CODES).map(([code, text]) => [Number(code), `${code} ${text}`]),
)

/** Answers up to here are left to the server whole; kernel buffers take them. */
const BUFFERED_BYTES_MAX = 64 * 1024

/** A held answer of which a client takes nothing for this long, in ms, ends with its connection. */
export const REPLY_STALL_MS_MAX = 32_000

const NOTHING = (): void => {}

export interface Reply {
  readonly status: number
  /**
   * Values: one character per byte (header-value.ts). Without framing headers: the server writes Content-Length, Date and Connection itself. Only an answer
   * to HEAD may have a `content-length`: it speaks of the body that GET would get.
   */
  readonly headers: readonly string[]
  readonly body: Uint8Array
  /** End the connection after this answer: framing in doubt, or the gateway is going away. */
  readonly close: boolean
}

/** The head of an answer whose body follows piece by piece. */
export interface ReplyHead extends Omit<Reply, 'body'> {
  /** -1 when only its end will tell. Never for HEAD, nor for a status without a body. */
  readonly bodyBytes: number
}

export class ClientResponse {
  readonly #http: HttpResponse
  readonly #isHead: boolean
  readonly #sweep: Sweep
  #timer: ServerTimer | undefined
  #gone = false
  #answered = false
  #onGone: (() => void) | undefined
  #onSent: () => void = NOTHING
  #stream: ClientStream | undefined
  #isLast = false
  /** The answer is written as far as it goes, and the server does not know that it is complete. */
  #isCut = false

  constructor(http: HttpResponse, isHead: boolean, sweep: Sweep) {
    this.#http = http
    this.#isHead = isHead
    this.#sweep = sweep
  }

  /** True once the connection ended, before or after an answer. */
  get gone(): boolean {
    return this.#gone
  }

  get answered(): boolean {
    return this.#answered
  }

  /** `callback` runs once when the client leaves before the end of its answer. The last one set counts. */
  onGone(callback: () => void): void {
    this.#onGone = callback
  }

  /** Whatever the answer, its connection ends with it. */
  closeAfter(): void {
    this.#isLast = true
  }

  /** Called by the listener from the server's abort callback. */
  leave(): void {
    this.#gone = true
    this.#timer?.leaveAlone()
    const isCutShort = this.#stream === undefined ? !this.#answered : !this.#stream.isOver
    this.#stream?.leave()
    if (isCutShort) this.#onGone?.()
    this.#sent()
  }

  /** Begins an answer whose body follows; null when nobody is there to take it. */
  begin(head: ReplyHead, listener: ClientStreamListener): ClientStream | null {
    if (this.#gone || this.#answered) return null
    this.#answered = true
    const { status, headers, bodyBytes } = head
    const close = head.close || this.#isLast
    const writeHead = (): void => {
      this.#writeHead(status, headers)
      if (close) this.#http.writeHeader('connection', 'close')
    }
    const timer = new ServerTimer(this.#http, this.#sweep)
    this.#stream = new ClientStream(this.#http, { bodyBytes, writeHead, timer, isLast: close }, listener)
    return this.#stream
  }

  /**
   * True when the answer was handed to the server, false when nobody is there to take it; `sent` is then
   * called once, when none of it waits here any more: the kernel has it, or the client has left.
   */
  reply(reply: Reply, sent: () => void = NOTHING): boolean {
    if (this.#gone || this.#answered) return false
    this.#answered = true
    this.#onSent = sent
    if (reply.close || this.#isLast) setImmediate(() => this.#close(reply))
    else this.#http.cork(() => this.#write(reply))
    return true
  }

  /**
   * In a turn of its own, never within a callback of the server: it would go on reading a connection that is to end,
   * and one that is closed there takes what was written along.
   */
  #close(reply: Reply): void {
    if (this.#gone) return
    this.#http.cork(() => this.#write(reply))
    if (this.#isCut) this.#http.close()
  }

  #sent(): void {
    const sent = this.#onSent
    this.#onSent = NOTHING
    sent()
  }

  #write(reply: Reply): void {
    const { status, headers, body } = reply
    const close = reply.close || this.#isLast
    this.#writeHead(status, headers)
    if (this.#isHead || BODILESS.has(status)) this.#endWithoutBody(body.length, close)
    else if (body.length > BUFFERED_BYTES_MAX) return this.#sendAsTaken(body, close)
    else this.#http.end(body, close)
    this.#sent()
  }

  #writeHead(status: number, headers: readonly string[]): void {
    const http = this.#http
    // The space stays where there is no reason phrase (RFC 9112 §4).
    http.writeStatus(STATUS_LINES.get(status) ?? `${status} `)
    for (let index = 0; index < headers.length; index += 2) {
      http.writeHeader(headers[index]!, headerValue(headers[index + 1]!))
    }
  }

  /**
   * What a client does not take at once stays here, not in a copy of the server's, and it is known when
   * all of it is gone: a stop would otherwise cut it short.
   */
  #sendAsTaken(body: Uint8Array, close: boolean): void {
    const http = this.#http
    if (close) http.writeHeader('connection', 'close')
    const send = close ? tryLast : tryPart
    const [, isDone] = send(http, body, body.length)
    if (isDone) return this.#sent()
    const timer = new ServerTimer(http, this.#sweep)
    this.#timer = timer
    const wait = (): void => timer.putOff(REPLY_STALL_MS_MAX / PUT_OFF_MS, () => http.close())
    wait()
    http.onWritable((offset) => {
      const [isTaken, isAll] = send(http, body.subarray(offset), body.length)
      if (!isAll) wait()
      else {
        timer.leaveAlone()
        this.#sent()
      }
      return isTaken
    })
  }

  /**
   * `endWithoutBody` takes a length as one of a body yet to come, sends `undefined` as 2^63, and never closes unless
   * the length is 0: a connection would stay open for ever, or until its next byte. So lengths are headers like any
   * other, and where the connection is to end, the head is written and then the socket closed, which sends it.
   */
  #endWithoutBody(bodyBytes: number, close: boolean): void {
    const http = this.#http
    if (this.#isHead && bodyBytes > 0) http.writeHeader('content-length', String(bodyBytes))
    if (!close) return void http.endWithoutBody()
    // Its own end of the header list: whatever way the server ends one, it writes a length where none may be.
    http.writeHeader('connection', 'close\r\n')
    this.#isCut = true
  }
}
