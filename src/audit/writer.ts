/**
 * What the writer thread does, a round at a time: records from all lanes into the segments, one sync for all
 * of them within 25 ms (the promise is 50), then the journals that are no longer needed go. It runs without
 * a thread in tests, with a manual clock and a faulty disk. Records whose callers wait are synced at once,
 * together with all that came meanwhile.
 *
 * When segments cannot be written, nothing is lost: the lanes' journals are synced instead and hold the records
 * until the disk takes them again, up to the backlog each lane may have. A sync that fails ends everything.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Digester } from './digests.ts'
import { type Disk, isOutOfDescriptors } from './disk.ts'
import { PAYLOAD_BYTES_MAX } from './frame.ts'
import { type Hole, JournalTap } from './journal-tap.ts'
import type { JournalParts } from './lane-journal.ts'
import type { Checkpoints } from './publish/checkpoints.ts'
import { type DecisionRecord, writeDecision } from './records/decision-record.ts'
import { pack } from './records/msgpack.ts'
import type { LossNote, MarkNote, Notes } from './records/notes.ts'
import { lostDigests, noDigests, WRITER_LANE } from './records/payload.ts'
import { type NoteType, RECORD_TYPES } from './records/record-type.ts'
import { RowWriter } from './records/row-writer.ts'
import { type SegmentWriter, SyncFailure } from './segment-writer.ts'
import { type EndsWith, WriterSignal } from './writer-signal.ts'

export const SYNC_AFTER_MS = 25
const STALL_MS = 500
/** While there is work: what comes in meanwhile shares one write. */
const ROUND_EVERY_MS = 5

export interface WriterParts {
  readonly lanes: readonly JournalParts[]
  readonly start: number
  readonly segment: SegmentWriter
  readonly digester: Digester
  readonly checkpoints: Checkpoints
  readonly disk: Disk
  readonly clock: Clock
}

export class Writer {
  readonly #parts: WriterParts
  readonly #taps: readonly JournalTap[]
  readonly #signal: WriterSignal
  readonly #holes: Hole[] = []
  #sequence = 0
  #begun = 0
  /** Where each lane stood when the batch was last written. */
  #flushed: MarkNote['lanes'] = []
  #dirtySince = Number.NaN
  #stalledUntil = Number.NEGATIVE_INFINITY
  #journalsSyncedAt = Number.NEGATIVE_INFINITY

  constructor(parts: WriterParts) {
    this.#parts = parts
    this.#signal = new WriterSignal(parts.lanes[0]!.signal)
    this.#taps = parts.lanes.map((lane) => new JournalTap(lane, parts.disk, parts.digester))
  }

  get hasNews(): boolean {
    return this.#taps.some((tap) => tap.hasNews)
  }

  /** Nothing to do until a lane publishes something. */
  get isIdle(): boolean {
    return !this.#parts.segment.isDirty && !this.hasNews
  }

  /** Until the next round, at most `idleMs`, or until what `endsWith` says has come. */
  sleep(idleMs: number): void {
    const { ms, endsWith } = this.#pause(idleMs)
    this.#signal.sleep(ms, endsWith, () => (endsWith === 'any' ? this.hasNews : this.#hasUrgentNews))
  }

  #pause(idleMs: number): { readonly ms: number; readonly endsWith: EndsWith } {
    const now = this.#parts.clock.now()
    const { checkpoints } = this.#parts
    if (now < this.#stalledUntil || checkpoints.isFull) return { ms: ROUND_EVERY_MS, endsWith: 'nothing' }
    if (!this.isIdle) return { ms: ROUND_EVERY_MS, endsWith: 'urgent' }
    return { ms: Math.max(ROUND_EVERY_MS, Math.min(idleMs, checkpoints.dueIn(now))), endsWith: 'any' }
  }

  get #hasUrgentNews(): boolean {
    return this.#taps.some((tap) => tap.hasUrgentNews)
  }

  /** The log is lost: whoever waits must be told. */
  wakeLanes(): void {
    for (const tap of this.#taps) tap.wakeLane()
  }

  /**
   * Takes what there is, at most one batch of it; true when more is left to take at once. Throws `SyncFailure`;
   * every other trouble of the disk is waited out.
   */
  round(): boolean {
    const { clock, segment } = this.#parts
    const now = clock.now()
    if (now < this.#stalledUntil) {
      this.#syncJournals(now)
      return false
    }
    const isMore = this.#take()
    if (isMore === null || !this.#flush()) return false
    this.#signal.isStalled = false
    const later = clock.now()
    if (Number.isNaN(this.#dirtySince) && segment.isDirty) this.#dirtySince = later
    if (later - this.#dirtySince >= SYNC_AFTER_MS || this.#isUrgent) this.#sync(isMore)
    if (this.#parts.checkpoints.dueIn(later) === 0) this.#checkpoint(isMore)
    return isMore
  }

  /** Before anything else: the first record of a log names its key. */
  begin(): void {
    this.#parts.checkpoints.begin((key) => this.note('key', key))
  }

  /** A record of the writer's own. */
  note<T extends NoteType>(type: T, note: Notes[T]): void {
    this.#add(RECORD_TYPES[type], pack(note), noDigests)
  }

  /** A decision that no lane can record any more. */
  decision(record: DecisionRecord): void {
    const row = new RowWriter(Buffer.allocUnsafe(PAYLOAD_BYTES_MAX))
    writeDecision(row, record)
    this.#add(RECORD_TYPES.decision, row.bytes.subarray(0, row.at), lostDigests)
  }

  #add(type: number, record: Uint8Array, digests: typeof noDigests): void {
    const { segment, start } = this.#parts
    if (!segment.hasRoom) this.#put()
    this.#sequence += 1
    segment.add({ type, origin: { lane: WRITER_LANE, start, sequence: this.#sequence } }, record, digests)
  }

  /** Everything the lanes left, onto the disk; then their journals go. Throws when the disk does not take it. */
  finish(): void {
    this.#stalledUntil = Number.NEGATIVE_INFINITY
    while (this.round());
    this.#put()
    this.#parts.segment.flush()
    this.#sync(false)
    this.#parts.checkpoints.make((key) => this.note('key', key))
    if (this.hasNews) throw new Error('records are left in the journals: the disk took no more')
    for (const tap of this.#taps) tap.end()
    this.#parts.segment.close()
  }

  /** Whether more is left to take; null: no journal can be opened at present. */
  #take(): boolean | null {
    const { segment, checkpoints } = this.#parts
    if (checkpoints.isFull) return false
    let isMore = false
    try {
      for (const tap of this.#taps) isMore = tap.take(segment, (hole) => this.#holes.push(hole)) || isMore
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error
      this.#stall()
      return null
    }
    this.#tellHoles()
    return isMore
  }

  /** A disk that is full now gets it later. */
  #checkpoint(isMore: boolean): void {
    try {
      this.#sync(isMore)
      this.#parts.checkpoints.make((key) => this.note('key', key))
    } catch (error) {
      if (error instanceof SyncFailure) throw error
      this.#stall()
    }
  }

  #flush(): boolean {
    try {
      this.#put()
      return true
    } catch (error) {
      if (error instanceof SyncFailure) throw error
      this.#stall()
      return false
    }
  }

  /**
   * Records were taken whose callers wait. They are not made to wait for others: what comes in while a sync lasts shares
   * the next one. Waiting 1 or 2 ms for more took 15 % of the throughput of 64 callers and added as much to each answer.
   */
  get #isUrgent(): boolean {
    return this.#taps.some((tap) => tap.urgent > 0)
  }

  #stall(): void {
    const now = this.#parts.clock.now()
    this.#stalledUntil = now + STALL_MS
    this.#signal.isStalled = true
    this.wakeLanes()
    this.#syncJournals(now)
  }

  /**
   * Writes the batch. When that began a segment, all that went before it is in synced ones: the next batch tells
   * so, for whoever opens this log after a crash and reads it from its end.
   */
  #put(): void {
    const { segment, clock } = this.#parts
    segment.flush()
    const before = this.#flushed
    this.#flushed = this.#taps.map(({ parts, last }) => ({ lane: parts.lane, through: last }))
    if (segment.begun === this.#begun) return
    const isFirst = this.#begun === 0
    this.#begun = segment.begun
    if (!isFirst) this.note('mark', { at: clock.wall(), lanes: before })
  }

  /** Records still waiting in journals when the sync is due are synced where they are. */
  #sync(isMore: boolean): void {
    this.#parts.segment.sync()
    this.#dirtySince = Number.NaN
    for (const tap of this.#taps) tap.settle()
    if (isMore) this.#syncJournals(this.#parts.clock.now())
  }

  #syncJournals(now: number): void {
    if (now - this.#journalsSyncedAt < SYNC_AFTER_MS) return
    this.#journalsSyncedAt = now
    try {
      for (const tap of this.#taps) tap.syncJournal()
    } catch (error) {
      // What could not be opened was not synced, and has not failed to be.
      if (isOutOfDescriptors(error)) return
      throw new SyncFailure(`a journal could not be synced: ${(error as Error).message}`)
    }
  }

  #tellHoles(): void {
    const at = this.#parts.clock.wall()
    for (const { lane, from, to } of this.#holes.splice(0)) {
      const loss: LossNote = {
        at,
        lane,
        since: at,
        records: to - from + 1,
        from,
        to,
        cause: 'journal-damaged',
      }
      this.note('gap', loss)
    }
  }
}
