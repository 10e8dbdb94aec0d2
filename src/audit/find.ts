/**
 * Finds everything the log says about one request, beside a running gateway or without one. The id's sixteen
 * bytes are searched for as bytes (about 1 GB/s) and only frames around a hit are read and checked. Ids carry the
 * time of receipt, so segments that ended before it are left for last: they are searched only when nothing was
 * found, because a clock may have been set.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { LogRecord } from './decode.ts'
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES, type Frame, frameAt } from './frame.ts'
import { listSegments, type SegmentName } from './paths.ts'
import { closeJournals, journalRecordOf, openJournals, recordOf, segmentHeader } from './read.ts'
import { isStreaming } from './records/decision-record.ts'
import { ENVELOPE_BYTES_MAX } from './records/payload.ts'
import { idBytes } from './records/row.ts'

const CHUNK_BYTES = 4 * 1024 * 1024
/** From the start of a frame to the id in it: both heads, the row's array head, its version and the bin head. */
const ID_WITHIN = FRAME_HEAD_BYTES + ENVELOPE_BYTES_MAX + 16
/** Clocks of this machine at different times may disagree this much before a second pass is needed. */
const CLOCK_SLACK_MS = 5 * 60_000
/** A shadow is told after its decision; no timeout is longer than this. A stream may go on for longer. */
const FOLLOW_MS = 15 * 60_000

export type DecisionFound = Extract<LogRecord, { type: 'decision' }>
export type ShadowFound = Extract<LogRecord, { type: 'shadow' }>
export type StreamFound = Extract<LogRecord, { type: 'stream' }>

export interface Story {
  readonly id: string
  /** Null when only what followed it was found. */
  readonly decision: DecisionFound | null
  /** How its answer ended, when it was passed on as it came; null too while it is open, or for ever after a crash. */
  readonly stream: StreamFound | null
  readonly shadows: readonly ShadowFound[]
}

/** Null when the log knows nothing of `id`, a request id as in `modelgate-request-id`. */
export async function findDecision(dataDir: string, id: string): Promise<Story | null> {
  const needle = idBytes(id.toLowerCase())
  const found = new Map<string, LogRecord>()
  const journals = await openJournals(dataDir)
  try {
    for (const { name, file } of journals) {
      await searchFile(file, needle, (frame) => keep(found, journalRecordOf(name, frame)))
    }
    await searchSegments(dataDir, needle, found)
  } finally {
    await closeJournals(journals)
  }
  return storyOf(id.toLowerCase(), found)
}

/** Records that tell a story. */
export function recordsIn({ decision, stream, shadows }: Story): number {
  return (decision === null ? 0 : 1) + (stream === null ? 0 : 1) + shadows.length
}

function storyOf(id: string, found: ReadonlyMap<string, LogRecord>): Story | null {
  let decision: DecisionFound | null = null
  let stream: StreamFound | null = null
  const shadows: ShadowFound[] = []
  for (const record of found.values()) {
    if (record.type === 'decision' && record.decision.id === id) decision = record
    if (record.type === 'shadow' && record.shadow.id === id) shadows.push(record)
    if (record.type === 'stream' && record.stream.id === id) stream = record
  }
  const isUnknown = decision === null && stream === null && shadows.length === 0
  return isUnknown ? null : { id, decision, stream, shadows }
}

/** Its end may lie in any later segment. */
function awaitsStream(found: ReadonlyMap<string, LogRecord>): boolean {
  const records = [...found.values()]
  return (
    records.some((record) => record.type === 'decision' && isStreaming(record.decision)) &&
    !records.some(({ type }) => type === 'stream')
  )
}

/** The record in a segment replaces the same one met in a journal: it has its digests and its sequence. */
function keep(found: Map<string, LogRecord>, record: LogRecord): void {
  const { lane, start, sequence } = record.origin
  found.set(`${start}-${lane}-${sequence}`, record)
}

async function searchSegments(dataDir: string, needle: Buffer, found: Map<string, LogRecord>): Promise<void> {
  const receivedAt = needle.readUIntBE(0, 6)
  const segments = await datedSegments(dataDir)
  const later = segments.filter(({ endedAt }) => endedAt >= receivedAt - CLOCK_SLACK_MS)
  const earlier = segments.filter(({ endedAt }) => endedAt < receivedAt - CLOCK_SLACK_MS)
  for (const { name, createdAt } of later) {
    if (found.size > 0 && createdAt > receivedAt + FOLLOW_MS && !awaitsStream(found)) return
    await searchSegment(name, needle, found)
  }
  if (found.size > 0) return
  for (const { name } of earlier.reverse()) await searchSegment(name, needle, found)
}

interface DatedSegment {
  readonly name: SegmentName
  readonly createdAt: number
  /** When the next one began; Infinity for the last and before one whose header cannot be read. */
  readonly endedAt: number
}

async function datedSegments(dataDir: string): Promise<DatedSegment[]> {
  const dated: DatedSegment[] = []
  let endedAt = Infinity
  for (const name of listSegments(dataDir).reverse()) {
    const createdAt = (await segmentHeader(name.path))?.createdAt
    dated.push({ name, createdAt: createdAt ?? 0, endedAt })
    endedAt = createdAt ?? Infinity
  }
  return dated.reverse()
}

async function searchSegment(
  name: SegmentName,
  needle: Buffer,
  found: Map<string, LogRecord>,
): Promise<void> {
  let file: FileHandle
  try {
    file = await open(name.path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    await searchFile(file, needle, (frame) => keep(found, recordOf(name, frame)))
  } finally {
    await file.close()
  }
}

/** Calls `onFrame` for every whole frame that carries `needle` where a record's id lies. */
async function searchFile(file: FileHandle, needle: Buffer, onFrame: (frame: Frame) => void): Promise<void> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let base = 0; ; ) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, base)
    if (bytesRead < needle.length) return
    const read = chunk.subarray(0, bytesRead)
    for (let hit = read.indexOf(needle); hit !== -1; hit = read.indexOf(needle, hit + 1)) {
      const frame = await frameAround(file, base + hit)
      if (frame !== undefined) onFrame(frame)
    }
    base += bytesRead - needle.length + 1
  }
}

/** The frame in which the id at file offset `at` lies: the nearest place before it that holds a whole frame. */
async function frameAround(file: FileHandle, at: number): Promise<Frame | undefined> {
  const from = Math.max(0, at - ID_WITHIN)
  const bytes = Buffer.alloc(at - from + FRAME_BYTES_MAX)
  const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
  for (let start = at - from - FRAME_HEAD_BYTES; start >= 0; start -= 1) {
    const frame = frameAt(bytes, start, bytesRead)
    if (typeof frame === 'string') continue
    if (frame.bytes >= at - from - start) return { ...frame, at: from + start }
  }
  return undefined
}
