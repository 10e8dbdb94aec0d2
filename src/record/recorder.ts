/**
 * What the request path sees of the log: one decision record per request, refusals and aborts included, one
 * per shadow copy, and one for the end of each answer that was passed on as it came. A reply leaves only from `release`, and only with `true` may it be the model's answer.
 *
 * Nothing here waits: records of one turn of the loop are written together at its end.
 */
import type { Release } from '../audit/durable-waits.ts'
import type { RequestUnderWay } from '../audit/inflight/cell.ts'
import type { InflightFile } from '../audit/inflight/inflight-file.ts'
import type { LaneJournal } from '../audit/lane-journal.ts'
import type { Notes } from '../audit/records/notes.ts'
import type { NoteType } from '../audit/records/record-type.ts'
import type { Exchange, ShadowOutcome, StreamOutcome } from '../domain/exchange.ts'
import type { AuditMode } from '../domain/routes.ts'
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
  available(mode: AuditMode): boolean {
    return mode === 'best-effort' || this.#journal.available(mode === 'durable')
  }

  /** Whether records can be written at present, of whatever mode. Looks, when it is time, whether they can again. */
  look(): boolean {
    this.#journal.look()
    return this.#journal.available()
  }

  /**
   * Notes a request before a version is asked for the first time, so that it is in the log even if this process dies before
   * its decision is: from the next `writeNotes` on. What comes back is to be given to `decision`.
   */
  note(request: RequestUnderWay): number {
    return this.#inflight?.begin(request, this.#journal.lastSequence) ?? NOT_NOTED
  }

  /** All that was noted is on the disk then, unless the disk does not take it. */
  writeNotes(): void {
    this.#inflight?.write()
  }

  /**
   * `release` is called exactly once, after this turn: with true when the answer may leave, because its record is as sure
   * as its mode asks (`batched`: it survives this process; `durable`: it is on the disk, and there is a receipt);
   * with false when the caller must not get the answer. `note`: from `note`.
   */
  decision(exchange: Exchange, release: Release, note = NOT_NOTED): void {
    this.#capture?.take(exchange)
    const { intent, answer, passed, auditMode } = exchange
    // A random key identifies nobody, so there is nothing to recognize by its digest.
    const key = intent === null || intent.key.source === 'random' ? '' : intent.key.value
    const inputs = {
      key,
      request: exchange.requestBody,
      answer: passed === null ? (answer?.body ?? null) : ('streamed' as const),
    }
    const told = this.#toldOf(release, auditMode, note)
    this.#journal.decision(decisionOf(exchange), inputs, told, auditMode === 'durable')
    if (note !== NOT_NOTED) this.#inflight?.decided(note, this.#journal.lastSequence)
  }

  /** What stands between the journal's word and the caller. */
  #toldOf(release: Release, mode: AuditMode, note: number): Release {
    const inflight = this.#inflight
    const isFree = mode === 'best-effort'
    if (note === NOT_NOTED || inflight === null) return isFree ? () => release(true, '', false) : release
    return (written, receipt, isWithheld) => {
      inflight.end(note, written || isWithheld)
      release(written || isFree, receipt, isWithheld)
    }
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
