/**
 * Reads one answer after another from whatever pieces of bytes arrive, without I/O. Pull style: give it
 * a buffer and ask `next` until it says 'more', 'end' or 'malformed'.
 *
 * The buffer belongs to the caller and is overwritten after the call: body bytes are handed out as a
 * range of it, at once, and everything else is copied out. Any split of the same bytes gives the same
 * events, but for where 'body' ranges begin and end (SPEC.md R1; test/forward/http1/codec.test.ts).
 */
import type { Buffer } from 'node:buffer'
import { type AnswerHead, parseHead } from './answer-head.ts'
import { ChunkedBody } from './chunked-body.ts'
import { INTERIM_ANSWERS_MAX } from './limits.ts'
import { LineBlock } from './line-block.ts'

/**
 * more: all bytes were used · interim: a 1xx answer went by, the real one is still to come · head: `head`
 * is known · body: `bodyStart`–`bodyEnd` of the buffer is the next part · end: the answer is complete,
 * bytes from `position` on are not part of it · malformed: `problem` says why; nothing more can be read.
 */
export type ReaderEvent = 'more' | 'interim' | 'head' | 'body' | 'end' | 'malformed'

/** nothing: not one byte of the (final) answer came · truncated: some did · end: complete by closing. */
export type FinishEvent = 'nothing' | 'truncated' | 'end'

type Phase = 'head' | 'length' | 'chunked' | 'until-close' | 'done' | 'failed'

/** Bytes every acceptable answer begins with: what is not HTTP/1 is noticed without waiting for a line. */
const OPENING = [...'HTTP/1.'].map((char) => char.charCodeAt(0))

export class AnswerReader {
  /** First byte of the buffer not yet read, after `next` returned. */
  position = 0
  bodyStart = 0
  bodyEnd = 0
  head: AnswerHead | undefined
  problem = ''
  #phase: Phase = 'done'
  #method = ''
  #interims = 0
  /** Bytes of a body with Content-Length that are still to come. */
  #left = 0
  /**
   * The last final head, by its text and method. An endpoint's heads are mostly the same bytes for a
   * second (until `date` moves), and comparing them costs 60 ns where parsing
   * costs 1,100 (five headers, Node 20, one warm loop). SPEC.md R15.
   */
  #lastText = ''
  #lastMethod = ''
  #lastHead: AnswerHead | undefined
  readonly #block = new LineBlock()
  readonly #chunks = new ChunkedBody()

  /** Before each request, with its method: an answer cannot be read without knowing it. */
  expect(method: string): void {
    this.#method = method
    this.#phase = 'head'
    this.#interims = 0
    this.head = undefined
    this.problem = ''
    this.#block.reset(true)
  }

  /** Nothing of the final answer has come yet; interim ones may have gone by. */
  get isAwaiting(): boolean {
    return this.#phase === 'head' && this.#block.length === 0
  }

  /** Some byte came, of an interim answer or of the final one. */
  get hasBegun(): boolean {
    return this.#interims > 0 || this.#phase !== 'head' || this.#block.length > 0
  }

  /** In the body of an answer that only the end of the connection completes. */
  get runsUntilClose(): boolean {
    return this.#phase === 'until-close'
  }

  /** `position` is where to go on; the caller sets it when it hands in a new buffer. */
  next(buffer: Buffer, end: number): ReaderEvent {
    switch (this.#phase) {
      case 'head':
        return this.#readHead(buffer, end)
      case 'length':
        return this.#readLength(end)
      case 'chunked':
        return this.#readChunked(buffer, end)
      case 'until-close':
        return this.position < end ? this.#range(end) : 'more'
      case 'done':
        return 'end'
      case 'failed':
        return 'malformed'
    }
  }

  /** The connection ended in good order (FIN). An error never completes an answer. */
  finish(): FinishEvent {
    const phase = this.#phase
    if (phase === 'done') return 'end'
    if (phase === 'until-close') {
      this.#phase = 'done'
      return 'end'
    }
    return this.isAwaiting ? 'nothing' : 'truncated'
  }

  #readHead(buffer: Buffer, end: number): ReaderEvent {
    if (this.position === end) return 'more'
    if (!this.#opensWell(buffer, end)) return this.#malformed('it does not begin with HTTP/1.')
    const after = this.#block.read(buffer, this.position, end)
    if (after === -2) return this.#malformed(this.#block.problem)
    if (after === -1) {
      this.position = end
      return 'more'
    }
    this.position = after
    const { text } = this.#block
    if (this.#lastHead !== undefined && text === this.#lastText && this.#method === this.#lastMethod) {
      return this.#begin(this.#lastHead)
    }
    const head = parseHead(text, this.#method)
    if (typeof head === 'string') return this.#malformed(head)
    return head.status < 200 ? this.#interim(head.status) : this.#remember(head, text)
  }

  #remember(head: AnswerHead, text: string): 'head' {
    this.#lastText = text
    this.#lastMethod = this.#method
    this.#lastHead = head
    return this.#begin(head)
  }

  #opensWell(buffer: Buffer, end: number): boolean {
    let at = this.#block.length
    for (let index = this.position; index < end && at < OPENING.length; index += 1, at += 1) {
      if (buffer[index] !== OPENING[at]) return false
    }
    return true
  }

  #interim(status: number): ReaderEvent {
    if (status === 101) return this.#malformed('it switches protocols, which was not asked for')
    this.#interims += 1
    if (this.#interims > INTERIM_ANSWERS_MAX) return this.#malformed('too many interim answers')
    this.#block.reset(true)
    return 'interim'
  }

  #begin(head: AnswerHead): 'head' {
    this.head = head
    const { framing } = head
    if (framing.is === 'none') this.#phase = 'done'
    else this.#phase = framing.is
    if (framing.is === 'length') this.#left = framing.bytes
    else if (framing.is === 'chunked') this.#chunks.reset()
    return 'head'
  }

  #readLength(end: number): ReaderEvent {
    if (this.position === end) return 'more'
    const stop = Math.min(end, this.position + this.#left)
    this.#left -= stop - this.position
    if (this.#left === 0) this.#phase = 'done'
    return this.#range(stop)
  }

  #readChunked(buffer: Buffer, end: number): ReaderEvent {
    const chunks = this.#chunks
    const event = chunks.next(buffer, this.position, end)
    if (event === 'malformed') return this.#malformed(chunks.problem)
    this.position = chunks.position
    if (event === 'body') {
      this.bodyStart = chunks.bodyStart
      this.bodyEnd = chunks.bodyEnd
    } else if (event === 'end') {
      this.#phase = 'done'
    }
    return event
  }

  #range(stop: number): 'body' {
    this.bodyStart = this.position
    this.bodyEnd = stop
    this.position = stop
    return 'body'
  }

  #malformed(problem: string): 'malformed' {
    this.#phase = 'failed'
    this.problem = problem
    return 'malformed'
  }
}
