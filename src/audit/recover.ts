/**
 * Opens a log that may not have been closed. Every record a dead run left in its journals ends up in the
 * segments exactly once; everything damaged is copied to `torn/` first and told about. Nothing is skipped
 * silently and nothing that can be read is thrown away.
 *
 * Order matters: damaged bytes are kept before a tail is cut; old segments are synced before a journal they
 * were copied from is deleted; journals are deleted after the new segment is synced. Dying at any point of it
 * leaves a directory that this same procedure puts in order.
 */
import { mkdirSync } from 'node:fs'
import type { Clock } from '../kernel/clock.ts'
import type { Disk } from './disk.ts'
import { decodeFileHeader, FILE_HEADER_BYTES, type FileHeader } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import {
  type JournalName,
  journalsOf,
  listJournals,
  listSegments,
  type SegmentName,
  segmentsOf,
} from './paths.ts'
import type { RecoveryReport, TornPart } from './records/notes.ts'
import { DIGEST_FATES, HANDED_OVER, readOrigin } from './records/payload.ts'
import { RECORD_TYPES } from './records/record-type.ts'
import type { SegmentWriter } from './segment-writer.ts'
import { keepTorn } from './torn.ts'

const CRASH = DIGEST_FATES.indexOf('crash')

/** What was found before anything is written: where this run begins, and what has to be replayed. */
export interface Survey {
  /** Names this run; greater than every run's before it, whatever the clock says. */
  readonly start: number
  readonly nextSequence: number
  readonly journals: readonly JournalName[]
  /** Lane sequences that segments already have, by run and lane. */
  readonly known: KnownRecords
  readonly missing: number
  readonly torn: readonly TornPart[]
}

/** Lane sequences seen, for each lane of each run that left journals. At most the backlog's worth. */
export class KnownRecords {
  readonly #seen = new Map<string, Set<number>>()

  constructor(journals: readonly JournalName[]) {
    for (const { start, lane } of journals) this.#seen.set(`${start}-${lane}`, new Set())
  }

  see(start: number, lane: number, sequence: number): void {
    this.#seen.get(`${start}-${lane}`)?.add(sequence)
  }

  has(start: number, lane: number, sequence: number): boolean {
    return this.#seen.get(`${start}-${lane}`)?.has(sequence) ?? false
  }
}

/** Reads what the last run left; cuts and keeps the torn end of the last segment. */
export function survey(dataDir: string, disk: Disk, clock: Clock): Survey {
  for (const folder of [segmentsOf(dataDir), journalsOf(dataDir)])
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  const segments = listSegments(dataDir)
  const journals = listJournals(dataDir)
  const known = new KnownRecords(journals)
  const oldestStart = Math.min(...journals.map(({ start }) => start))
  const torn: TornPart[] = []
  let lastStart = Math.max(0, ...journals.map(({ start }) => start))
  let nextSequence = 1
  let missing = 0
  for (let index = segments.length - 1; index >= 0; index -= 1) {
    const isLast = index === segments.length - 1
    const found = readSegment(segments[index]!, { dataDir, disk, known, isLast })
    torn.push(...found.torn)
    missing += found.missing
    nextSequence = Math.max(nextSequence, found.last + 1)
    lastStart = Math.max(lastStart, found.header?.start ?? 0)
    // Runs are numbered upwards, so a record of a run is never in a segment of an earlier one.
    if (found.header !== undefined && found.header.start < oldestStart) break
  }
  return { start: Math.max(clock.wall(), lastStart + 1), nextSequence, journals, known, missing, torn }
}

interface SegmentFinding {
  readonly header: FileHeader | undefined
  readonly last: number
  readonly missing: number
  readonly torn: readonly TornPart[]
}

interface SegmentSearch {
  readonly dataDir: string
  readonly disk: Disk
  readonly known: KnownRecords
  readonly isLast: boolean
}

function readSegment(name: SegmentName, { dataDir, disk, known, isLast }: SegmentSearch): SegmentFinding {
  const fd = disk.open(name.path)
  try {
    const size = disk.size(fd)
    const header = readHeader(disk, fd, 'segment')
    const reader = new FrameReader(disk, fd, { at: Math.min(FILE_HEADER_BYTES, size), last: name.first - 1 })
    let missing = 0
    for (let frame = nextCounted(reader, size); frame !== undefined; frame = nextCounted(reader, size)) {
      missing += frame.gap
      const origin = readOrigin(frame.frame.payload)
      if (origin !== undefined) known.see(origin.start, origin.lane, origin.sequence)
    }
    const torn = reader.damages.map((damage) => keepTorn(disk, dataDir, { fd, path: name.path }, damage))
    const tail = reader.damages.find(({ where }) => where === 'tail')
    const isEmpty = reader.last < name.first
    if (typeof header === 'string' && size > 0) {
      const whole = { at: 0, bytes: isEmpty ? size : FILE_HEADER_BYTES, where: 'file' } as const
      torn.push(keepTorn(disk, dataDir, { fd, path: name.path }, whole))
    }
    if (isLast && tail !== undefined) disk.truncate(fd, tail.at)
    disk.sync(fd)
    if (isLast && isEmpty) disk.remove(name.path)
    return { header: typeof header === 'string' ? undefined : header, last: reader.last, missing, torn }
  } finally {
    disk.close(fd)
  }
}

function nextCounted(reader: FrameReader, limit: number): { frame: Frame; gap: number } | undefined {
  const before = reader.last
  const frame = reader.next(limit)
  return frame === undefined ? undefined : { frame, gap: frame.sequence - before - 1 }
}

export function readHeader(disk: Disk, fd: number, kind: FileHeader['kind']): FileHeader | string {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES)
  const read = disk.read(fd, bytes, bytes.length, 0)
  return decodeFileHeader(bytes.subarray(0, read), kind)
}

/** Appends what the journals have and the segments have not. The caller syncs, then calls `removeJournals`. */
export function replay(dataDir: string, found: Survey, segment: SegmentWriter, disk: Disk): RecoveryReport {
  const counts = { replayed: 0, known: 0, digestsLost: 0, missing: found.missing }
  const torn = [...found.torn]
  const lastOf = new Map<string, number>()
  for (const name of found.journals) {
    const fd = disk.openForReading(name.path)
    try {
      const size = disk.size(fd)
      const header = readHeader(disk, fd, 'journal')
      const stream = `${name.start}-${name.lane}`
      const first = typeof header === 'string' ? 1 : header.first
      const before = lastOf.get(stream) ?? first - 1
      const reader = new FrameReader(disk, fd, { at: Math.min(FILE_HEADER_BYTES, size), last: before })
      replayFrames(reader, size, { name, known: found.known, segment, counts })
      lastOf.set(stream, reader.last)
      for (const damage of reader.damages) torn.push(keepTorn(disk, dataDir, { fd, path: name.path }, damage))
      if (typeof header === 'string' && size > 0) {
        torn.push(keepTorn(disk, dataDir, { fd, path: name.path }, { at: 0, bytes: size, where: 'file' }))
      }
    } finally {
      disk.close(fd)
    }
  }
  return { journals: found.journals.length, ...counts, torn }
}

interface Replaying {
  readonly name: JournalName
  readonly known: KnownRecords
  readonly segment: SegmentWriter
  readonly counts: { replayed: number; known: number; digestsLost: number; missing: number }
}

function replayFrames(reader: FrameReader, size: number, { name, known, segment, counts }: Replaying): void {
  const { start, lane } = name
  for (let next = nextCounted(reader, size); next !== undefined; next = nextCounted(reader, size)) {
    const { frame, gap } = next
    // A hole is explained when the record behind it is the lane's own account of a loss.
    if (gap > 0 && frame.type !== RECORD_TYPES.loss) counts.missing += gap
    if (known.has(start, lane, frame.sequence)) {
      counts.known += 1
      continue
    }
    if (!segment.hasRoom) segment.flush()
    const origin = { lane, start, sequence: frame.sequence }
    segment.add({ type: frame.type, origin }, frame.payload, (target, at) => {
      for (let kind = 0; kind < 3; kind += 1) {
        const fate = (frame.flags >>> (2 * kind)) & 3
        if (fate === HANDED_OVER) counts.digestsLost += 1
        target[at + kind] = fate === HANDED_OVER ? CRASH : fate
      }
      return at + 3
    })
    counts.replayed += 1
  }
}

export function removeJournals(dataDir: string, journals: readonly JournalName[], disk: Disk): void {
  for (const { path } of journals) disk.remove(path)
  if (journals.length > 0) disk.syncDirectory(journalsOf(dataDir))
}

/** Something happened that people should know. */
export function isNoteworthy(report: RecoveryReport): boolean {
  return report.journals > 0 || report.torn.length > 0 || report.missing > 0
}

export function tornBytes(report: RecoveryReport): number {
  return report.torn.reduce((sum, { bytes }) => sum + bytes, 0)
}
