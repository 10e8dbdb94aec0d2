/**
 * Entry of the writer thread: puts the log in order, then serves the lanes until told to close. It blocks on
 * shared memory instead of running an event loop: nothing else happens here, and a lane can wake it in
 * microseconds. Every way it can end is told to the control thread.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../kernel/assert.ts'
import { systemClock } from '../kernel/clock.ts'
import { Digester } from './digests.ts'
import { systemDisk } from './disk.ts'
import type { JournalParts } from './lane-journal.ts'
import { TOUCH_EVERY_MS, touchLock } from './lock.ts'
import type { RecoveryReport } from './records/notes.ts'
import { isNoteworthy, removeJournals, replay } from './recover.ts'
import { SegmentWriter } from './segment-writer.ts'
import { survey } from './survey.ts'
import { Writer } from './writer.ts'
import { WriterSignal } from './writer-signal.ts'

/** While there is work: what comes in meanwhile shares one write. */
const ROUND_EVERY_MS = 5

export interface WriterStart {
  readonly dataDir: string
  readonly key: Uint8Array
  readonly lanes: readonly Omit<JournalParts, 'start'>[]
  readonly signal: SharedArrayBuffer
}

export type FromWriter =
  | { readonly kind: 'ready'; readonly start: number; readonly report: RecoveryReport }
  | { readonly kind: 'cannot-open'; readonly problem: string }
  | { readonly kind: 'fatal'; readonly problem: string }
  | { readonly kind: 'closed' }

function tell(message: FromWriter): void {
  assert(parentPort !== null, 'the writer runs on a thread of its own')
  parentPort.postMessage(message)
}

function open({ dataDir, key, lanes }: WriterStart): Writer | undefined {
  try {
    const found = survey(dataDir, systemDisk, systemClock)
    const { start } = found
    const digester = new Digester(key)
    const place = { dataDir, disk: systemDisk, clock: systemClock, start }
    const segment = new SegmentWriter({ ...place, keyId: digester.keyId, next: found.nextSequence })
    const parts = lanes.map((lane) => ({ ...lane, start }))
    const writer = new Writer({
      lanes: parts,
      start,
      segment,
      digester,
      disk: systemDisk,
      clock: systemClock,
    })
    const report = replay(dataDir, found, segment, systemDisk)
    if (isNoteworthy(report)) writer.note('recovery', { at: systemClock.wall(), ...report })
    segment.flush()
    segment.sync()
    removeJournals(dataDir, found.journals, systemDisk)
    tell({ kind: 'ready', start, report })
    return writer
  } catch (error) {
    tell({ kind: 'cannot-open', problem: `${dataDir}: ${(error as Error).message}` })
    return undefined
  }
}

function serve(writer: Writer, signal: WriterSignal, dataDir: string): void {
  let touchedAt = Number.NEGATIVE_INFINITY
  try {
    while (!signal.isClosing) {
      const isMore = writer.round()
      const now = systemClock.now()
      if (now - touchedAt >= TOUCH_EVERY_MS) {
        touchedAt = now
        touchLock(dataDir, systemClock)
      }
      if (isMore) continue
      const { isIdle } = writer
      signal.sleep(isIdle ? TOUCH_EVERY_MS : ROUND_EVERY_MS, isIdle, () => writer.hasNews)
    }
    writer.finish()
    tell({ kind: 'closed' })
  } catch (error) {
    signal.fail()
    tell({ kind: 'fatal', problem: (error as Error).message })
  }
}

const start = workerData as WriterStart
const writer = open(start)
if (writer !== undefined) serve(writer, new WriterSignal(start.signal), start.dataDir)
