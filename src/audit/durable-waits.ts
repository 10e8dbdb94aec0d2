/**
 * Answers of a lane that wait for their record to be on the disk. They are released in the order of their records,
 * many at a time: the writer thread syncs once for all that wait, and wakes the lane once.
 *
 * Each is released exactly once: with its receipt; or without one, and then its caller must not have the answer, when
 * the disk takes no records at present, does not come to an end with a sync, or the log is lost. Its record may come to
 * be in the log all the same, so it is not lost but withheld.
 */
import type { Clock } from '../kernel/clock.ts'
import { type Completion, CompletionConsumer } from './completions.ts'
import type { LaneState } from './lane-state.ts'
import type { WriterSignal } from './writer-signal.ts'

/** Of a lane; with as many waiting no further request of a durable model is let in. */
export const DURABLE_WAITING_MAX = 4096
/** A disk that takes longer than this to sync is taken to be stuck: its callers have waited long enough. */
export const DURABLE_WAIT_MS_MAX = 10_000

export interface Waiting {
  /** The lane's own, of its record. */
  readonly sequence: number
  /** When it began to wait; monotonic ms. */
  readonly since: number
  readonly release: Release
}

/**
 * Called exactly once. `written`: the record is as sure as was asked for, and the answer may leave, with its receipt if
 * there is one (else empty). `isWithheld`: it may not, although its record may come to be in the log.
 */
export type Release = (written: boolean, receipt: string, isWithheld: boolean) => void

export interface DurableWaitsParts {
  readonly completions: SharedArrayBuffer
  /** Whose log it is, as receipts name it. */
  readonly origin: string
  readonly signal: WriterSignal
  readonly state: LaneState
  readonly clock: Clock
  /** Told what a release threw; must not throw itself. */
  onBug(error: unknown): void
}

/** Slots of the queue that were released before the rest is moved to its front. */
const COMPACT_AT = 1024

export class DurableWaits {
  readonly #parts: DurableWaitsParts
  readonly #completions: CompletionConsumer
  #queue: Waiting[] = []
  #first = 0
  #isListening = false
  /** The oldest had waited too long: until then, or until a record is told to be on the disk, nobody may wait. */
  #stuckUntil = Number.NEGATIVE_INFINITY
  #released: number
  #waitedMs: number
  #withheld: number

  constructor(parts: DurableWaitsParts) {
    this.#parts = parts
    this.#completions = new CompletionConsumer(parts.completions)
    const before = parts.state.waits()
    this.#released = before.released
    this.#waitedMs = before.waitedMs
    this.#withheld = before.withheld
  }

  get count(): number {
    return this.#queue.length - this.#first
  }

  /** False: an answer that began to wait now would wait too long, or in vain. */
  get isOpen(): boolean {
    const { signal, clock } = this.#parts
    if (signal.hasFailed || signal.isStalled || this.count >= DURABLE_WAITING_MAX) return false
    if (this.#stuckUntil === Number.NEGATIVE_INFINITY) return true
    this.settle()
    return clock.now() >= this.#stuckUntil
  }

  /** Their records were written, in this order. */
  add(waiting: readonly Waiting[]): void {
    for (const one of waiting) this.#queue.push(one)
    const { hasFailed, isStalled } = this.#parts.signal
    if (hasFailed || isStalled) return this.withholdAll()
    this.#publish()
    this.#listen()
  }

  /** Releases what is on the disk by now. Costs next to nothing when nothing is. */
  settle(): void {
    let completion = this.#completions.take()
    if (completion === undefined) return
    this.#stuckUntil = Number.NEGATIVE_INFINITY
    for (; completion !== undefined; completion = this.#completions.take()) this.#complete(completion)
    this.#publish()
  }

  /** Now and then: whoever waited too long is told so, and nobody waits behind a disk that takes no records. */
  look(): void {
    this.settle()
    const { signal, clock } = this.#parts
    if (this.count === 0) return
    if (signal.hasFailed || signal.isStalled) return this.withholdAll()
    const now = clock.now()
    const latest = now - DURABLE_WAIT_MS_MAX
    if (this.#queue[this.#first]!.since > latest) return
    this.#stuckUntil = now + DURABLE_WAIT_MS_MAX
    while (this.count > 0 && this.#queue[this.#first]!.since <= latest) this.#withhold(this.#next())
    this.#publish()
  }

  withholdAll(): void {
    while (this.count > 0) this.#withhold(this.#next())
    this.#publish()
  }

  /** Entries of answers that are no longer waited for, here or by a predecessor, are passed over. */
  #complete({ laneSequence, sequence, leafHash }: Completion): void {
    while (this.count > 0 && this.#queue[this.#first]!.sequence <= laneSequence) {
      const waiting = this.#next()
      // Of one before it nothing was told.
      if (waiting.sequence < laneSequence) this.#withhold(waiting)
      else this.#release(waiting, `${this.#parts.origin};${sequence};${leafHash}`)
    }
  }

  #release(waiting: Waiting, receipt: string): void {
    this.#released += 1
    this.#waitedMs += this.#parts.clock.now() - waiting.since
    this.#tell(waiting, receipt)
  }

  #withhold(waiting: Waiting): void {
    this.#withheld += 1
    this.#tell(waiting, '')
  }

  /** One caller's bug must not keep others from their replies. */
  #tell({ release }: Waiting, receipt: string): void {
    const isWithheld = receipt === ''
    try {
      release(!isWithheld, receipt, isWithheld)
    } catch (error) {
      this.#parts.onBug(error)
    }
  }

  #next(): Waiting {
    const next = this.#queue[this.#first]!
    this.#first += 1
    if (this.#first === this.#queue.length) {
      this.#queue = []
      this.#first = 0
    } else if (this.#first >= COMPACT_AT) {
      this.#queue.splice(0, this.#first)
      this.#first = 0
    }
    return next
  }

  #listen(): void {
    if (this.#isListening || this.count === 0) return
    const { wakes } = this.#completions
    // What was told before the wakes were read is not told again.
    this.settle()
    if (this.count === 0) return
    this.#isListening = true
    this.#completions.onWake(wakes, () => {
      this.#isListening = false
      if (this.#parts.signal.hasFailed || this.#parts.signal.isStalled) this.look()
      else this.settle()
      this.#listen()
    })
  }

  #publish(): void {
    this.#parts.state.publishWaits({
      waiting: this.count,
      released: this.#released,
      waitedMs: this.#waitedMs,
      withheld: this.#withheld,
    })
  }
}
