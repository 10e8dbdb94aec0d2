/**
 * A log without threads: lanes and the writer's rounds by hand, a manual clock and a faulty disk, so that a test
 * says exactly who ran when and what the disk did.
 */
import { join } from 'node:path'
import { checkLog, cutDamaged } from '../../src/audit/check-log.ts'
import { COMPLETION_BYTES } from '../../src/audit/completions.ts'
import type { LogRecord } from '../../src/audit/decode.ts'
import { Digester, openDigestKey } from '../../src/audit/digests.ts'
import { type Disk, systemDisk } from '../../src/audit/disk.ts'
import { openIdentity } from '../../src/audit/identity.ts'
import { removeInflight } from '../../src/audit/inflight/left-inflight.ts'
import { type JournalParts, LaneJournal } from '../../src/audit/lane-journal.ts'
import { LANE_STATE_BYTES } from '../../src/audit/lane-state.ts'
import { KEY_FILE } from '../../src/audit/paths.ts'
import { Checkpoints } from '../../src/audit/publish/checkpoints.ts'
import { type Publication, Publisher } from '../../src/audit/publish/publisher.ts'
import { readLog } from '../../src/audit/read.ts'
import type { RecoveryReport } from '../../src/audit/records/notes.ts'
import { isNoteworthy, removeJournals, replay, salvage, tellUnfinished } from '../../src/audit/recover.ts'
import { ringMemory } from '../../src/audit/ring.ts'
import { SegmentWriter } from '../../src/audit/segment-writer.ts'
import { survey } from '../../src/audit/survey.ts'
import { Writer } from '../../src/audit/writer.ts'
import { SIGNAL_BYTES } from '../../src/audit/writer-signal.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { FaultyDisk } from './faulty-disk.ts'
import { newFolder } from './new-folder.ts'

export interface LogOptions {
  readonly dataDir?: string
  readonly lanes?: number
  readonly ringBytes?: number
  readonly backlogBytesMax?: number
  readonly digestBytesMax?: number
  readonly segmentBytesMax?: number
  readonly fileBytesMax?: number
  readonly clock?: ManualClock
  readonly onBug?: (error: unknown) => void
  /** One that fails somewhere, for everything: opening, lanes, writer and publisher. */
  readonly everyDisk?: Disk
}

export interface BenchLog {
  readonly dataDir: string
  readonly clock: ManualClock
  /** What lanes write to, and what the writer writes to. */
  readonly laneDisk: FaultyDisk
  readonly disk: FaultyDisk
  readonly lanes: LaneJournal[]
  readonly parts: JournalParts[]
  readonly signal: SharedArrayBuffer
  readonly writer: Writer
  readonly digester: Digester
  readonly recovery: RecoveryReport
  /** Segments that had to be read to open it. */
  readonly segmentsRead: number
}

export function openBenchLog(options: LogOptions = {}): BenchLog {
  const dataDir = options.dataDir ?? newFolder()
  const clock = options.clock ?? new ManualClock()
  const { everyDisk } = options
  const laneDisk = (everyDisk as FaultyDisk | undefined) ?? new FaultyDisk()
  const disk = (everyDisk as FaultyDisk | undefined) ?? new FaultyDisk()
  const otherDisk = everyDisk ?? systemDisk
  const digester = new Digester(openDigestKey(join(dataDir, KEY_FILE)))
  const identity = openIdentity(dataDir)
  const checked = checkLog(dataDir, identity, otherDisk)
  const cut = cutDamaged(dataDir, checked, otherDisk)
  const found = survey(dataDir, disk, clock)
  const { start } = found
  const signal = new SharedArrayBuffer(SIGNAL_BYTES)
  const parts = Array.from({ length: options.lanes ?? 1 }, (_, lane) => ({
    dataDir,
    lane,
    start,
    state: new SharedArrayBuffer(LANE_STATE_BYTES),
    ring: ringMemory(options.ringBytes ?? 64 * 1024),
    signal,
    completions: new SharedArrayBuffer(COMPLETION_BYTES),
    origin: identity.origin,
    backlogBytesMax: options.backlogBytesMax ?? 64 * 1024 * 1024,
    digestBytesMax: options.digestBytesMax ?? Number.POSITIVE_INFINITY,
  }))
  const bytesMax = options.segmentBytesMax
  const segment = new SegmentWriter({
    dataDir,
    disk,
    clock,
    start,
    keyId: digester.keyId,
    originHash: identity.originHash,
    tree: checked.tree,
    unpublished: checked.unpublished,
    ...(bytesMax === undefined ? {} : { bytesMax }),
  })
  const { checkpoint, edge } = checked
  const publisher = new Publisher(dataDir, otherDisk, { size: checkpoint.size, edge })
  const send = (publication: Publication) => {
    publisher.add(publication)
    // What fails is tried again with the next, as its thread does.
    try {
      publisher.publish()
    } catch {}
  }
  const ofCheckpoints = { dataDir, identity, segment, clock, send, published: () => publisher.size }
  const checkpoints = new Checkpoints({ ...ofCheckpoints, warn: () => {} }, checkpoint.size)
  const writer = new Writer({ lanes: parts, start, segment, digester, checkpoints, disk, clock })
  writer.begin()
  const salvaged = salvage(cut.salvaged, found, segment)
  const replayed = replay(dataDir, found, segment, disk)
  const unknownCrash = tellUnfinished(found, writer)
  const recovery = { ...replayed, salvaged, unknownCrash, torn: [...cut.torn, ...replayed.torn] }
  if (isNoteworthy(recovery)) writer.note('recovery', { at: clock.wall(), ...recovery })
  segment.flush()
  segment.sync()
  removeJournals(dataDir, found.journals, disk)
  removeInflight(dataDir, found.inflight.files, disk)
  const fileBytesMax = options.fileBytesMax
  const more = {
    disk: laneDisk,
    ...(fileBytesMax === undefined ? {} : { fileBytesMax }),
    ...(options.onBug === undefined ? {} : { onBug: options.onBug }),
  }
  const lanes = parts.map((part) => new LaneJournal(part, clock, more))
  const { segmentsRead } = found
  return { dataDir, clock, laneDisk, disk, lanes, parts, signal, writer, digester, recovery, segmentsRead }
}

/** Without those that name the keys: the first record of every log is one. */
export async function allRecords(dataDir: string): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for await (const record of readLog(dataDir)) if (record.type !== 'key') records.push(record)
  return records
}

export function decisionIds(records: readonly LogRecord[]): string[] {
  return records.flatMap((record) => (record.type === 'decision' ? [record.decision.id] : []))
}
