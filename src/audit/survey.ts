/**
 * What the last run left, read before anything of the new one is written: where the log ends, which journals
 * remain, and which of their records segments already have. Cuts the torn end of the last segment and keeps it.
 *
 * Segments are read backwards, and only as far as the remaining journals reach, and the records of requests that were
 * under way: the time does not grow with the length of the run (test/audit/survey.test.ts).
 */
import { mkdirSync } from 'node:fs'
import type { Clock } from '../kernel/clock.ts'
import type { Disk } from './disk.ts'
import { FILE_HEADER_BYTES, type FileHeader, readHeader } from './file-header.ts'
import type { Frame } from './frame.ts'
import { FrameReader, nextCounted } from './frame-reader.ts'
import { LeftInflight } from './inflight/left-inflight.ts'
import { KnownRecords, type LeftBehind } from './known-records.ts'
import {
  type JournalName,
  journalsOf,
  listEpochs,
  listJournals,
  listSegments,
  type SegmentName,
  segmentsOf,
} from './paths.ts'
import { unpack } from './records/msgpack.ts'
import type { MarkNote, TornPart } from './records/notes.ts'
import { readOrigin } from './records/payload.ts'
import { RECORD_TYPES } from './records/record-type.ts'
import { openSegment } from './segment-reader.ts'
import { keepTorn } from './torn.ts'

/** What was found before anything is written: how this run is named, and what has to be replayed. */
export interface Survey {
  /** Names this run; greater than every run's before it, whatever the clock says. */
  readonly start: number
  readonly journals: readonly JournalName[]
  /** Lane sequences that segments already have, by run and lane. */
  readonly known: KnownRecords
  /** Requests that were under way; those whose records segments have are known to it. */
  readonly inflight: LeftInflight
  /** Segments that had to be read. */
  readonly segmentsRead: number
  readonly missing: number
  readonly torn: readonly TornPart[]
}

export function survey(dataDir: string, disk: Disk, clock: Clock): Survey {
  for (const folder of [segmentsOf(dataDir), journalsOf(dataDir)])
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  const segments = listSegments(dataDir)
  const journals = listJournals(dataDir)
  const known = new KnownRecords(leftBehind(journals, disk))
  const inflight = LeftInflight.read(dataDir, disk)
  const left = [...journals, ...inflight.files].map(({ start }) => start)
  const oldestStart = Math.min(inflight.oldestStart, ...journals.map(({ start }) => start))
  const torn: TornPart[] = [...inflight.torn]
  let lastStart = Math.max(0, ...left)
  let missing = 0
  let segmentsRead = 0
  for (let index = segments.length - 1; index >= 0; index -= 1) {
    const isLast = index === segments.length - 1
    const found = readSegment(segments[index]!, { dataDir, disk, known, inflight, isLast })
    segmentsRead += 1
    torn.push(...found.torn)
    missing += found.missing
    lastStart = Math.max(lastStart, found.header?.start ?? 0)
    if (known.isComplete && inflight.isComplete) break
    // Runs are numbered upwards, so a record of a run is never in a segment of an earlier one.
    if (found.header !== undefined && found.header.start < oldestStart) break
  }
  if (journals.length + inflight.files.length > 0) learnFromEpochBefore(dataDir, { disk, known, inflight })
  const start = Math.max(clock.wall(), lastStart + 1)
  return { start, journals, known, inflight, segmentsRead, missing, torn }
}

/** From headers alone; journals are in the order of their numbers. */
function leftBehind(journals: readonly JournalName[], disk: Disk): LeftBehind[] {
  const lanes = new Map<string, LeftBehind>()
  for (const { start, lane, path } of journals) {
    const key = `${start}-${lane}`
    if (lanes.has(key)) continue
    const first = firstOf(path, disk)
    if (first !== undefined) lanes.set(key, { start, lane, first })
  }
  return [...lanes.values()]
}

/** Undefined when the file holds no record. */
function firstOf(path: string, disk: Disk): number | undefined {
  const fd = disk.openForReading(path)
  try {
    const size = disk.size(fd)
    if (size <= FILE_HEADER_BYTES) return undefined
    const header = readHeader(disk, fd, 'journal')
    if (typeof header !== 'string') return header.first
    return new FrameReader(disk, fd, { at: FILE_HEADER_BYTES, last: 0 }).next(size)?.sequence
  } finally {
    disk.close(fd)
  }
}

interface SegmentFinding {
  readonly header: FileHeader | undefined
  readonly missing: number
  readonly torn: readonly TornPart[]
}

interface SegmentSearch {
  readonly dataDir: string
  readonly disk: Disk
  readonly known: KnownRecords
  readonly inflight: LeftInflight
  readonly isLast: boolean
}

function readSegment(name: SegmentName, search: SegmentSearch): SegmentFinding {
  const { dataDir, disk, isLast } = search
  if (name.isSealed) return readSealed(name, search)
  const fd = disk.open(name.path)
  try {
    const size = disk.size(fd)
    const found = readHeader(disk, fd, 'segment')
    const header = typeof found === 'string' ? undefined : found
    const reader = new FrameReader(disk, fd, { at: Math.min(FILE_HEADER_BYTES, size), last: name.first - 1 })
    let missing = 0
    for (let next = nextCounted(reader, size); next !== undefined; next = nextCounted(reader, size)) {
      missing += next.gap
      learn(search, next.frame, header?.start)
    }
    const torn = reader.damages.map((damage) => keepTorn(disk, dataDir, { fd, path: name.path }, damage))
    const tail = reader.damages.find(({ where }) => where === 'tail')
    const isEmpty = reader.last < name.first
    if (header === undefined && size > 0) {
      const whole = { at: 0, bytes: isEmpty ? size : FILE_HEADER_BYTES, where: 'file' } as const
      torn.push(keepTorn(disk, dataDir, { fd, path: name.path }, whole))
    }
    if (isLast && tail !== undefined) disk.truncate(fd, tail.at)
    disk.sync(fd)
    if (isLast && isEmpty) disk.remove(name.path)
    return { header, missing, torn }
  } finally {
    disk.close(fd)
  }
}

/** It was whole when it was sealed; what became damaged since is not known, and `checkLog` or a checker says so. */
function readSealed(name: SegmentName, { disk, ...learning }: SegmentSearch): SegmentFinding {
  const header = learnFrom(name, disk, learning, true)
  return { header, missing: 0, torn: [] }
}

/** Only reads. `isOwn`: its order says something of what is further back. The header, when it can be believed. */
function learnFrom(
  name: SegmentName,
  disk: Disk,
  learning: Learning,
  isOwn: boolean,
): FileHeader | undefined {
  const reader = openSegment(disk, name)
  if (reader === undefined) return undefined
  try {
    const header = typeof reader.header === 'string' ? undefined : reader.header
    for (let frame = reader.next(); frame !== undefined; frame = reader.next())
      learn(learning, frame, isOwn ? header?.start : undefined)
    return header
  } finally {
    reader.close()
  }
}

/**
 * Journals may be of a run whose log was set aside: what that has must not be in this one again. It is evidence, so it
 * is only read; after the first orderly start of its successor no journal reaches back to it.
 */
function learnFromEpochBefore(
  dataDir: string,
  { disk, ...learning }: Learning & { readonly disk: Disk },
): void {
  const epoch = listEpochs(dataDir).at(-1)
  if (epoch === undefined) return
  for (const segment of listSegments(dataDir, epoch).reverse()) {
    if (learning.known.isComplete && learning.inflight.isComplete) return
    learnFrom(segment, disk, learning, false)
  }
}

type Learning = Pick<SegmentSearch, 'known' | 'inflight'>

function learn({ known, inflight }: Learning, { type, payload }: Frame, writtenBy: number | undefined): void {
  const origin = readOrigin(payload)
  if (origin === undefined) return
  known.see(origin, writtenBy)
  inflight.sequenced(type, payload, origin, writtenBy)
  if (type !== RECORD_TYPES.mark) return
  for (const { lane, through } of marksIn(payload)) {
    known.mark(origin.start, lane, through)
    inflight.mark(origin.start, lane, through)
  }
}

/** None when the record does not read as expected: reading further back is always right. */
function marksIn(payload: Buffer): MarkNote['lanes'] {
  try {
    const [, , mark] = unpack(payload) as [unknown, unknown, Partial<MarkNote>]
    return (mark.lanes ?? []).filter(({ lane, through }) => Number.isSafeInteger(lane + through))
  } catch {
    return []
  }
}
