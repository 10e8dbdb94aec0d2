/**
 * The client's side of an answer that is passed on as it comes: writes what the kernel takes, keeps the rest
 * of one piece until it takes more, and says when to wait. Ends in one of three ways: finished, broken off
 * (the client's HTTP reader sees a message cut short), or the client left.
 *
 * With a known length the server writes Content-Length and takes no more than the kernel does. Without one it
 * frames chunks and keeps a copy of what the kernel refused, so it is given small pieces. It drains that copy
 * only when something is written: an empty cork does.
 */
import type { HttpResponse } from 'uWebSockets.js'
import { assert } from '../kernel/assert.ts'
import { GatheredBytes } from '../kernel/gathered-bytes.ts'
import { giveBlockBack, takeBlock } from '../kernel/recycled-memory.ts'
import { tryLast, tryPart } from './last-answer.ts'
import type { ServerTimer } from './server-timer.ts'

/** One chunk towards the client; what the server may have to keep a copy of. */
const PIECE_BYTES_MAX = 64 * 1024
/** The first piece after a pause shows whether all before it has left. */
const PROBE_BYTES_MAX = 16 * 1024
/** Nobody who heeds `write`’s answer comes near it. */
const PENDING_BYTES_MAX = 4 * 1024 * 1024
const NOTHING = new Uint8Array(0)

export interface ClientStreamParts {
  /** -1 when only its end will tell. */
  readonly bodyBytes: number
  /** Writes status and headers, without framing. */
  readonly writeHead: () => void
  readonly timer: ServerTimer
  /** Its connection ends with it. */
  readonly isLast: boolean
}

export interface ClientStreamListener {
  /** All that was written has been taken: `write` may be called again. */
  drained(): void
  /** After `finish`: the last byte has been taken. */
  finished(): void
}

export class ClientStream {
  readonly #http: HttpResponse
  readonly #bodyBytes: number
  readonly #writeHead: () => void
  readonly #timer: ServerTimer
  readonly #isLast: boolean
  readonly #listener: ClientStreamListener
  #isHeadWritten = false
  /** What the kernel did not take yet, in memory of this object's own. */
  #pending: Uint8Array = NOTHING
  /** What was written on top of it. */
  readonly #later = new GatheredBytes(PENDING_BYTES_MAX, { isRecycled: true })
  #isBlocked = false
  #isListening = false
  #isEnding = false
  #isOver = false
  #offset = 0

  constructor(
    http: HttpResponse,
    { bodyBytes, writeHead, timer, isLast }: ClientStreamParts,
    listener: ClientStreamListener,
  ) {
    this.#http = http
    this.#bodyBytes = bodyBytes
    this.#writeHead = writeHead
    this.#timer = timer
    this.#isLast = isLast
    this.#listener = listener
  }

  /** Finished, broken off, or left by the client. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Bytes that wait for the client. */
  get pendingBytes(): number {
    return this.#pending.length + this.#later.length
  }

  /** Sends the head before there is any body; of a body without a length it leaves with the first byte. */
  open(): void {
    if (this.#bodyBytes >= 0) this.write(NOTHING)
  }

  /** False: wait for `drained`. What is written all the same is kept. */
  write(bytes: Uint8Array): boolean {
    if (this.#isOver) return true
    if (this.#isBlocked) {
      assert(this.#later.append(bytes, 0, bytes.length), 'whoever writes heeds when to wait')
      return false
    }
    let taken = 0
    this.#http.cork(() => {
      taken = this.#send(bytes, PIECE_BYTES_MAX)
    })
    // A copy: `slice` of a Buffer is a view, and what it shows is overwritten by the next read.
    if (taken < bytes.length) this.#pending = copyOf(bytes.subarray(taken))
    if (this.#isBlocked) this.#listen()
    return !this.#isBlocked
  }

  /** Nothing more will be written: the message is complete once the client has taken it. */
  finish(): void {
    if (this.#isOver) return
    this.#isEnding = true
    if (!this.#isBlocked) this.#end()
  }

  /** Ends the connection without completing the message; `lastWords` go before that, as far as they still can. */
  breakOff(lastWords: Uint8Array): void {
    if (this.#isOver) return
    if (lastWords.length > 0 && this.#bodyBytes < 0 && !this.#isBlocked) this.write(lastWords)
    this.leave()
    this.#http.close()
  }

  /** The client's connection ended. */
  leave(): void {
    this.#isOver = true
    this.#timer.leaveAlone()
    giveBlockBack(this.#pending)
    this.#pending = NOTHING
    this.#later.begin(-1)
  }

  /** Number of bytes that the server took; sets `isBlocked` when it wants no more for now. */
  #send(bytes: Uint8Array, firstPieceMax: number): number {
    if (!this.#isHeadWritten) {
      this.#isHeadWritten = true
      this.#writeHead()
    }
    return this.#bodyBytes >= 0 ? this.#sendOfLength(bytes) : this.#sendChunks(bytes, firstPieceMax)
  }

  #sendOfLength(bytes: Uint8Array): number {
    const before = this.#offset
    const send = this.#isLast ? tryLast : tryPart
    const [isTaken, isDone] = send(this.#http, bytes, this.#bodyBytes)
    if (isDone) {
      this.#offset = this.#bodyBytes
      return bytes.length
    }
    this.#offset = this.#http.getWriteOffset()
    this.#isBlocked = !isTaken
    return this.#offset - before
  }

  #sendChunks(bytes: Uint8Array, firstPieceMax: number): number {
    let taken = 0
    let pieceMax = firstPieceMax
    while (taken < bytes.length && !this.#isBlocked) {
      const piece = bytes.subarray(taken, taken + pieceMax)
      this.#isBlocked = !this.#http.write(piece)
      taken += piece.length
      pieceMax = PIECE_BYTES_MAX
    }
    return taken
  }

  #listen(): void {
    if (this.#isListening) return
    this.#isListening = true
    // For good: a client that was slow once may be so at any write, and not every one tells. Who writes has a limit.
    this.#timer.putOff(Number.POSITIVE_INFINITY, () => {})
    this.#http.onWritable(() => {
      if (!this.#isOver) this.#writable()
      return true
    })
  }

  #writable(): void {
    this.#isBlocked = false
    this.#http.cork(() => {
      this.#pending = this.#rest(this.#pending, PROBE_BYTES_MAX)
      if (!this.#isBlocked) this.#pending = this.#rest(this.#later.take(), PIECE_BYTES_MAX)
    })
    if (this.#isBlocked) return
    if (this.#isEnding) this.#end()
    else this.#listener.drained()
  }

  #rest(waiting: Uint8Array, firstPieceMax: number): Uint8Array {
    if (waiting.length === 0) return NOTHING
    const rest = waiting.subarray(this.#send(waiting, firstPieceMax))
    if (rest.length > 0) return rest
    giveBlockBack(waiting)
    return NOTHING
  }

  #end(): void {
    this.#isOver = true
    this.#timer.leaveAlone()
    // With a length, the last byte has ended it; but for a body of none, which ends with its head.
    if (this.#bodyBytes < 0) {
      this.#http.cork(() => {
        if (!this.#isHeadWritten) this.#writeHead()
        if (this.#isLast) this.#http.pause()
        this.#http.end()
      })
    }
    this.#listener.finished()
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = takeBlock(bytes.length).subarray(0, bytes.length)
  copy.set(bytes)
  return copy
}
