/** Changes of sealed segments by somebody who knows how: every checksum, and the index, is made right again. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Disk, systemDisk } from '../../../src/audit/disk.ts'
import { FILE_HEADER_BYTES } from '../../../src/audit/file-header.ts'
import { FRAME_HEAD_BYTES, sealFrame } from '../../../src/audit/frame.ts'
import { listSegments, segmentsOf } from '../../../src/audit/paths.ts'
import { TRAILER_BYTES } from '../../../src/audit/sealed/block-index.ts'
import { sealSegment } from '../../../src/audit/sealed/seal-segment.ts'
import { openSegment } from '../../../src/audit/segment-reader.ts'
import { crc32c } from '../../../src/kernel/crc32c.ts'
import { newFolder } from '../new-folder.ts'

/** A whole number below `count`. */
type Draw = (count: number) => number

export interface SealedChange {
  readonly name: string
  /** What the file is afterwards. */
  change(bytes: Buffer, draw: Draw): Buffer
}

const UNSYNCED: Disk = { ...systemDisk, sync: () => undefined, syncDirectory: () => undefined }
/** In the trailer. */
const INDEX_AT = 48
const INDEX_CRC_AT = 60
const TRAILER_CRC_AT = 76
/** Magic, version and length, which every reader knows, come before. */
const TRAILER_FIELDS_AT = 12

interface Held {
  readonly type: number
  readonly payload: Buffer
}

export const SEALED_CHANGES: readonly SealedChange[] = [
  {
    name: 'a sealed record forged',
    change: (bytes, draw) =>
      resealed(bytes, (records) => {
        const { payload } = records[draw(records.length)]!
        const at = draw(payload.length)
        payload[at]! ^= 1 + draw(255)
      }),
  },
  {
    name: 'a sealed record left out',
    change: (bytes, draw) => resealed(bytes, (records) => records.splice(draw(records.length), 1)),
  },
  {
    name: 'a sealed record put in twice',
    change: (bytes, draw) =>
      resealed(bytes, (records) => {
        // Not the last one: behind the checkpoint it would be one more record, which nobody signed for yet.
        const at = draw(records.length - 1)
        records.splice(at, 0, records[at]!)
      }),
  },
  {
    name: 'sealed records exchanged',
    change: (bytes, draw) =>
      resealed(bytes, (records) => {
        const [one, other] = [draw(records.length), draw(records.length)]
        ;[records[one], records[other]] = [records[other]!, records[one]!]
      }),
  },
  {
    name: 'the index forged',
    change(bytes, draw) {
      const after = Buffer.from(bytes)
      const trailerAt = bytes.length - TRAILER_BYTES
      const indexAt = Number(bytes.readBigUInt64LE(trailerAt + INDEX_AT))
      after[indexAt + draw(trailerAt - indexAt)]! ^= 1 + draw(255)
      after.writeUInt32LE(crc32c(after, indexAt, trailerAt), trailerAt + INDEX_CRC_AT)
      return withTrailerCrc(after)
    },
  },
  {
    name: 'the trailer forged',
    change(bytes, draw) {
      const after = Buffer.from(bytes)
      const at = TRAILER_FIELDS_AT + draw(TRAILER_CRC_AT - TRAILER_FIELDS_AT)
      after[bytes.length - TRAILER_BYTES + at]! ^= 1 + draw(255)
      return withTrailerCrc(after)
    },
  },
]

/** Of every segment, or of the first `share` of them; the last one, too, which a gateway would leave open. */
export function sealSegments(dataDir: string, share: number): void {
  const segments = listSegments(dataDir)
  for (const segment of segments.slice(0, Math.ceil(segments.length * share))) {
    const problem = sealSegment(UNSYNCED, segment)
    if (problem !== undefined) throw new Error(`${segment.file}: ${problem}`)
  }
}

function withTrailerCrc(bytes: Buffer): Buffer {
  const at = bytes.length - TRAILER_BYTES
  bytes.writeUInt32LE(crc32c(bytes, at, at + TRAILER_CRC_AT), at + TRAILER_CRC_AT)
  return bytes
}

/** Unsealed, changed, and sealed again. */
function resealed(bytes: Buffer, change: (records: Held[]) => void): Buffer {
  const dataDir = newFolder()
  const first = Number(bytes.readBigUInt64LE(32))
  const name = join(segmentsOf(dataDir), String(first).padStart(12, '0'))
  mkdirSync(segmentsOf(dataDir), { recursive: true })
  writeFileSync(`${name}.sgz`, bytes)
  const records = recordsIn(dataDir)
  change(records)
  rmSync(`${name}.sgz`)
  const frames = records.map(({ type, payload }, index) => {
    const frame = Buffer.concat([Buffer.alloc(FRAME_HEAD_BYTES), payload])
    sealFrame(frame, 0, { sequence: first + index, type, flags: 0 }, payload.length)
    return frame
  })
  writeFileSync(`${name}.seg`, Buffer.concat([bytes.subarray(0, FILE_HEADER_BYTES), ...frames]))
  sealSegments(dataDir, 1)
  const after = readFileSync(`${name}.sgz`)
  rmSync(dataDir, { recursive: true })
  return after
}

function recordsIn(dataDir: string): Held[] {
  const reader = openSegment(systemDisk, listSegments(dataDir)[0]!)!
  const records: Held[] = []
  for (let frame = reader.next(); frame !== undefined; frame = reader.next())
    records.push({ type: frame.type, payload: Buffer.from(frame.payload) })
  reader.close()
  return records
}
