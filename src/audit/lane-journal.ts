/**
 * A lane's way into the log. What happens in one turn of its loop is written with one call at the turn's end,
 * and only then are the replies released; those whose record must be on the disk first, when it is (durable-waits.ts). A record costs the lane 8 µs when it is alone in its turn and 4.5 when eight
 * or more share one (Node 20, 300 B records with 640 B of bodies, two busy cores; 2–3 of it are the write).
 *
 * It never waits for the writer thread, never writes a body or a sticky key to disk, holds at most one batch in
 * memory, and counts what it could not write: the next record that can be written is a `loss` record with the
 * exact sequences. While it is in trouble it asks the disk again at most once a second.
 */
import type { Clock } from '../kernel/clock.ts'
import { COMPLETIONS_MAX } from './completions.ts'
import { DigestHandover, type DigestInputs } from './digest-handover.ts'
import { codeOf, type Disk, FREE_BYTES_MIN, systemDisk } from './disk.ts'
import { DurableWaits, type Release, type Waiting } from './durable-waits.ts'
import { FRAME_HEAD_BYTES, PAYLOAD_BYTES_MAX, sealFrame } from './frame.ts'
import { JOURNAL_BYTES_MAX, JournalFile } from './journal-file.ts'
import { LaneState } from './lane-state.ts'
import { type DecisionRecord, writeDecision } from './records/decision-record.ts'
import { pack } from './records/msgpack.ts'
import type { LossNote, Notes } from './records/notes.ts'
import { DURABLE, ENVELOPE_BYTES_MAX } from './records/payload.ts'
import { type NoteType, RECORD_TYPES } from './records/record-type.ts'
import { RowWriter } from './records/row-writer.ts'
import { type ShadowRecord, writeShadow } from './records/shadow-record.ts'
import { type StreamRecord, writeStream } from './records/stream-record.ts'
import { WriterSignal } from './writer-signal.ts'

/** Everything of a turn; a fuller turn is written in several calls. */
export const BATCH_BYTES_MAX = 512 * 1024
const PROBE_EVERY_MS = 1000
const LANE_PAYLOAD_BYTES_MAX = PAYLOAD_BYTES_MAX - ENVELOPE_BYTES_MAX

/** What a lane thread is given; can be cloned to another thread. */
export interface JournalParts {
  readonly dataDir: string
  readonly lane: number
  readonly start: number
  readonly state: SharedArrayBuffer
  readonly ring: SharedArrayBuffer
  readonly signal: SharedArrayBuffer
  /** By which the writer thread tells what is on the disk. */
  readonly completions: SharedArrayBuffer
  /** Whose log it is, as receipts name it. */
  readonly origin: string
  /** Frame bytes of this lane that may wait for the writer thread; beyond it the lane is unavailable. */
  readonly backlogBytesMax: number
  /** A larger body gets no digest. */
  readonly digestBytesMax: number
}

export interface JournalOptions {
  readonly disk?: Disk
  readonly fileBytesMax?: number
  /** Told what a release threw; must not throw itself. Without it that is an uncaught exception of a later turn. */
  readonly onBug?: (error: unknown) => void
}

interface Loss {
  readonly since: number
  readonly from: number
  readonly records: number
  readonly cause: string
}

export class LaneJournal {
  readonly #parts: JournalParts
  readonly #clock: Clock
  readonly #onBug: (error: unknown) => void
  readonly #disk: Disk
  readonly #file: JournalFile
  readonly #state: LaneState
  readonly #handover: DigestHandover
  readonly #waits: DurableWaits
  readonly #signal: WriterSignal
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES_MAX)
  readonly #row = new RowWriter(this.#batch)
  #used = 0
  #pending = 0
  #releases: Release[] = []
  /** Those of this batch that wait for the disk, too. */
  #durable: Waiting[] = []
  #refused: Release[] = []
  #timer: NodeJS.Immediate | undefined
  /** Records lost that no loss record tells of yet; and what the loss records of this batch tell. */
  #loss: Loss | undefined
  #telling: Loss | undefined
  /** Code of the error that stopped writing; empty while all is well. */
  #trouble = ''
  #probeAt = 0
  #sequence: number
  #records: number
  #bytes: number
  #lost: number
  #durableRecords: number

  constructor(parts: JournalParts, clock: Clock, more: JournalOptions = {}) {
    this.#onBug = more.onBug ?? throwLater
    this.#parts = parts
    this.#clock = clock
    this.#disk = more.disk ?? systemDisk
    this.#state = new LaneState(parts.state)
    this.#signal = new WriterSignal(parts.signal)
    const { completions, origin } = parts
    const [signal, state, onBug] = [this.#signal, this.#state, this.#onBug]
    this.#waits = new DurableWaits({ completions, origin, signal, state, clock, onBug })
    // A lane that is started again in the same run goes on where its predecessor stopped.
    const before = this.#state.position()
    const bytesMax = more.fileBytesMax ?? JOURNAL_BYTES_MAX
    this.#file = new JournalFile(parts, before.file, { disk: this.#disk, clock, bytesMax })
    this.#sequence = before.lastSequence
    this.#records = before.records
    this.#bytes = before.bytes
    this.#lost = before.lost
    this.#durableRecords = before.durable
    this.#handover = new DigestHandover(parts.ring, parts.digestBytesMax, before.digestsLost)
  }

  /**
   * False: no model may be called, because what it would answer could not be recorded; with `isDurable`, or could not be
   * brought onto the disk.
   */
  available(isDurable = false): boolean {
    if (this.#trouble !== '' && this.#clock.now() >= this.#probeAt) this.#probe()
    return this.#obstacle() === '' && (!isDurable || this.#waits.isOpen)
  }

  /** Of the last record, written, waiting or lost. */
  get lastSequence(): number {
    return this.#sequence
  }

  /** Some records could not be written, and the log does not tell so yet. */
  get owesLoss(): boolean {
    return this.#loss !== undefined || this.#telling !== undefined
  }

  /** To be called now and then, with requests or without: who waited too long for the disk is told so. */
  look(): void {
    this.#waits.look()
  }

  /**
   * `release` is called exactly once: at the end of this turn, when the record is in the journal file; with
   * `isDurable` in a later one, when it is in a segment on the disk.
   */
  decision(record: DecisionRecord, inputs: DigestInputs, release: Release, isDurable = false): void {
    if (!this.#accepts()) return this.#refuse(release)
    if (isDurable && this.#waits.count + this.#durable.length >= COMPLETIONS_MAX)
      return this.#refuse(release, 'waiting')
    const start = this.#beginRow()
    writeDecision(this.#row, record)
    const flags = this.#handover.offer(this.#sequence + 1, inputs)
    this.#seal(RECORD_TYPES.decision, isDurable ? flags | DURABLE : flags, this.#row.at - start)
    if (isDurable) this.#durable.push({ sequence: this.#sequence, since: this.#clock.now(), release })
    else this.#releases.push(release)
  }

  shadow(record: ShadowRecord): void {
    if (!this.#accepts()) return this.#refuse(undefined)
    const start = this.#beginRow()
    writeShadow(this.#row, record)
    this.#seal(RECORD_TYPES.shadow, 0, this.#row.at - start)
  }

  stream(record: StreamRecord): void {
    if (!this.#accepts()) return this.#refuse(undefined)
    const start = this.#beginRow()
    writeStream(this.#row, record)
    this.#seal(RECORD_TYPES.stream, 0, this.#row.at - start)
  }

  note<T extends NoteType>(type: T, note: Notes[T]): void {
    this.packed(RECORD_TYPES[type], note)
  }

  /** Any other record: `value` as its type's layout has it. */
  packed(type: number, value: unknown): void {
    if (!this.#accepts()) return this.#refuse(undefined)
    const payload = pack(value)
    if (payload.length > LANE_PAYLOAD_BYTES_MAX) return this.#lose('too-large')
    this.#add(type, payload)
  }

  /** Writes what is pending now and releases it. The turn's end does this by itself. */
  flush(): void {
    clearImmediate(this.#timer)
    this.#timer = undefined
    if (this.#used > 0) this.#write()
    // A busy lane comes by here long before the news that it was woken for.
    this.#waits.settle()
    if (this.#refused.length > 0) {
      const refused = this.#refused
      this.#refused = []
      this.#releaseAll(refused, false)
    }
  }

  /** Nothing may be recorded after it. */
  close(): void {
    this.flush()
    if (this.#loss !== undefined && !this.#signal.hasFailed) {
      this.#tellLoss(this.#loss)
      this.flush()
    }
    this.#waits.withholdAll()
    this.#file.close()
  }

  #obstacle(): string {
    if (this.#signal.hasFailed) return 'sync-failed'
    if (this.#trouble !== '') return this.#trouble
    return this.#bytes - this.#state.syncedBytes > this.#parts.backlogBytesMax ? 'backlog' : ''
  }

  /** Asked before a record is packed; also where a loss that is over is told. */
  #accepts(): boolean {
    if (this.#obstacle() !== '') return false
    if (this.#loss !== undefined) this.#tellLoss(this.#loss)
    return true
  }

  #refuse(release: Release | undefined, cause = this.#obstacle()): void {
    this.#lose(cause)
    if (release !== undefined) this.#refused.push(release)
    this.#publish()
    this.#schedule()
  }

  #lose(cause: string): void {
    this.#sequence += 1
    this.#lost += 1
    const loss = { since: this.#clock.wall(), from: this.#sequence, records: 1, cause }
    this.#loss = together(this.#loss, loss)
  }

  #tellLoss(loss: Loss): void {
    this.#loss = undefined
    this.#telling = together(this.#telling, loss)
    const note: LossNote = {
      at: this.#clock.wall(),
      lane: this.#parts.lane,
      since: loss.since,
      records: loss.records,
      from: loss.from,
      to: this.#sequence,
      cause: loss.cause,
    }
    this.#add(RECORD_TYPES.gap, pack(note))
  }

  /** Room for the longest; tells where it begins. */
  #beginRow(): number {
    this.#reserve(LANE_PAYLOAD_BYTES_MAX)
    const start = this.#used + FRAME_HEAD_BYTES
    this.#row.begin(start)
    return start
  }

  #reserve(payloadBytes: number): void {
    if (this.#used + FRAME_HEAD_BYTES + payloadBytes > BATCH_BYTES_MAX) this.#write()
  }

  #add(type: number, payload: Buffer): void {
    this.#reserve(payload.length)
    this.#batch.set(payload, this.#used + FRAME_HEAD_BYTES)
    this.#seal(type, 0, payload.length)
  }

  /** Makes a record of the payload that lies behind the next frame head. */
  #seal(type: number, flags: number, payloadBytes: number): void {
    this.#sequence += 1
    this.#pending += 1
    const head = { sequence: this.#sequence, type, flags }
    this.#used = sealFrame(this.#batch, this.#used, head, payloadBytes)
    this.#schedule()
  }

  #schedule(): void {
    this.#timer ??= setImmediate(() => this.flush())
  }

  #write(): void {
    const [used, pending, releases, durable] = [this.#used, this.#pending, this.#releases, this.#durable]
    this.#used = 0
    this.#pending = 0
    this.#releases = []
    if (durable.length > 0) this.#durable = []
    const written = this.#append(used, pending)
    if (written) {
      this.#records += pending
      this.#bytes += used
      this.#durableRecords += durable.length
    }
    this.#publish()
    if (written) this.#signal.wake(durable.length > 0)
    this.#releaseAll(releases, written)
    if (durable.length === 0) return
    if (written) this.#waits.add(durable)
    else
      this.#releaseAll(
        durable.map(({ release }) => release),
        false,
      )
  }

  /**
   * One caller's bug must not keep others from their replies, nor come up in whoever happened to record next: a full
   * batch is written, and released, inside another request's call.
   */
  #releaseAll(releases: readonly Release[], written: boolean): void {
    for (const release of releases) {
      try {
        release(written, '', false)
      } catch (error) {
        this.#onBug(error)
      }
    }
  }

  #append(used: number, pending: number): boolean {
    const first = this.#sequence - pending + 1
    try {
      if (this.#signal.hasFailed) throw Object.assign(new Error('the log was lost'), { code: 'sync-failed' })
      this.#file.append(this.#batch, used, first)
      this.#telling = undefined
      return true
    } catch (error) {
      this.#trouble = codeOf(error) || 'unknown'
      this.#probeAt = this.#clock.now() + PROBE_EVERY_MS
      this.#lost += pending
      const loss = { since: this.#clock.wall(), from: first, records: pending, cause: this.#trouble }
      this.#loss = together(together(this.#telling, loss), this.#loss)
      this.#telling = undefined
      return false
    }
  }

  #publish(): void {
    this.#state.publish({
      file: this.#file.number,
      offset: this.#file.offset,
      lastSequence: this.#sequence,
      records: this.#records,
      bytes: this.#bytes,
      lost: this.#lost,
      digestsLost: this.#handover.lost,
      durable: this.#durableRecords,
    })
  }

  /** Tries the loss record itself: when it can be written, everything can. */
  #probe(): void {
    this.#probeAt = this.#clock.now() + PROBE_EVERY_MS
    if (!this.#hasRoom()) return
    this.#trouble = ''
    if (this.#obstacle() !== '' || this.#loss === undefined) return
    this.#tellLoss(this.#loss)
    this.#write()
  }

  #hasRoom(): boolean {
    try {
      return this.#disk.freeBytes(this.#parts.dataDir) >= FREE_BYTES_MIN
    } catch {
      return true
    }
  }
}

/** One loss of two; told as what began first. */
function together(first: Loss | undefined, second: Loss | undefined): Loss | undefined {
  if (first === undefined || second === undefined) return first ?? second
  return { ...first, records: first.records + second.records }
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
