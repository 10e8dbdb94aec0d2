/**
 * The writer thread's end of one lane: reads what the lane published in its journal files, pairs each record
 * with its digests from the ring, hands both on, and tells the lane what it waits for once that is synced. Files that were read to their end are deleted once what
 * was read is synced.
 */
import { CompletionProducer } from './completions.ts'
import { DIGEST_BYTES, type Digester } from './digests.ts'
import { closeQuietly, type Disk, removeQuietly } from './disk.ts'
import { FILE_HEADER_BYTES } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import type { JournalParts } from './lane-journal.ts'
import { LaneState } from './lane-state.ts'
import { journalPath, journalsOf } from './paths.ts'
import { DIGEST_FATES, DURABLE, digestFate, HANDED_OVER } from './records/payload.ts'
import { DIGEST_KINDS, RingConsumer } from './ring.ts'
import type { SegmentWriter } from './segment-writer.ts'
import { keepTorn } from './torn.ts'

const CRASH = DIGEST_FATES.indexOf('crash')
/** msgpack: bin 8 with 16 bytes. */
const DIGEST_HEAD = Buffer.from([0xc4, DIGEST_BYTES])

/** Records found missing in a journal that was being read. */
export interface Hole {
  readonly lane: number
  readonly from: number
  readonly to: number
}

export interface Finished {
  readonly path: string
  readonly fd: number
}

export class JournalTap {
  readonly parts: JournalParts
  readonly state: LaneState
  readonly #disk: Disk
  readonly #digester: Digester
  readonly #ring: RingConsumer
  readonly #completions: CompletionProducer
  #file = 0
  /** Files whose names are on the disk, as far as this thread saw to it. */
  #filesNamed = 0
  #fd = -1
  #reader: FrameReader | undefined
  #last = 0
  #seenVersion = 0
  /** Frame bytes read so far, and records handed on. */
  #bytes = 0
  #records = 0
  /** Of these, those whose callers wait. */
  #durable = 0
  readonly #finished: Finished[] = []

  constructor(parts: JournalParts, disk: Disk, digester: Digester) {
    this.parts = parts
    this.state = new LaneState(parts.state)
    this.#disk = disk
    this.#digester = digester
    this.#ring = new RingConsumer(parts.ring)
    this.#completions = new CompletionProducer(parts.completions)
  }

  /** The lane published something since the last time everything was taken. */
  get hasNews(): boolean {
    return this.state.version !== this.#seenVersion
  }

  /** A caller waits for a record that was not taken yet. */
  get hasUrgentNews(): boolean {
    return this.hasNews && this.state.position().durable > this.#durable
  }

  /** Records taken whose callers wait for the next sync. */
  get urgent(): number {
    return this.#completions.staged
  }

  /** Has the lane look at what it knows of the log. */
  wakeLane(): void {
    this.#completions.wake()
  }

  /** Lane sequence of the last record handed on. */
  get last(): number {
    return this.#last
  }

  /** Moves records to the segment until it has no room or nothing is left; true when something is left. */
  take(segment: SegmentWriter, onHole: (hole: Hole) => void): boolean {
    const version = this.state.version
    const position = this.state.position()
    while (segment.hasRoom) {
      if (this.#reader === undefined && !this.#open(position.file)) break
      const frame = this.#next(position)
      if (frame === undefined) {
        this.#keepDamages(onHole)
        if (this.#file >= position.file) break
        this.#finish()
        continue
      }
      this.#keepDamages(onHole, frame)
      this.#handOn(frame, segment)
    }
    if (!segment.hasRoom) return true
    this.#seenVersion = version
    // Frames of a batch that failed and could not be cut off were read, but the lane never counted them.
    this.#bytes = position.bytes
    this.#records = Math.min(this.#records, position.records)
    this.#durable = position.durable
    return false
  }

  /** After a sync: tells the lane, and deletes what is no longer needed. */
  settle(): void {
    this.state.setSequenced(this.#records, this.#bytes)
    this.#completions.tell()
    for (const { path, fd } of this.#finished.splice(0)) {
      closeQuietly(this.#disk, fd)
      // One that stays is met by whoever opens the log next, who finds its records in the segments.
      removeQuietly(this.#disk, path)
    }
  }

  /** While segments cannot be written, the journal itself is the record: its pages go to the disk. */
  syncJournal(): void {
    for (const { fd } of this.#finished) this.#disk.sync(fd)
    const { file } = this.state.position()
    for (let number = Math.max(1, this.#file); number <= file; number += 1) {
      if (number === this.#file && this.#fd !== -1) this.#disk.sync(this.#fd)
      else this.#syncFile(this.#path(number))
    }
    // A synced file whose name is not on the disk is gone with the power all the same.
    if (file > this.#filesNamed) this.#disk.syncDirectory(journalsOf(this.parts.dataDir))
    this.#filesNamed = file
  }

  /** Everything was taken and settled and the lane is closed: no journal of this lane is left behind. */
  end(): void {
    if (this.#reader !== undefined) this.#finish()
    this.settle()
  }

  #syncFile(path: string): void {
    const fd = this.#disk.openForReading(path)
    try {
      this.#disk.sync(fd)
    } finally {
      closeQuietly(this.#disk, fd)
    }
  }

  #open(lastFile: number): boolean {
    if (this.#file >= lastFile) return false
    this.#fd = this.#disk.openForReading(this.#path(this.#file + 1))
    this.#file += 1
    this.#reader = new FrameReader(this.#disk, this.#fd, { at: FILE_HEADER_BYTES, last: this.#last })
    return true
  }

  #next(position: { file: number; offset: number }): Frame | undefined {
    // A lane never touches a file again once it began the next one, so its size is its end.
    const limit = this.#file < position.file ? this.#disk.size(this.#fd) : position.offset
    return this.#reader!.next(limit)
  }

  #finish(): void {
    this.#finished.push({ path: this.#path(this.#file), fd: this.#fd })
    this.#reader = undefined
    this.#fd = -1
  }

  #path(file: number): string {
    const { dataDir, lane, start } = this.parts
    return journalPath(dataDir, lane, start, file)
  }

  #keepDamages(onHole: (hole: Hole) => void, after?: Frame): void {
    const reader = this.#reader!
    if (reader.damages.length === 0) return
    const { dataDir, lane } = this.parts
    for (const damage of reader.damages.splice(0)) {
      keepTorn(this.#disk, dataDir, { fd: this.#fd, path: this.#path(this.#file) }, damage)
      this.#bytes += damage.bytes
    }
    const to = after === undefined ? this.#last + 1 : after.sequence
    if (to - 1 > this.#last) onHole({ lane, from: this.#last + 1, to: to - 1 })
  }

  #handOn(frame: Frame, segment: SegmentWriter): void {
    const { lane, start } = this.parts
    const { sequence, type, flags } = frame
    segment.add({ type, origin: { lane, start, sequence } }, frame.payload, (target, at) =>
      this.#digests(sequence, flags, target, at),
    )
    this.#last = sequence
    this.#bytes += frame.bytes
    this.#records += 1
    if ((flags & DURABLE) === 0) return
    this.#durable += 1
    this.#completions.stage(sequence, segment.next - 1, segment.leaf)
  }

  #digests(sequence: number, flags: number, target: Buffer, at: number): number {
    let end = at
    for (let kind = 0; kind < DIGEST_KINDS.length; kind += 1) {
      const fate = digestFate(flags, kind)
      if (fate === HANDED_OVER && this.#digest(sequence, kind, target, end)) {
        end += DIGEST_HEAD.length + DIGEST_BYTES
      } else {
        target[end] = fate === HANDED_OVER ? CRASH : fate
        end += 1
      }
    }
    return end
  }

  /** Entries of records that were never written come first and are passed over. */
  #digest(sequence: number, kind: number, target: Buffer, at: number): boolean {
    for (let entry = this.#ring.peek(); entry !== undefined; entry = this.#ring.peek()) {
      const ahead = (entry.sequence - sequence) | 0
      if (ahead > 0 || (ahead === 0 && entry.kind > kind)) return false
      const isIt = ahead === 0 && entry.kind === kind
      if (isIt) {
        target.set(DIGEST_HEAD, at)
        this.#digester.digest(entry.parts, target, at + DIGEST_HEAD.length)
      }
      this.#ring.release()
      if (isIt) return true
    }
    return false
  }
}
