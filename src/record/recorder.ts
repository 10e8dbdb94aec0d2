/**
 * What the request path sees of the log: one decision record per request, refusals and aborts included, one
 * per shadow copy, and one for the end of each answer that was passed on as it came. A reply leaves only from `release`, and only with `true` may it be the model's answer.
 *
 * Nothing here waits: records of one turn of the loop are written together at its end.
 */
import type { LaneJournal } from '../audit/lane-journal.ts'
import type { Notes } from '../audit/records/notes.ts'
import type { NoteType } from '../audit/records/record-type.ts'
import type { Exchange, ShadowOutcome, StreamOutcome } from '../domain/exchange.ts'
import { decisionOf, shadowOf, streamOf } from './build.ts'

export class Recorder {
  readonly #journal: LaneJournal

  constructor({ journal }: { readonly journal: LaneJournal }) {
    this.#journal = journal
  }

  /** False: answer 503 `audit-unavailable` before any model is called. */
  available(): boolean {
    return this.#journal.available()
  }

  /**
   * `release` is called exactly once, after this turn: with true when the record is in the journal (it survives
   * this process), with false when it could not be written and the caller must not get the answer.
   */
  decision(exchange: Exchange, release: (written: boolean) => void): void {
    const { intent, answer, passed } = exchange
    // A random key identifies nobody, so there is nothing to recognize by its digest.
    const key = intent === null || intent.key.source === 'random' ? '' : intent.key.value
    const inputs = {
      key,
      request: exchange.requestBody,
      answer: passed === null ? (answer?.body ?? null) : ('streamed' as const),
    }
    this.#journal.decision(decisionOf(exchange), inputs, release)
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
  }
}
