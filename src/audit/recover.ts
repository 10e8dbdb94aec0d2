/**
 * Opens a log that may not have been closed. Every record a dead run left in its journals ends up in the
 * segments exactly once; everything damaged is copied to `torn/` first and told about. Nothing is skipped
 * silently and nothing that can be read is thrown away.
 *
 * Order matters: damaged bytes are kept before a tail is cut; old segments are synced before a journal they
 * were copied from is deleted; journals are deleted after the new segment is synced. Dying at any point of it
 * leaves a directory that this same procedure puts in order.
 */
import type { Salvaged } from './check-log.ts'
import type { Disk } from './disk.ts'
import { FILE_HEADER_BYTES, readHeader } from './file-header.ts'
import { FrameReader, nextCounted } from './frame-reader.ts'
import type { LeftInflight } from './inflight/left-inflight.ts'
import type { KnownRecords } from './known-records.ts'
import { type JournalName, journalsOf } from './paths.ts'
import type { DecisionRecord } from './records/decision-record.ts'
import type { RecoveryReport } from './records/notes.ts'
import { DIGEST_FATES, digestFate, HANDED_OVER, readOrigin } from './records/payload.ts'
import { RECORD_TYPES } from './records/record-type.ts'
import type { SegmentWriter } from './segment-writer.ts'
import type { Survey } from './survey.ts'
import { keepTorn } from './torn.ts'

const CRASH = DIGEST_FATES.indexOf('crash')

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
      replayFrames(reader, size, { name, known: found.known, inflight: found.inflight, segment, counts })
      lastOf.set(stream, reader.last)
      for (const damage of reader.damages) torn.push(keepTorn(disk, dataDir, { fd, path: name.path }, damage))
      if (typeof header === 'string' && size > 0) {
        torn.push(keepTorn(disk, dataDir, { fd, path: name.path }, { at: 0, bytes: size, where: 'file' }))
      }
    } finally {
      disk.close(fd)
    }
  }
  return { journals: found.journals.length, salvaged: 0, unknownCrash: 0, ...counts, torn }
}

interface Replaying {
  readonly name: JournalName
  readonly known: KnownRecords
  readonly inflight: LeftInflight
  readonly segment: SegmentWriter
  readonly counts: { replayed: number; known: number; digestsLost: number; missing: number }
}

function replayFrames(reader: FrameReader, size: number, replaying: Replaying): void {
  const { name, known, inflight, segment, counts } = replaying
  const { start, lane } = name
  for (let next = nextCounted(reader, size); next !== undefined; next = nextCounted(reader, size)) {
    const { frame, gap } = next
    // A hole is explained when the record behind it is the lane's own account of a loss.
    if (gap > 0 && frame.type !== RECORD_TYPES.gap) counts.missing += gap
    inflight.unsequenced(frame.type, frame.payload)
    if (known.has(start, lane, frame.sequence)) {
      counts.known += 1
      continue
    }
    if (!segment.hasRoom) segment.flush()
    const origin = { lane, start, sequence: frame.sequence }
    segment.add({ type: frame.type, origin }, frame.payload, (target, at) => {
      for (let kind = 0; kind < 3; kind += 1) {
        const fate = digestFate(frame.flags, kind)
        if (fate === HANDED_OVER) counts.digestsLost += 1
        target[at + kind] = fate === HANDED_OVER ? CRASH : fate
      }
      return at + 3
    })
    counts.replayed += 1
  }
}

/** Appends records that stood whole behind damage, under new sequences; tells how many. */
export function salvage(
  records: readonly Salvaged[],
  { known, inflight }: Survey,
  segment: SegmentWriter,
): number {
  for (const { type, payload } of records) {
    const origin = readOrigin(payload)
    if (origin !== undefined) {
      known.see(origin, undefined)
      inflight.sequenced(type, payload, origin, undefined)
    }
    if (!segment.hasRoom) segment.flush()
    segment.addPacked(type, payload)
  }
  return records.length
}

/** Of requests that were under way: a record for each whose lane could not write one. After `replay`; tells how many. */
export function tellUnfinished(
  { inflight }: Survey,
  writer: { decision(record: DecisionRecord): void },
): number {
  const records = inflight.unfinished()
  for (const record of records) writer.decision(record)
  return records.length
}

export function removeJournals(dataDir: string, journals: readonly JournalName[], disk: Disk): void {
  for (const { path } of journals) disk.remove(path)
  if (journals.length > 0) disk.syncDirectory(journalsOf(dataDir))
}

/** Something happened that people should know. */
export function isNoteworthy(report: RecoveryReport): boolean {
  const { journals, torn, missing, unknownCrash } = report
  return journals > 0 || torn.length > 0 || missing > 0 || unknownCrash > 0
}

export function tornBytes(report: RecoveryReport): number {
  return report.torn.reduce((sum, { bytes }) => sum + bytes, 0)
}
