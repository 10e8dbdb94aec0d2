/**
 * Entry of the writer thread: puts the log in order, then serves the lanes until told to close. It blocks on
 * shared memory instead of running an event loop: nothing else happens here, and a lane can wake it in
 * microseconds. Every way it can end is told to the control thread.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { assert } from '../kernel/assert.ts'
import { systemClock } from '../kernel/clock.ts'
import { checkLog, cutDamaged, LogCorrupt } from './check-log.ts'
import { Digester } from './digests.ts'
import { systemDisk } from './disk.ts'
import { openIdentity } from './identity.ts'
import { removeInflight } from './inflight/left-inflight.ts'
import type { JournalParts } from './lane-journal.ts'
import { TOUCH_EVERY_MS, touchLock } from './lock.ts'
import { Checkpoints } from './publish/checkpoints.ts'
import type { PublisherStart } from './publish/publisher-thread.ts'
import type { RecoveryReport } from './records/notes.ts'
import { isNoteworthy, removeJournals, replay, salvage, tellUnfinished } from './recover.ts'
import { acknowledgementBefore } from './repair.ts'
import { SegmentWriter } from './segment-writer.ts'
import { type Survey, survey } from './survey.ts'
import { Writer } from './writer.ts'
import { WriterSignal } from './writer-signal.ts'

export interface WriterStart {
  readonly dataDir: string
  readonly key: Uint8Array
  readonly lanes: readonly Omit<JournalParts, 'start' | 'origin'>[]
  readonly signal: SharedArrayBuffer
  /** To the publisher thread, and what it tells. */
  readonly publisher: MessagePort
  readonly published: SharedArrayBuffer
}

export type FromWriter =
  | {
      readonly kind: 'ready'
      readonly start: number
      readonly origin: string
      readonly report: RecoveryReport
    }
  | { readonly kind: 'warning'; readonly words: string }
  | { readonly kind: 'cannot-open'; readonly problem: string }
  | { readonly kind: 'fatal'; readonly problem: string }
  | { readonly kind: 'closed' }

function tell(message: FromWriter): void {
  assert(parentPort !== null, 'the writer runs on a thread of its own')
  parentPort.postMessage(message)
}

function open({ dataDir, key, lanes, publisher, published }: WriterStart): Writer | undefined {
  try {
    const identity = openIdentity(dataDir)
    const checked = checkLog(dataDir, identity, systemDisk)
    const cut = cutDamaged(dataDir, checked, systemDisk)
    const found = survey(dataDir, systemDisk, systemClock)
    const { start } = found
    const digester = new Digester(key)
    const place = { dataDir, disk: systemDisk, clock: systemClock, start }
    const { tree, unpublished, checkpoint, edge } = checked
    const { originHash, origin } = identity
    const log = { originHash, tree, unpublished }
    const segment = new SegmentWriter({ ...place, keyId: digester.keyId, ...log })
    begin(publisher, published, { size: checkpoint.size, edge })
    const writer = new Writer({
      ...place,
      lanes: lanes.map((lane) => ({ ...lane, start, origin })),
      segment,
      digester,
      checkpoints: new Checkpoints(
        {
          ...{ dataDir, identity, segment, clock: systemClock },
          send: (publication) =>
            publisher.postMessage(publication, [publication.leaves.buffer as ArrayBuffer]),
          published: () => Number(Atomics.load(new BigInt64Array(published), 0)),
          warn: (words) => tell({ kind: 'warning', words }),
        },
        checkpoint.size,
      ),
    })
    const report = putInOrder(writer, { dataDir, origin, cut, found, segment })
    tell({ kind: 'ready', start, origin, report })
    return writer
  } catch (error) {
    const hint = error instanceof LogCorrupt ? REFUSED : ''
    tell({ kind: 'cannot-open', problem: `${dataDir}: ${(error as Error).message}${hint}` })
    return undefined
  }
}

const REFUSED =
  '; nothing was changed. modelgate audit verify tells more; modelgate audit repair --acknowledge-loss sets it aside and begins a new log'

function begin(publisher: MessagePort, published: SharedArrayBuffer, start: PublisherStart): void {
  Atomics.store(new BigInt64Array(published), 0, BigInt(start.size))
  publisher.postMessage(start)
}

interface Opening {
  readonly dataDir: string
  readonly origin: string
  readonly cut: ReturnType<typeof cutDamaged>
  readonly found: Survey
  readonly segment: SegmentWriter
}

/** Records that dead runs left in journals, or behind damage, are appended; then the journals go. */
function putInOrder(writer: Writer, { dataDir, origin, cut, found, segment }: Opening): RecoveryReport {
  const isNew = segment.next === 0
  writer.begin()
  const salvaged = salvage(cut.salvaged, found, segment)
  const replayed = replay(dataDir, found, segment, systemDisk)
  const unknownCrash = tellUnfinished(found, writer)
  const report = { ...replayed, salvaged, unknownCrash, torn: [...cut.torn, ...replayed.torn] }
  const acknowledged = isNew ? acknowledgementBefore(dataDir, origin) : undefined
  if (acknowledged !== undefined) writer.note('recovery', { at: systemClock.wall(), ...report, acknowledged })
  else if (isNoteworthy(report)) writer.note('recovery', { at: systemClock.wall(), ...report })
  segment.flush()
  segment.sync()
  removeJournals(dataDir, found.journals, systemDisk)
  removeInflight(dataDir, found.inflight.files, systemDisk)
  return report
}

function serve(writer: Writer, { dataDir, publisher, ...start }: WriterStart): void {
  const signal = new WriterSignal(start.signal)
  let touchedAt = Number.NEGATIVE_INFINITY
  try {
    while (!signal.isClosing) {
      const isMore = writer.round()
      const now = systemClock.now()
      if (now - touchedAt >= TOUCH_EVERY_MS) {
        touchedAt = now
        touchLock(dataDir, systemClock)
      }
      if (!isMore) writer.sleep(TOUCH_EVERY_MS)
    }
    writer.finish()
    publisher.postMessage(null)
    tell({ kind: 'closed' })
  } catch (error) {
    signal.fail()
    writer.wakeLanes()
    tell({ kind: 'fatal', problem: (error as Error).message })
  }
}

const start = workerData as WriterStart
const writer = open(start)
if (writer !== undefined) serve(writer, start)
