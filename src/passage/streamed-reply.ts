/**
 * An answer on its way to the caller piece by piece. Its decision is recorded before its head leaves, and how
 * it ended is recorded when the caller has taken the last byte, has left, or was left with a broken message.
 *
 * Whoever writes is told when to wait. A version that breaks off leaves the caller with a message that its
 * HTTP reader knows to be cut short: after the head left, no fault can become another answer.
 */
import type { ClientStream } from '../accept/client-stream.ts'
import type { Exchange, StreamOutcome } from '../domain/exchange.ts'
import { headerOf } from '../domain/head.ts'
import type { Version } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import { GatheredBytes } from '../kernel/gathered-bytes.ts'
import { giveBlockBack } from '../kernel/recycled-memory.ts'
import type { Watched } from '../kernel/sweep.ts'
import type { Course } from './course.ts'
import { isEventStream } from './hold-or-pass.ts'
import type { Outlet } from './intake.ts'
import { AUDIT_UNAVAILABLE, CLIENT_GONE, CLIENT_STALL_MS_MAX, CLIENT_STALLED, DRAINING } from './refusals.ts'
import {
  endStory,
  exchangeOf,
  explained,
  type Known,
  type Opening,
  ownHeaders,
  tellWithheld,
  unrecorded,
  withMarks,
} from './settle.ts'
import { giveBodyBack } from './spent-body.ts'

/** What comes in the turn that records the decision waits for its end; with more, the endpoint does too. */
const EARLY_BYTES_MAX = 64 * 1024
/** One read on top of it, or of what an intake held. */
const EARLY_BYTES_HELD_MAX = 1024 * 1024
const NO_WORDS = new Uint8Array(0)

export interface ReplySource {
  /** More is wanted. */
  resume(): void
  /** Nobody wants the rest. */
  abandon(): Course
}

export class StreamedReply implements Outlet, Watched {
  dueAt = Number.POSITIVE_INFINITY
  slot = -1
  readonly #opening: Opening
  readonly #known: Known
  readonly #source: ReplySource
  readonly #opened: Exchange
  readonly #version: Version
  readonly #early = new GatheredBytes(EARLY_BYTES_HELD_MAX, { isRecycled: true })
  #stream: ClientStream | undefined
  #course: Course | undefined
  #isWaiting = false
  #isWriting = false
  #isOver = false

  /** `course`: as it is when the answer begins. */
  constructor(opening: Opening, known: Known, course: Course, source: ReplySource) {
    this.#opening = opening
    this.#known = known
    this.#source = source
    this.#opened = exchangeOf(opening, known, course)
    this.#version = this.#opened.model!.versions.get(course.served)!
    opening.lane.recorder.decision(this.#opened, (...fate) => this.#recorded(...fate), opening.note)
    opening.lane.observer.streamOpened(this.#version)
    opening.settled = true
  }

  write(bytes: Uint8Array): boolean {
    // To copy so much, and to make the endpoint wait, costs more than a write of its own for the record.
    if (this.#stream === undefined && bytes.length > EARLY_BYTES_MAX) this.#recordNow()
    if (this.#isOver) return true
    if (this.#stream === undefined) {
      assert(this.#early.append(bytes, 0, bytes.length), 'whoever writes heeds when to wait')
      this.#isWaiting = this.#early.length > EARLY_BYTES_MAX
    } else if (!this.#stream.write(bytes)) this.#wait()
    return !this.#isWaiting
  }

  /** The attempt is over; nothing more will be written. */
  end(course: Course): void {
    this.#course = course
    if (this.#stream !== undefined) this.#finish(course)
  }

  /** The caller left, or was stalled for too long: the attempt is told so first, and `course` is what it came to. */
  left(course: Course): void {
    // After the grace of a stop it is the gateway that leaves.
    const isCut = this.#opening.lane.work.refusing
    // An attempt that was over before has told its own course already.
    const ending = { ...(this.#course ?? course), fault: isCut ? DRAINING : CLIENT_GONE }
    this.#tell(isCut ? 'broken' : 'client-gone', ending)
  }

  /** The sweep: the caller takes too little. */
  expire(): void {
    const course = this.#source.abandon()
    this.#stream?.breakOff(NO_WORDS)
    this.#tell('client-gone', { ...(this.#course ?? course), fault: CLIENT_STALLED })
  }

  #recordNow(): void {
    this.#isWriting = true
    this.#opening.lane.recorder.flush()
    this.#isWriting = false
  }

  #recorded(written: boolean, receipt: string, isWithheld: boolean): void {
    if (this.#isOver) return
    const { client, lane } = this.#opening
    if (!written) return this.#unrecorded(isWithheld)
    const { status, headers, bodyBytes } = this.#opened.passed!
    const own = ownHeaders(this.#opened, { headers }, receipt)
    const head = { status, headers: own, bodyBytes, close: lane.work.draining }
    const stream = client.begin(head, {
      drained: () => this.#drained(),
      finished: () => this.#tell('complete', this.#course!),
    })
    // Its leaving is told by itself.
    if (stream === null) return
    this.#stream = stream
    const early = this.#early.take()
    // What is written next takes the head along.
    if (early.length === 0 && !this.#isWriting) stream.open()
    if (early.length > 0 && !stream.write(early)) this.#wait()
    else if (this.#isWaiting) this.#drained()
    // The stream has sent it or has a copy of its own.
    giveBlockBack(early)
    if (this.#course !== undefined) this.#finish(this.#course)
  }

  #unrecorded(isWithheld: boolean): void {
    const { client, lane } = this.#opening
    if (isWithheld) tellWithheld(this.#opening, this.#opened)
    this.#source.abandon()
    this.#over(null)
    const reply = explained(AUDIT_UNAVAILABLE, this.#known.protocol)
    const headers = withMarks(this.#opened, reply, AUDIT_UNAVAILABLE)
    lane.observer.exchange(unrecorded(this.#opened))
    client.reply({ ...reply, headers, close: lane.work.draining })
  }

  #finish(course: Course): void {
    const stream = this.#stream!
    if (course.cut === null) return stream.finish()
    const { protocol } = this.#known
    const { headers } = this.#opened.passed!
    // Among packed bytes ours would be no words.
    const takesWords =
      isEventStream({ headers }) && (headerOf(headers, 'content-encoding') ?? 'identity') === 'identity'
    stream.breakOff(takesWords && protocol !== null ? protocol.breakOff(course.cut) : NO_WORDS)
    this.#tell('broken', course)
  }

  #wait(): void {
    this.#isWaiting = true
    // What is written on top of what waits does not put off the end of the wait.
    if (this.slot !== -1) return
    const { clock, sweep } = this.#opening.lane
    this.dueAt = clock.now() + CLIENT_STALL_MS_MAX
    sweep.watch(this)
  }

  #drained(): void {
    this.#isWaiting = false
    this.#opening.lane.sweep.unwatch(this)
    if (this.#course === undefined) this.#source.resume()
  }

  #tell(fate: StreamOutcome['fate'], course: Course): void {
    if (this.#isOver) return
    this.#over(fate)
    const { lane, id, receivedAt, startedAt } = this.#opening
    const exchange = exchangeOf(this.#opening, this.#known, course)
    const attempt = course.attempts.at(-1)!
    const outcome: StreamOutcome = {
      id,
      receivedAt,
      model: exchange.model!.name,
      fate,
      durationMs: exchange.endedAt - startedAt,
      attempt,
      status: exchange.status,
      fault: exchange.fault,
      summary: exchange.summary,
    }
    lane.recorder.stream(outcome)
    lane.observer.exchange(exchange)
    if (fate === 'complete') giveBodyBack(exchange)
  }

  /** Null: the decision could not be recorded, and the caller got none of it. */
  #over(fate: StreamOutcome['fate'] | null): void {
    this.#isOver = true
    const { lane } = this.#opening
    lane.observer.streamEnded(this.#version, fate)
    lane.sweep.unwatch(this)
    endStory(this.#opening)
  }
}
