/**
 * Entry of the capture thread. It looks every few milliseconds for bodies that lanes handed over, so lanes never pay
 * for waking it, and ends when told to, after everything was recorded.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../kernel/assert.ts'
import { systemClock } from '../../kernel/clock.ts'
import { Digester } from '../digests.ts'
import { systemDisk } from '../disk.ts'
import { type JournalParts, LaneJournal } from '../lane-journal.ts'
import { CaptureCounts } from './capture-counts.ts'
import { CaptureWorker } from './capture-worker.ts'
import { SubjectKeys } from './subject-keys.ts'

/** A ring is far from full after it at any rate that one thread can seal. */
const LOOK_EVERY_MS = 20

export interface CaptureStart {
  readonly journal: JournalParts
  readonly rings: readonly SharedArrayBuffer[]
  readonly counts: SharedArrayBuffer
  readonly digestKey: Uint8Array
}

export type ToCapture = { readonly kind: 'forget'; readonly subject: string } | { readonly kind: 'close' }

assert(parentPort !== null, 'captures are sealed on a thread of their own')
const port = parentPort
const start = workerData as CaptureStart
const { dataDir } = start.journal
const worker = new CaptureWorker({
  dataDir,
  rings: start.rings,
  journal: new LaneJournal(start.journal, systemClock),
  keys: new SubjectKeys(dataDir, systemDisk),
  digester: new Digester(start.digestKey),
  counts: new CaptureCounts(start.counts),
  disk: systemDisk,
  clock: systemClock,
})

/** Another round at once while more waits, but messages first. */
let more: NodeJS.Immediate | undefined
const look = (): void => {
  more = worker.round() ? setImmediate(look) : undefined
}
const timer = setInterval(() => {
  if (more === undefined) look()
}, LOOK_EVERY_MS)

port.on('message', (message: ToCapture) => {
  if (message.kind === 'forget') return worker.forget(message.subject)
  clearInterval(timer)
  clearImmediate(more)
  worker.finish()
  port.close()
})
