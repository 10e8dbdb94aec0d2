/** Segments written frame by frame, for tests that say exactly what stands in them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Disk } from '../../src/audit/disk.ts'
import { encodeFileHeader, NO_TREE } from '../../src/audit/file-header.ts'
import { FRAME_HEAD_BYTES, sealFrame } from '../../src/audit/frame.ts'
import { listSegments, segmentPath, segmentsOf } from '../../src/audit/paths.ts'
import { type DecisionRecord, writeDecision } from '../../src/audit/records/decision-record.ts'
import { noDigests, writeOrigin } from '../../src/audit/records/payload.ts'
import { RECORD_TYPES } from '../../src/audit/records/record-type.ts'
import { RowWriter } from '../../src/audit/records/row-writer.ts'
import { type ShadowRecord, writeShadow } from '../../src/audit/records/shadow-record.ts'
import { type StreamRecord, writeStream } from '../../src/audit/records/stream-record.ts'
import { openSegment } from '../../src/audit/segment-reader.ts'

export interface Entry {
  readonly type: number
  readonly payload: Buffer
  readonly flags?: number
}

export type Told =
  | { readonly decision: DecisionRecord }
  | { readonly stream: StreamRecord }
  | { readonly shadow: ShadowRecord }

const row = new RowWriter(Buffer.alloc(FRAME_HEAD_BYTES + 70_000))
let sequence = 0

/** A record as it stands in a segment. */
export function entryOf(told: Told): Entry {
  sequence += 1
  const origin = { lane: 0, start: 1_795_000_000_123, sequence }
  row.begin(noDigests(row.bytes, writeOrigin(row.bytes, 0, origin)))
  let type: number = RECORD_TYPES.decision
  if ('decision' in told) writeDecision(row, told.decision)
  else if ('stream' in told) {
    type = RECORD_TYPES.stream
    writeStream(row, told.stream)
  } else {
    type = RECORD_TYPES.shadow
    writeShadow(row, told.shadow)
  }
  return { type, payload: Buffer.from(row.bytes.subarray(0, row.at)) }
}

export function framesOf(first: number, entries: readonly Entry[]): Buffer {
  return Buffer.concat(
    entries.map(({ type, payload, flags = 0 }, index) => {
      const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length)
      payload.copy(bytes, FRAME_HEAD_BYTES)
      sealFrame(bytes, 0, { sequence: first + index, type, flags }, payload.length)
      return bytes
    }),
  )
}

/** A whole segment; returns its bytes. */
export function writeSegment(dataDir: string, first: number, entries: readonly Entry[]): Buffer {
  const header = encodeFileHeader({
    kind: 'segment',
    lane: 0,
    start: 1_795_000_000_123,
    number: 0,
    first,
    createdAt: 1_795_000_000_456,
    keyId: '0011223344556677',
    ...NO_TREE,
  })
  const bytes = Buffer.concat([header, framesOf(first, entries)])
  mkdirSync(segmentsOf(dataDir), { recursive: true })
  writeFileSync(segmentPath(dataDir, first), bytes)
  return bytes
}

export interface Read {
  /** All entries, one behind the other: what the leaves of the tree are made of. */
  readonly entries: Buffer
  readonly sequences: readonly number[]
  /** Where something is wrong, in words. */
  readonly problems: readonly string[]
}

/** Every segment there is, the index of sealed ones compared with their records. */
export function readAll(dataDir: string, disk: Disk): Read {
  const entries: Buffer[] = []
  const sequences: number[] = []
  const problems: string[] = []
  for (const name of listSegments(dataDir)) {
    const reader = openSegment(disk, name, { asksIndex: true })!
    if (typeof reader.header === 'string') problems.push(`${name.name}: ${reader.header}`)
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      entries.push(Buffer.from(frame.entry))
      sequences.push(frame.sequence)
    }
    problems.push(...reader.damages.map(({ at, problem }) => `${name.name}, byte ${at}: ${problem}`))
    reader.close()
  }
  return { entries: Buffer.concat(entries), sequences, problems }
}
