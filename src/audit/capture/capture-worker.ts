/**
 * What the capture thread does, a round at a time: takes bodies that lanes handed over in memory, blanks what must not
 * be kept, encrypts the rest under its subject's key and records it. Until then nothing of a body touches a disk.
 *
 * Captures are the first to go without: when the disk has little room left, or the journal is behind, they are counted
 * instead of written, and a record tells how many. Nothing a body holds can stop the thread.
 */
import type { Clock } from '../../kernel/clock.ts'
import { parsePointer } from '../../kernel/json-scan.ts'
import type { Digester } from '../digests.ts'
import type { Disk } from '../disk.ts'
import type { LaneJournal } from '../lane-journal.ts'
import {
  CAPTURE_PART_BYTES,
  type CaptureFate,
  type CaptureRecord,
  captureRow,
} from '../records/capture-record.ts'
import { RECORD_TYPES } from '../records/record-type.ts'
import { RingConsumer } from '../ring.ts'
import type { CaptureCounts } from './capture-counts.ts'
import { type CapturedSide, type CaptureEntry, type CaptureHead, entryOf } from './capture-entry.ts'
import { redact } from './redact.ts'
import { keyIdOf, type Side, seal } from './seal.ts'
import { type Subject, type SubjectKeys, subjectNamed, subjectOfDay } from './subject-keys.ts'

/** Of each lane; then the thread looks for messages. */
const ENTRIES_A_ROUND = 64
/** Below this much free space bodies are no longer kept: what is left is for decisions. */
export const CAPTURE_FREE_BYTES_MIN = 64 * 1024 * 1024
/** How often new keys are synced, room is looked at, and what was dropped is told. */
const TEND_EVERY_MS = 1000

export interface CaptureWorkerParts {
  readonly rings: readonly SharedArrayBuffer[]
  readonly dataDir: string
  readonly journal: Pick<LaneJournal, 'available' | 'packed' | 'close'>
  readonly keys: SubjectKeys
  readonly digester: Digester
  readonly counts: CaptureCounts
  readonly disk: Disk
  readonly clock: Clock
}

export class CaptureWorker {
  readonly #parts: CaptureWorkerParts
  readonly #rings: readonly RingConsumer[]
  #hasRoom = true
  #tendedAt = Number.NEGATIVE_INFINITY
  #toldDropped = 0

  constructor(parts: CaptureWorkerParts) {
    this.#parts = parts
    this.#rings = parts.rings.map((ring) => new RingConsumer(ring))
    this.#toldDropped = parts.counts.of('no-room')
  }

  /** True when more waits. */
  round(): boolean {
    let isMore = false
    if (this.#parts.clock.now() - this.#tendedAt >= TEND_EVERY_MS) this.#tend()
    for (const ring of this.#rings) {
      for (let taken = 0; taken < ENTRIES_A_ROUND; taken += 1) {
        const entry = ring.peek()
        if (entry === undefined) break
        const { sequence, parts } = entry
        const own = entryOf(sequence, parts)
        ring.release()
        this.#record(own)
        isMore ||= taken === ENTRIES_A_ROUND - 1
      }
    }
    return isMore
  }

  /** A key may have been destroyed. */
  forget(subject: string): void {
    this.#parts.keys.forget(subject)
  }

  /** Everything handed over is recorded, its keys are on the disk, and what was dropped is told. */
  finish(): void {
    while (this.round());
    this.#tend()
    this.#parts.journal.close()
  }

  #tend(): void {
    const { clock, counts, disk, keys, dataDir, journal } = this.#parts
    this.#tendedAt = clock.now()
    try {
      keys.sync()
      this.#hasRoom = disk.freeBytes(dataDir) >= CAPTURE_FREE_BYTES_MIN
    } catch {
      // Keys that cannot be synced are tried again; bodies under them wait for a disk that works.
      this.#hasRoom = false
    }
    const dropped = counts.of('no-room') - this.#toldDropped
    if (dropped === 0 || !journal.available()) return
    this.#toldDropped += dropped
    this.#write({ ...NOBODY, at: clock.wall(), fate: 'no-room', requests: dropped })
  }

  #record({ head, request, answer }: CaptureEntry): void {
    if (!this.#hasRoom || !this.#parts.journal.available()) return this.#parts.counts.add('no-room')
    if (head.request !== null) this.#side(head, 'request', head.request, request)
    if (head.answer !== null) this.#side(head, 'answer', head.answer, answer)
  }

  #side(head: CaptureHead, side: Side, known: CapturedSide, body: Uint8Array): void {
    const { id, at, model } = head
    const base = { ...NOBODY, id, at, model, side, bytes: known.bytes }
    const tell = (fate: CaptureFate) => {
      this.#parts.counts.add(fate)
      this.#write({ ...base, fate })
    }
    if (known.fate !== 'kept') return tell(known.fate)
    const shown = this.#shown(head.redact, known, body)
    if (shown === null) return tell('not-json')
    try {
      const subject = this.#subjectOf(head)
      const key = this.#parts.keys.keyFor(subject, this.#parts.clock.wall())
      const own = { ...base, ...shown.told, subject: subject.digest, key: keyIdOf(key) }
      const sealed = seal(shown.bytes, key, id, side)
      this.#parts.counts.add('kept')
      this.#inParts(own, sealed)
    } catch {
      tell('failed')
    }
  }

  /** What may be kept of a body: null when paths are to be blanked in what is not JSON. */
  #shown(pointers: readonly string[], { json }: CapturedSide, body: Uint8Array) {
    if (pointers.length === 0) return { bytes: body, told: {} }
    const document = json === -1 ? body : body.subarray(0, json)
    const shown = redact(document, pointers.map(parsePointer))
    if (shown === null) return null
    const redacted = shown.hits.map((hit) => pointers[hit]!)
    return { bytes: shown.bytes, told: { redacted, binaryBytes: body.length - document.length } }
  }

  #subjectOf({ subject, at }: CaptureHead): Subject {
    const { digester } = this.#parts
    return subject === '' ? subjectOfDay(digester, at) : subjectNamed(digester, subject)
  }

  #inParts(record: CaptureRecord, sealed: Buffer): void {
    const parts = Math.ceil(sealed.length / CAPTURE_PART_BYTES)
    for (let part = 0; part < parts; part += 1) {
      const from = part * CAPTURE_PART_BYTES
      this.#write({ ...record, part, parts, sealed: sealed.subarray(from, from + CAPTURE_PART_BYTES) })
    }
  }

  #write(record: CaptureRecord): void {
    this.#parts.journal.packed(RECORD_TYPES.capture, captureRow(record))
  }
}

const NOBODY: CaptureRecord = {
  id: '',
  at: 0,
  model: '',
  side: 'request',
  fate: 'kept',
  requests: 1,
  subject: '',
  key: '',
  bytes: 0,
  binaryBytes: 0,
  redacted: [],
  part: 0,
  parts: 1,
  sealed: new Uint8Array(),
}
