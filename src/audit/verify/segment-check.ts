/** What is asked of one segment: its header, and that nothing but the records that are expected lies in it. */
import { FILE_HEADER_BYTES } from '../file-header.ts'
import type { Frame } from '../frame.ts'
import { hashOfOrigin } from '../identity.ts'
import type { SegmentReader } from '../segment-reader.ts'
import type { BadPlaces } from './log-verdict.ts'
import type { RecordCheck } from './record-check.ts'

const PROGRESS_EVERY = 20_000

export interface SegmentCheckParts {
  readonly reader: SegmentReader
  readonly records: RecordCheck
  readonly bad: BadPlaces
  readonly origin: string | undefined
  /** Records that the checkpoint covers. */
  readonly signed: number
  /** The log’s last one: it may end within a record. */
  readonly isLast: boolean
  /** Where in the file it is. */
  readonly onProgress: (at: number) => void
}

/** Returns how many bytes at the end are no whole record yet. */
export function checkSegment(parts: SegmentCheckParts): number {
  checkHeader(parts)
  const told = checkFrames(parts)
  return checkRest(parts, told)
}

function checkHeader({ reader, records, bad, origin, signed, isLast }: SegmentCheckParts): void {
  const { name, header, size } = reader
  const tell = (problem: string) => bad.add({ file: name.file, at: 0, sequence: records.expected, problem })
  if (name.first !== records.expected) {
    tell(`the segment begins at ${name.first}, not ${records.expected}`)
    records.skipTo(name.first)
  }
  if (typeof header === 'string') {
    if (!isLast || size >= FILE_HEADER_BYTES || records.expected < signed) tell(header)
    return
  }
  if (header.first !== name.first) return tell(`the header says that it begins at ${header.first}`)
  if (origin === undefined) return
  if (!header.originHash.equals(hashOfOrigin(origin))) return tell('the segment is of another log')
  const { tree } = records
  if (tree === undefined || tree.isDoubtful || tree.size !== name.first) return
  if (!header.rootBefore.equals(tree.root())) tell('it was written behind other records than these')
}

/** Where the damage begins that was told of. */
function checkFrames({ reader, records, bad, onProgress }: SegmentCheckParts): Set<number> {
  const told = new Set<number>()
  const { file } = reader.name
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    if (frame.sequence !== records.expected) {
      const { at, problem } = holeBefore(frame, reader)
      told.add(at)
      bad.add({ file, at, sequence: records.expected, problem })
      records.skipTo(frame.sequence)
    }
    records.take(frame, file)
    if (frame.sequence % PROGRESS_EVERY === 0) onProgress(frame.at)
  }
  return told
}

function holeBefore({ at, sequence }: Frame, { damages }: SegmentReader): { at: number; problem: string } {
  const damage = damages.findLast((each) => each.at < at)
  const next = `the next record is ${sequence}`
  return damage === undefined
    ? { at, problem: next }
    : { at: damage.at, problem: `${damage.problem}; ${next}` }
}

/** Damage that no hole was told of: at the end of the segment, or between whole records. */
function checkRest({ reader, records, bad, signed, isLast }: SegmentCheckParts, told: Set<number>): number {
  let tailBytes = 0
  for (const { at, bytes, where, problem } of reader.damages) {
    if (where === 'tail' && isLast && records.expected >= signed) tailBytes = bytes
    else if (!told.has(at)) bad.add({ file: reader.name.file, at, sequence: records.expected, problem })
  }
  const isHeaderTorn = typeof reader.header === 'string' && reader.size < FILE_HEADER_BYTES
  return isLast && isHeaderTorn ? reader.size : tailBytes
}
