/**
 * One TCP connection to one endpoint, carrying one request at a time: the socket's side of the codec.
 *
 * One write per request (a second small write would meet Nagle and delayed ACK: 40 ms), one read buffer
 * per thread for all connections (nothing keeps a view of it past the callback), no timer and no promise.
 * Whatever is not exactly one request, one answer, both complete, ends the connection. So does any byte
 * or FIN while it is idle: otherwise the next caller could get an answer meant for someone else.
 */
import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import type { FaultCode } from '../domain/fault.ts'
import type { AnswerHead } from '../domain/outcome.ts'
import type { Endpoint } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import { CONNECTING, type ConnectionEvent, type ConnectionState, step } from './connection-state.ts'
import { AnswerReader, type ReaderEvent } from './http1/answer-reader.ts'
import { connectFault, describeError, lossFault } from './socket-fault.ts'

/** Bodies up to here are copied behind the head into one Buffer; larger ones leave with it by writev. */
const COALESCED_BYTES_MAX = 16 * 1024
const TCP_KEEP_ALIVE_MS = 15_000

/** The request a connection carries, and what it is told. `now`: monotonic ms of the event. */
export interface Carried {
  /** The connection stands; `send` may be called. Only for those that took a connection still connecting. */
  connected(now: number): void
  /** The kernel has the whole request. Called during `send` or later. */
  sent(now: number): void
  /** A 1xx answer went by. */
  interim(): void
  /** Bytes came; `isAwaiting`: none of them of the final answer. */
  progressed(now: number, isAwaiting: boolean): void
  /** The head of the final answer. */
  head(head: AnswerHead): void
  /**
   * The next bytes of its body, valid during the call. False: nothing more is read from the endpoint until
   * `resume`; what was read already is still handed over.
   */
  body(bytes: Uint8Array): boolean
  /** The answer is complete. The connection is already free for others, or gone. */
  answered(now: number): void
  /** No answer will come; the connection is gone. */
  failed(loss: Loss, now: number): void
}

export interface Loss {
  readonly code: FaultCode
  /** Why, with system errors; never for callers. */
  readonly detail: string
  /** Not one byte of an answer came, so the endpoint may never have seen the request. */
  readonly isUnanswered: boolean
}

/** Who made the connection and decides who uses it next. */
export interface ConnectionOwner {
  released(connection: Connection, now: number): void
  /** Gone for good. Called once, before what it carried is told. */
  closed(connection: Connection): void
  /** After what it carried was told, and so had the chance to take the place. */
  vacated(now: number): void
}

export interface ConnectionParts {
  readonly clock: Clock
  /** Shared by every connection of the thread. */
  readonly readBuffer: Buffer
}

export class Connection {
  /** Monotonic ms after which an idle connection is not used any more; written by the owner. */
  retireAt = Number.POSITIVE_INFINITY
  /** What the endpoint last said by `Keep-Alive: timeout`; Infinity when it never did. */
  keepAliveMs = Number.POSITIVE_INFINITY
  readonly #clock: Clock
  readonly #readBuffer: Buffer
  readonly #owner: ConnectionOwner
  readonly #socket: Socket
  readonly #reader = new AnswerReader()
  #state: ConnectionState = CONNECTING
  #carried: Carried | undefined
  #isPaused = false
  #isGone = false

  constructor(endpoint: Endpoint, parts: ConnectionParts, owner: ConnectionOwner) {
    this.#clock = parts.clock
    this.#readBuffer = parts.readBuffer
    this.#owner = owner
    const socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      onread: { buffer: parts.readBuffer, callback: (length) => this.#read(length) },
    })
    this.#socket = socket
    socket.on('connect', () => this.#connected())
    socket.on('end', () => this.#ended())
    socket.on('error', (error) => this.#broke(error))
    socket.on('close', () => {
      if (!this.#isGone) this.#broke(new Error('closed'))
    })
  }

  /** Stands and waits for a request, as far as this side can know: checked again before each use. */
  get isIdle(): boolean {
    const socket = this.#socket
    return this.#state.is === 'idle' && socket.writable && socket.readable && !socket.readableEnded
  }

  get isConnecting(): boolean {
    return this.#state.is === 'connecting'
  }

  /** From now on `carried` is told what happens. An idle connection is ready for `send` at once. */
  take(carried: Carried): void {
    this.#carried = carried
  }

  /** `head` as written by the codec; `method` of it, because an answer is read by it. */
  send(head: string, method: string, body: Uint8Array, now: number): void {
    this.#state = step(this.#state, 'dispatched')
    this.#reader.expect(method)
    const socket = this.#socket
    if (body.length <= COALESCED_BYTES_MAX) {
      const headLength = Buffer.byteLength(head)
      const bytes = Buffer.allocUnsafe(headLength + body.length)
      bytes.write(head, 0, 'utf8')
      bytes.set(body, headLength)
      socket.write(bytes)
    } else {
      socket.cork()
      socket.write(head, 'utf8')
      socket.write(body)
      socket.uncork()
    }
    if (socket.writableLength === 0) this.#flushed(now)
    // Queued behind what the kernel did not take yet: no bytes of its own, only its place in the order.
    else socket.write('', () => this.#flushed(this.#clock.now()))
  }

  /** Reads on after `body` asked to wait. */
  resume(): void {
    if (!this.#isPaused || this.#isGone) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** Ends it now. What it carries is told nothing; the owner is. */
  abandon(): void {
    this.#carried = undefined
    if (this.#isGone) return
    this.#close()
    this.#owner.vacated(this.#clock.now())
  }

  /** Ends it now, with this as the reason for what it carries. */
  fail(code: FaultCode, detail: string): void {
    if (this.#isGone) return
    const now = this.#clock.now()
    const carried = this.#carried
    const isUnanswered = !this.#reader.hasBegun
    this.#carried = undefined
    this.#close()
    carried?.failed({ code, detail, isUnanswered }, now)
    this.#owner.vacated(now)
  }

  #connected(): void {
    if (this.#isGone) return
    this.#advance('connected')
    this.#carried?.connected(this.#clock.now())
  }

  #flushed(now: number): void {
    if (this.#state.is !== 'carrying') return
    this.#advance('flushed')
    this.#carried?.sent(now)
  }

  /** Whether to go on reading the socket. */
  #read(length: number): boolean {
    const carried = this.#carried
    this.#advance('bytes')
    if (this.#state.is === 'closed' || carried === undefined) {
      this.fail('malformed-answer', 'bytes came that were not asked for')
      return true
    }
    const now = this.#clock.now()
    this.#reader.position = 0
    for (;;) {
      // What is told may lead to the end of this connection: a limit is reached, the caller left.
      if (this.#isGone) return true
      switch (this.#readNext(carried, length)) {
        case 'more':
          carried.progressed(now, this.#reader.isAwaiting)
          return !this.#isPaused
        case 'end':
          this.#answered(this.#reader.position === length && this.#reader.head!.keepsAlive, now)
          return true
        case 'malformed':
          this.fail('malformed-answer', this.#reader.problem)
          return true
      }
    }
  }

  #readNext(carried: Carried, length: number): ReaderEvent {
    const reader = this.#reader
    const event = reader.next(this.#readBuffer, length)
    if (event === 'body') {
      if (!carried.body(this.#readBuffer.subarray(reader.bodyStart, reader.bodyEnd))) this.#isPaused = true
    } else if (event === 'head') {
      carried.head({
        status: reader.head!.status,
        headers: reader.head!.headers,
        bodyBytes: announcedBy(reader),
      })
    } else if (event === 'interim') {
      this.#advance('interim')
      carried.interim()
    }
    return event
  }

  #answered(isReusable: boolean, now: number): void {
    const { keepAliveMs } = this.#reader.head!
    const carried = this.#carried
    this.#carried = undefined
    this.#isPaused = false
    if (keepAliveMs !== Number.POSITIVE_INFINITY) this.keepAliveMs = keepAliveMs
    const next = step(this.#state, isReusable ? 'answered' : 'spent')
    if (next.is === 'idle') {
      this.#state = next
      this.#owner.released(this, now)
    } else {
      this.#close()
      this.#owner.vacated(now)
    }
    carried?.answered(now)
  }

  /** FIN. It completes an answer that was to run until close, and breaks every other. */
  #ended(): void {
    if (this.#isGone) return
    if (this.#state.is === 'carrying' && this.#reader.finish() === 'end') {
      this.#answered(false, this.#clock.now())
      return
    }
    this.fail(lossFault(!this.#reader.isAwaiting), 'the endpoint ended the connection')
  }

  #broke(error: Error): void {
    if (this.#isGone) return
    const code = this.#state.is === 'connecting' ? connectFault(error) : lossFault(!this.#reader.isAwaiting)
    this.fail(code, describeError(error))
  }

  #close(): void {
    this.#isGone = true
    this.#state = step(this.#state, 'ended')
    this.#socket.destroy()
    this.#owner.closed(this)
  }

  #advance(event: ConnectionEvent): void {
    this.#state = step(this.#state, event)
  }
}

function announcedBy(reader: AnswerReader): number {
  const { framing } = reader.head!
  return framing.is === 'length' ? framing.bytes : framing.is === 'none' ? 0 : -1
}
