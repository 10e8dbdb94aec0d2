/**
 * One connection to one endpoint, carrying one request at a time, or several in order where the version
 * allows pipelining: the socket's side of the codec.
 *
 * One write per request, or per turn of the loop (a second small write would meet Nagle and delayed ACK:
 * 40 ms), one read buffer per thread for all connections (nothing keeps a view of it past the callback), no
 * timer and no promise. Whatever is not exactly as many answers as requests, all complete, ends the
 * connection. So does any byte or FIN while it is idle: otherwise the next caller could get an answer meant
 * for someone else.
 */
import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import type { FaultCode } from '../domain/fault.ts'
import { assert } from '../kernel/assert.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Sweep } from '../kernel/sweep.ts'
import { BodyRun } from './body-run.ts'
import type { Carried, Loss } from './carried.ts'
import { CONNECTING, type ConnectionEvent, type ConnectionState, step } from './connection-state.ts'
import { type Destination, Dial } from './dial.ts'
import { AnswerReader, type ReaderEvent } from './http1/answer-reader.ts'
import { InOrder } from './in-order.ts'
import { describeError, lossFault } from './socket-fault.ts'

/** Bodies up to here are copied behind the head into one Buffer; larger ones leave with it by writev. */
const COALESCED_BYTES_MAX = 16 * 1024
const NO_BYTES = Buffer.alloc(0)

/** Who made the connection and decides who uses it next. */
export interface ConnectionOwner {
  released(connection: Connection, now: number): void
  /** Gone for good. Called once, before what it carried is told. */
  closed(connection: Connection): void
  /** After what it carried was told, and so had the chance to take the place. */
  vacated(now: number): void
  /** One of several answers is complete: there may be room for another request. */
  eased(connection: Connection, now: number): void
  /** The endpoint ended the connection with requests waiting on it: it does not want several. */
  declined(now: number): void
}

export interface ConnectionParts {
  readonly clock: Clock
  readonly sweep: Sweep
  /** Shared by every connection of the thread. */
  readonly readBuffer: Buffer
}

export class Connection {
  /** Monotonic ms after which an idle connection is not used any more; written by the owner. */
  retireAt = Number.POSITIVE_INFINITY
  /** What the endpoint last said by `Keep-Alive: timeout`; Infinity when it never did. */
  keepAliveMs = Number.POSITIVE_INFINITY
  /** Which of the endpoint's addresses it leads to; empty before it stands. */
  address = ''
  readonly #clock: Clock
  readonly #readBuffer: Buffer
  readonly #owner: ConnectionOwner
  readonly #dial: Dial
  readonly #pipeline: number
  readonly #isUnix: boolean
  readonly #reader = new AnswerReader()
  readonly #line = new InOrder()
  /** Of the read that is under way; for the first of the line. */
  readonly #run = new BodyRun()
  /** Written by the loop's turn that is under way, to leave in one write at its end. */
  readonly #outgoing: Uint8Array[] = []
  /** Writes the kernel has not taken yet. */
  #flushing = 0
  #socket: Socket | undefined
  #state: ConnectionState = CONNECTING
  #isPaused = false
  #isGone = false

  constructor(destination: Destination, parts: ConnectionParts, owner: ConnectionOwner) {
    this.#clock = parts.clock
    this.#readBuffer = parts.readBuffer
    this.#owner = owner
    this.#pipeline = destination.endpoint.pipeline
    this.#isUnix = destination.endpoint.socketPath !== null
    const events = {
      connected: (socket: Socket, address: string) => this.#connected(socket, address),
      failed: (code: FaultCode, detail: string) => this.fail(code, detail),
      read: (length: number) => this.#read(length),
      ended: () => this.#ended(),
      broke: (error: Error) => this.#broke(error),
    }
    this.#dial = new Dial(destination, parts, events)
  }

  /** Stands and waits for a request, as far as this side can know: checked again before each use. */
  get isIdle(): boolean {
    return this.#state.is === 'idle' && this.#line.count === 0 && isUsable(this.#socket)
  }

  get isConnecting(): boolean {
    return this.#state.is === 'connecting'
  }

  /** What was sent in this turn has not left yet: one more costs no write. */
  get isGathering(): boolean {
    return this.#outgoing.length > 0
  }

  /** How many requests it carries; those behind the first wait for its answer. */
  get carriedCount(): number {
    return this.#line.count
  }

  /** Another request may be taken behind those that are here: none of their answers has begun. */
  get hasRoom(): boolean {
    const { is } = this.#state
    return (
      this.#line.count < this.#pipeline &&
      (is === 'connecting' || (is === 'carrying' && !this.#reader.hasBegun && isUsable(this.#socket))) &&
      this.#line.isShareable
    )
  }

  /**
   * From now on `carried` is told what happens. A connection that stands is ready for `send` at once, which
   * has to follow before another is taken.
   */
  take(carried: Carried): void {
    assert(this.#line.count < this.#pipeline, 'a connection carries no more than its endpoint allows')
    this.#line.add(carried)
  }

  /** `head` as written by the codec; `method` of it, because an answer is read by it. */
  send(carried: Carried, head: string, method: string, body: Uint8Array): void {
    this.#advance('dispatched')
    if (this.#line.dispatched(carried, method)) this.#reader.expect(method)
    if (this.#pipeline === 1) return this.#sendAlone(carried, head, body)
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush())
    if (body.length <= COALESCED_BYTES_MAX) this.#outgoing.push(joined(head, body))
    else this.#outgoing.push(Buffer.from(head, 'utf8'), body)
  }

  /** Reads on after `body` asked to wait. */
  resume(): void {
    if (!this.#isPaused || this.#isGone) return
    this.#isPaused = false
    this.#socket?.resume()
  }

  /**
   * `carried` leaves and is told nothing. Its answer may come all the same, so if it is the next one, the
   * connection ends, and those behind are told; if others come before it, it is read and thrown away.
   */
  leave(carried: Carried): void {
    const isNext = this.#line.first === carried && !this.isConnecting
    if (this.isConnecting) this.#line.remove(carried)
    else this.#line.leave(carried)
    if (this.#isGone || (!isNext && this.#line.isWanted)) return
    this.fail('closed-before-answer', 'the request before it was given up')
  }

  /** Ends an idle one. */
  close(): void {
    if (this.#isGone) return
    this.#close()
    this.#owner.vacated(this.#clock.now())
  }

  /** Ends it now, and whoever it carries is told why. */
  fail(code: FaultCode, detail: string): void {
    if (this.#isGone) return
    const now = this.#clock.now()
    const isUnanswered = !this.#reader.hasBegun
    // What ends all alike, or what ends the first and takes those behind it along.
    const isForAll = this.#state.is === 'connecting' || code === 'draining'
    const [first, ...behind] = this.#line.takeAll()
    this.#close()
    first?.failed({ code, detail, isUnanswered, isBehind: false }, now)
    const lost: Loss = isForAll ? { code, detail, isUnanswered: true, isBehind: false } : behindLoss(detail)
    for (const carried of behind) carried.failed(lost, now)
    this.#owner.vacated(now)
  }

  #connected(socket: Socket, address: string): void {
    this.#socket = socket
    this.address = address
    this.#advance('connected')
    const now = this.#clock.now()
    // They send now, in the order in which they came; one of them may end the connection.
    for (const carried of this.#line.all()) if (!this.#isGone) carried.connected(now)
  }

  /** Nothing to gather and nobody else to tell: 0.8 of 33 µs a request less than a line of one. */
  #sendAlone(carried: Carried, head: string, body: Uint8Array): void {
    const socket = this.#socket
    if (this.#isGone || socket === undefined) return
    this.#line.firstIsWritten()
    if (body.length <= COALESCED_BYTES_MAX) socket.write(joined(head, body))
    else {
      socket.cork()
      socket.write(head, 'utf8')
      socket.write(body)
      socket.uncork()
    }
    this.#flushing += 1
    this.#whenTaken(socket, [carried])
  }

  /** Hands over all that was sent in this turn. */
  #flush(): void {
    const socket = this.#socket
    if (this.#isGone || socket === undefined) return
    const bytes = this.#outgoing.splice(0)
    const told = this.#line.written()
    if (bytes.length > 1) socket.cork()
    for (const part of bytes) socket.write(part)
    if (bytes.length > 1) socket.uncork()
    this.#flushing += 1
    this.#whenTaken(socket, told)
  }

  #whenTaken(socket: Socket, told: readonly Carried[]): void {
    if (socket.writableLength === 0) this.#flushed(told, this.#clock.now())
    // Queued behind what the kernel did not take yet: no bytes of its own, only its place in the order.
    else socket.write('', (error) => error == null && this.#flushed(told, this.#clock.now()))
  }

  #flushed(told: readonly Carried[], now: number): void {
    this.#flushing -= 1
    if (this.#state.is !== 'carrying') return
    if (this.#flushing === 0 && this.#outgoing.length === 0) this.#advance('flushed')
    for (const carried of told) if (this.#line.has(carried)) carried.sent(now)
  }

  /** Whether to go on reading the socket. */
  #read(length: number): boolean {
    if (this.#isGone) return true
    this.#advance('bytes')
    if (!this.#line.isAwaited) {
      this.fail('malformed-answer', 'bytes came that were not asked for')
      return true
    }
    const now = this.#clock.now()
    this.#reader.position = 0
    this.#run.begin()
    for (;;) {
      const carried = this.#line.first!
      const event = this.#readNext(carried, length)
      if (event !== 'body' && !this.#run.isEmpty) this.#handOver(carried)
      // What is told may lead to the end of this connection: a limit is reached, the caller left.
      if (this.#isGone) return true
      switch (event) {
        case 'more':
          carried.progressed(now, this.#reader.isAwaiting)
          return !this.#isPaused
        case 'end':
          if (!this.#answered(length, now)) return true
          break
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
      if (this.#run.add(this.#readBuffer, reader.bodyStart, reader.bodyEnd)) return event
      this.#handOver(carried)
      this.#run.add(this.#readBuffer, reader.bodyStart, reader.bodyEnd)
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

  #handOver(carried: Carried): void {
    const bytes = this.#readBuffer.subarray(this.#run.start, this.#run.end)
    this.#run.clear()
    if (!carried.body(bytes)) this.#isPaused = true
  }

  /** The first of the line has its answer. True when the next answer begins in the same bytes. */
  #answered(length: number, now: number): boolean {
    const { keepAliveMs, keepsAlive } = this.#reader.head!
    const hasMore = this.#reader.position < length
    const carried = this.#line.shift()
    this.#isPaused = false
    if (keepAliveMs !== Number.POSITIVE_INFINITY) this.keepAliveMs = keepAliveMs
    // What only those who left would be told has no timer any more: it may never come.
    if (keepsAlive && this.#line.isWanted && (!hasMore || this.#line.isAwaited)) {
      this.#advance('followed')
      if (hasMore) this.#advance('bytes')
      this.#reader.expect(this.#line.method)
      carried.answered(now)
      if (!this.#isGone) this.#owner.eased(this, now)
      return hasMore && !this.#isGone
    }
    const next = step(this.#state, keepsAlive && !hasMore && this.#line.count === 0 ? 'answered' : 'spent')
    if (next.is === 'idle') {
      this.#state = next
      this.#owner.released(this, now)
    } else {
      this.#spend(now)
    }
    carried.answered(now)
    return false
  }

  /** Those behind get no answer here. None of them has begun, whatever the reader has seen for the first. */
  #spend(now: number): void {
    const { isWanted } = this.#line
    const behind = this.#line.takeAll()
    this.#close()
    if (isWanted) this.#owner.declined(now)
    const loss = behindLoss('the endpoint ended the connection')
    for (const carried of behind) carried.failed(loss, now)
    this.#owner.vacated(now)
  }

  /** FIN. It completes an answer that was to run until close, and breaks every other. */
  #ended(): void {
    if (this.#isGone) return
    if (this.#state.is === 'carrying' && this.#line.isAwaited && this.#reader.runsUntilClose) {
      this.#endedInGoodOrder()
      return
    }
    this.fail(lossFault(!this.#reader.isAwaiting), 'the endpoint ended the connection')
  }

  /**
   * A reset is no end of an answer, but libuv reports one as FIN when it finds it together with the last
   * bytes (POLLHUP after a short read). The kernel knows better: after a reset nothing can be written, not
   * even no bytes at all. On a unix socket nothing can be written after an orderly end either, so there
   * the two look alike; and so they do in TLS, where Node shows `end` with or without `close_notify`.
   */
  #endedInGoodOrder(): void {
    const finish = (error: Error | null | undefined): void => {
      if (this.#isGone) return
      if (error != null) this.#broke(error)
      else if (this.#reader.finish() === 'end') this.#answered(0, this.#clock.now())
    }
    if (this.#isUnix) finish(null)
    else this.#socket!.write(NO_BYTES, finish)
  }

  #broke(error: Error): void {
    this.fail(lossFault(!this.#reader.isAwaiting, error), describeError(error))
  }

  #close(): void {
    this.#isGone = true
    this.#state = step(this.#state, 'ended')
    this.#dial.close()
    this.#owner.closed(this)
  }

  #advance(event: ConnectionEvent): void {
    this.#state = step(this.#state, event)
  }
}

function joined(head: string, body: Uint8Array): Buffer {
  const headLength = Buffer.byteLength(head)
  const bytes = Buffer.allocUnsafe(headLength + body.length)
  bytes.write(head, 0, 'utf8')
  bytes.set(body, headLength)
  return bytes
}

/** Of those behind nothing was answered, so they may be sent again elsewhere. */
function behindLoss(detail: string): Loss {
  const words = `behind another request: ${detail}`
  return { code: 'closed-before-answer', detail: words, isUnanswered: true, isBehind: true }
}

function isUsable(socket: Socket | undefined): boolean {
  return socket?.writable === true && socket.readable && !socket.readableEnded
}

function announcedBy(reader: AnswerReader): number {
  const { framing } = reader.head!
  return framing.is === 'length' ? framing.bytes : framing.is === 'none' ? 0 : -1
}
