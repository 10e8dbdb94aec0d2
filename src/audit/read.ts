/**
 * Reads the log while somebody may be writing it: the segments, then what still waits in journals, every record
 * once. A tail that is being written is where reading ends; nothing is locked, changed or repaired.
 *
 * Journals are opened before the segments are read: a record moves from one to the other at any moment, and an
 * open file can be read to its end even after the writer deleted it.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { decodeSequenced, decodeUnsequenced, type LogRecord } from './decode.ts'
import { systemDisk } from './disk.ts'
import { decodeFileHeader, FILE_HEADER_BYTES, type FileHeader, readHeader } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameCursor } from './frame-cursor.ts'
import { FrameReader } from './frame-reader.ts'
import { type JournalName, listEpochs, listJournals, listSegments, type SegmentName } from './paths.ts'
import { readOrigin } from './records/payload.ts'
import { openSegment } from './segment-reader.ts'

export interface OpenJournal {
  readonly name: JournalName
  readonly file: FileHandle
  /** The lane's sequence of its first record; 0 when the header cannot be read. */
  readonly first: number
}

/** Bytes of frames after which others in this process get their turn. */
const PAUSE_BYTES = 1024 * 1024

/**
 * Every record, oldest first, those of epochs that were put aside before those of the present one, and those of
 * journals last. Damaged stretches are passed over: verify names them. `from`: of the present epoch alone, without the
 * segments that begin with a lower sequence.
 */
export async function* readLog(dataDir: string, from = 0): AsyncGenerator<LogRecord> {
  const journals = await openJournals(dataDir)
  const sequenced = new Sequenced(journals)
  try {
    for (const epoch of from === 0 ? listEpochs(dataDir) : []) {
      for (const segment of listSegments(dataDir, epoch)) yield* recordsOf(segment)
    }
    for (const segment of listSegments(dataDir)) {
      if (segment.first < from) continue
      for await (const { frame, name } of framesOfSegment(segment)) {
        sequenced.see(frame.payload)
        yield recordOf(name, frame)
      }
    }
    for (const journal of journals) {
      for await (const frame of framesOf(journal.file, FILE_HEADER_BYTES)) {
        if (!sequenced.has(journal.name, frame.sequence)) yield journalRecordOf(journal.name, frame)
      }
    }
  } finally {
    await closeJournals(journals)
  }
}

async function* recordsOf(segment: SegmentName): AsyncGenerator<LogRecord> {
  for await (const { frame, name } of framesOfSegment(segment)) yield recordOf(name, frame)
}

/** The highest lane sequence met of each lane whose journals are open; lanes are sequenced in order. */
class Sequenced {
  readonly #highest = new Map<string, number>()

  constructor(journals: readonly OpenJournal[]) {
    for (const { name } of journals) this.#highest.set(`${name.start}-${name.lane}`, 0)
  }

  see(payload: Buffer): void {
    const origin = readOrigin(payload)
    if (origin === undefined) return
    const key = `${origin.start}-${origin.lane}`
    const highest = this.#highest.get(key)
    if (highest !== undefined && origin.sequence > highest) this.#highest.set(key, origin.sequence)
  }

  has({ start, lane }: JournalName, sequence: number): boolean {
    return sequence <= (this.#highest.get(`${start}-${lane}`) ?? 0)
  }
}

export function recordOf({ file }: SegmentName, frame: Frame): LogRecord {
  return decodeSequenced(frame.type, frame.payload, { file, at: frame.at, sequence: frame.sequence })
}

export function journalRecordOf(name: JournalName, frame: Frame): LogRecord {
  const { lane, start } = name
  const place = { file: `journal/${name.name}`, at: frame.at, sequence: null }
  return decodeUnsequenced(frame.type, frame.payload, {
    place,
    origin: { lane, start, sequence: frame.sequence },
  })
}

export async function openJournals(dataDir: string): Promise<OpenJournal[]> {
  const opened: OpenJournal[] = []
  for (const name of listJournals(dataDir)) {
    const file = await openIfThere(name.path)
    if (file === undefined) continue
    const header = readHeader(systemDisk, file.fd, 'journal')
    opened.push({ name, file, first: typeof header === 'string' ? 0 : header.first })
  }
  return opened
}

export async function closeJournals(journals: readonly OpenJournal[]): Promise<void> {
  for (const { file } of journals) await file.close()
}

/** A frame, and the file it was read from: the segment may have been sealed since it was listed. */
export interface SegmentFrame {
  readonly frame: Frame
  readonly name: SegmentName
}

/** Whole frames, of a segment sealed or not; none when it is gone. Payloads are valid until the next one is asked for. */
export async function* framesOfSegment(name: SegmentName): AsyncGenerator<SegmentFrame> {
  const reader = openSegment(systemDisk, name)
  if (reader === undefined) return
  const opened = reader.name
  let bytes = 0
  try {
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      yield { frame, name: opened }
      bytes += frame.bytes
      if (bytes < PAUSE_BYTES) continue
      bytes = 0
      await setImmediate()
    }
  } finally {
    reader.close()
  }
}

/** The same, called for each: a promise for every frame would be most of the work. `segment` is the file that was read. */
export async function eachFrame(
  name: SegmentName,
  onFrame: (frame: Frame, segment: SegmentName) => void,
): Promise<void> {
  const reader = openSegment(systemDisk, name)
  if (reader === undefined) return
  try {
    await eachOf(
      () => reader.next(),
      (frame) => onFrame(frame, reader.name),
    )
  } finally {
    reader.close()
  }
}

/** Of a segment that is not sealed: where a frame begins, its sequence, and that of the first one that is not wanted. */
export interface Stretch {
  readonly at: number
  readonly from: number
  readonly to: number
}

/** False when the file is gone, or sealed meanwhile; nothing was read then. */
export async function eachFrameOf(
  name: SegmentName,
  { at, from, to }: Stretch,
  onFrame: (frame: Frame) => void,
): Promise<boolean> {
  const file = await openIfThere(name.path)
  if (file === undefined) return false
  try {
    const size = systemDisk.size(file.fd)
    const reader = new FrameReader(systemDisk, file.fd, { at: Math.min(at, size), last: from - 1 })
    await eachOf(() => {
      const frame = reader.next(size)
      return frame === undefined || frame.sequence >= to ? undefined : frame
    }, onFrame)
  } finally {
    await file.close()
  }
  return true
}

async function eachOf(next: () => Frame | undefined, onFrame: (frame: Frame) => void): Promise<void> {
  let bytes = 0
  for (let frame = next(); frame !== undefined; frame = next()) {
    onFrame(frame)
    bytes += frame.bytes
    if (bytes < PAUSE_BYTES) continue
    bytes = 0
    await setImmediate()
  }
}

/** Undefined when the file is gone or does not begin like a segment. */
export async function segmentHeader(path: string): Promise<FileHeader | undefined> {
  const file = await openIfThere(path)
  if (file === undefined) return undefined
  try {
    const bytes = Buffer.alloc(FILE_HEADER_BYTES)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    const header = decodeFileHeader(bytes.subarray(0, bytesRead), 'segment')
    return typeof header === 'string' ? undefined : header
  } finally {
    await file.close()
  }
}

/** Whole frames from `at` to the end as it is now; payloads are valid until the next one is asked for. */
export async function* framesOf(file: FileHandle, at: number): AsyncGenerator<Frame> {
  const cursor = new FrameCursor(at)
  const accept = () => true
  for (let isEnd = false; ; ) {
    const found = cursor.next()
    if (typeof found !== 'string') {
      yield found
      continue
    }
    if (found === 'bad' || isEnd) {
      if (!cursor.skip(accept, isEnd) && isEnd) return
      if (found === 'bad' && !isEnd) isEnd = (await fill(cursor, file)) === 0
      continue
    }
    isEnd = (await fill(cursor, file)) === 0
  }
}

async function fill(cursor: FrameCursor, file: FileHandle): Promise<number> {
  const room = cursor.room()
  const { bytesRead } = await file.read(room, 0, room.length, cursor.filledTo)
  cursor.added(bytesRead)
  return bytesRead
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
