/**
 * What the request path sees of the log: one decision record per request, refusals and aborts included, one
 * per shadow copy, and one for the end of each answer that was passed on as it came. A reply leaves only from `release`, and only with `true` may it be the model's answer.
 *
 * Nothing here waits: records of one turn of the loop are written together at its end.
 */
import type { RequestUnderWay } from '../audit/inflight/cell.ts'
import type { InflightFile } from '../audit/inflight/inflight-file.ts'
import type { LaneJournal } from '../audit/lane-journal.ts'
import type { Notes } from '../audit/records/notes.ts'
import type { NoteType } from '../audit/records/record-type.ts'
import type { Exchange, ShadowOutcome, StreamOutcome } from '../domain/exchange.ts'
import type { BodyCapture } from './body-capture.ts'
import { decisionOf, shadowOf, streamOf } from './build.ts'

export interface RecorderParts {
  readonly journal: LaneJournal
  /** Null: a crash leaves no trace of requests that have no record yet. */
  readonly inflight?: InflightFile | null
  /** Null: no model's bodies are kept. */
  readonly capture?: BodyCapture | null
}

/** A request that is not noted while it is under way. */
export const NOT_NOTED = -1

export class Recorder {
  readonly #journal: LaneJournal
  readonly #inflight: InflightFile | null
  readonly #capture: BodyCapture | null

  constructor({ journal, inflight = null, capture = null }: RecorderParts) {
    this.#journal = journal
    this.#inflight = inflight
    this.#capture = capture
  }

  /** False: answer 503 `audit-unavailable` before any model is called. */
  available(): boolean {
    return this.#journal.available()
  }

  /**
   * Notes a request when a version is about to be asked for the first time, so that it is in the log even if this process
   * dies before its decision is. What comes back is to be given to `decision`.
   */
  asking(request: RequestUnderWay): number {
    return this.#inflight?.begin(request, this.#journal.lastSequence) ?? NOT_NOTED
  }

  /**
   * `release` is called exactly once, after this turn: with true when the record is in the journal (it survives
   * this process), with false when it could not be written and the caller must not get the answer. `note`: from `asking`.
   */
  decision(exchange: Exchange, release: (written: boolean) => void, note = NOT_NOTED): void {
    this.#capture?.take(exchange)
    const { intent, answer, passed } = exchange
    // A random key identifies nobody, so there is nothing to recognize by its digest.
    const key = intent === null || intent.key.source === 'random' ? '' : intent.key.value
    const inputs = {
      key,
      request: exchange.requestBody,
      answer: passed === null ? (answer?.body ?? null) : ('streamed' as const),
    }
    const inflight = this.#inflight
    if (note === NOT_NOTED || inflight === null) {
      return this.#journal.decision(decisionOf(exchange), inputs, release)
    }
    this.#journal.decision(decisionOf(exchange), inputs, (written) => {
      inflight.end(note, written)
      release(written)
    })
    inflight.decided(note, this.#journal.lastSequence)
  }

  /** To be called about once a second: the notes of requests that have their records are cleared. */
  tidy(): void {
    this.#inflight?.tidy(this.#journal.lastSequence, !this.#journal.owesLoss)
  }

  /** Requests that could not be noted. */
  get unnoted(): number {
    return this.#inflight?.unnoted ?? 0
  }

  shadow(outcome: ShadowOutcome): void {
    this.#journal.shadow(shadowOf(outcome))
  }

  /** How an answer that was passed on ended. Its decision was recorded when it began. */
  stream(outcome: StreamOutcome): void {
    this.#journal.stream(streamOf(outcome))
  }

  event<T extends NoteType>(type: T, note: Notes[T]): void {
    this.#journal.note(type, note)
  }

  /** Writes what is pending now, not at the end of this turn, and releases it. */
  flush(): void {
    this.#journal.flush()
  }

  /** Writes and releases what is pending. Nothing may be recorded after it. */
  close(): void {
    this.#journal.close()
    this.#inflight?.close(this.#journal.lastSequence, !this.#journal.owesLoss)
  }
}
