/**
 * Walks the log and says whether it is whole: every file's header fits its name, every frame's checksum is
 * right, sequences run without a hole from segment to segment. Streams in 1 MiB of memory; the first bad place
 * is named. Beside a running gateway the last segment may end inside a frame that is being written; after a
 * crash it may end torn. Both are told apart from damage, which has whole records behind it or is not at the end.
 */
import type { Disk } from './disk.ts'
import { systemDisk } from './disk.ts'
import { FILE_HEADER_BYTES } from './file-header.ts'
import { listSegments, type SegmentName } from './paths.ts'
import { recordTypeOf } from './records/record-type.ts'
import { openSegment, type SegmentReader } from './segment-reader.ts'

export interface FrameVerdict {
  readonly isWhole: boolean
  readonly segments: number
  readonly records: number
  /** By type name; `type-n` for those of later versions. */
  readonly types: ReadonlyMap<string, number>
  readonly bytes: number
  /** 0 when there are no records. */
  readonly first: number
  readonly last: number
  /** Bytes at the very end that are no whole frame (yet). */
  readonly tailBytes: number
  /** The first bad place; null when the log is whole. */
  readonly firstBad: BadPlace | null
  readonly badPlaces: number
}

export interface BadPlace {
  readonly file: string
  readonly at: number
  /** Sequence of the record expected there. */
  readonly sequence: number
  readonly problem: string
}

interface Tally {
  records: number
  bytes: number
  first: number
  last: number
  tailBytes: number
  firstBad: BadPlace | null
  badPlaces: number
  readonly types: Map<string, number>
}

export interface VerifyOptions {
  readonly disk?: Disk
  /** Called after each segment, for a progress bar. */
  readonly onSegment?: (done: number, of: number) => void
  /** Sequence with which the first segment of interest begins; the whole log unless told. */
  readonly from?: number
}

export function verifyFrames(
  dataDir: string,
  { disk = systemDisk, onSegment, from = 0 }: VerifyOptions = {},
): FrameVerdict {
  const segments = listSegments(dataDir).filter(({ first }) => first >= from)
  const tally: Tally = {
    records: 0,
    bytes: 0,
    first: 0,
    last: 0,
    tailBytes: 0,
    firstBad: null,
    badPlaces: 0,
    types: new Map(),
  }
  for (const [index, name] of segments.entries()) {
    verifySegment(name, { tally, disk, isLast: index === segments.length - 1 })
    onSegment?.(index + 1, segments.length)
  }
  return { ...tally, isWhole: tally.badPlaces === 0, segments: segments.length }
}

interface Walk {
  readonly tally: Tally
  readonly disk: Disk
  readonly isLast: boolean
}

function verifySegment(name: SegmentName, { tally, disk, isLast }: Walk): void {
  const bad = (at: number, sequence: number, problem: string) => {
    tally.badPlaces += 1
    tally.firstBad ??= { file: name.file, at, sequence, problem }
  }
  const reader = openSegment(disk, name, { asksIndex: true })
  if (reader === undefined) return bad(0, name.first, 'the segment is gone')
  try {
    const { size, header } = reader
    tally.bytes += size
    if (typeof header === 'string') {
      if (isLast && size < FILE_HEADER_BYTES) {
        tally.tailBytes = size
        return
      }
      bad(0, name.first, header)
    } else if (header.first !== name.first) bad(0, name.first, `the header says it begins at ${header.first}`)
    if (tally.records > 0 && name.first !== tally.last + 1) {
      bad(0, tally.last + 1, `the segment begins at ${name.first}`)
    }
    walkFrames(reader, tally, bad)
    for (const damage of reader.damages) {
      if (damage.where === 'tail' && isLast) tally.tailBytes = damage.bytes
      else bad(damage.at, 0, damage.problem)
    }
  } finally {
    reader.close()
  }
}

function walkFrames(
  reader: SegmentReader,
  tally: Tally,
  bad: (at: number, sequence: number, problem: string) => void,
): void {
  let expected = reader.name.first
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    const damage = reader.damages.shift()
    if (damage !== undefined) bad(damage.at, expected, damage.problem)
    if (frame.sequence !== expected) {
      bad(damage?.at ?? frame.at, expected, `the next record is ${frame.sequence}`)
    }
    expected = frame.sequence + 1
    if (tally.records === 0) tally.first = frame.sequence
    tally.records += 1
    tally.last = frame.sequence
    const type = recordTypeOf(frame.type) ?? `type-${frame.type}`
    tally.types.set(type, (tally.types.get(type) ?? 0) + 1)
  }
}
