/**
 * Entry of the keeper thread: sealing, indexing and deleting old segments, at the lowest priority the system knows,
 * so that it takes only what requests leave. The gateway runs on when it ends.
 */
import { readlinkSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../kernel/clock.ts'
import { systemDisk } from '../disk.ts'
import { IndexSegments } from '../index/index-segments.ts'
import { Keeper, type KeeperJob } from './keeper.ts'
import { SealSegments } from './seal-segments.ts'

/** While there is nothing to do. */
const LOOK_EVERY_MS = 1000

export interface KeeperData {
  readonly dataDir: string
  /** One BigInt64: records covered by the checkpoint on the disk. */
  readonly published: SharedArrayBuffer
  /** Null: records are kept for ever. */
  readonly retentionMs: number | null
  /** By the configuration: nothing is deleted. */
  readonly isHeld: boolean
}

export interface FromKeeper {
  readonly words: string
}

/** Linux gives each thread a number, and a priority of its own; elsewhere all share the process's. */
function stepBack(): void {
  try {
    const [, , thread] = readlinkSync('/proc/thread-self').split('/')
    setPriority(Number(thread), constants.priority.PRIORITY_LOW)
  } catch {}
}

const { dataDir, published, retentionMs, isHeld } = workerData as KeeperData
const tell = (words: string) => parentPort?.postMessage({ words } satisfies FromKeeper)
const covered = () => Number(Atomics.load(new BigInt64Array(published), 0))
const place = { dataDir, disk: systemDisk, covered }
// A full segment is indexed before it is sealed: the rest of it is found at once then, behind its parts.
const jobs: KeeperJob[] = [
  new IndexSegments(dataDir, systemClock, { covered }),
  new SealSegments({ ...place, onKept: tell }),
]
if (retentionMs !== null) {
  const { PruneSegments } = await import('./prune-segments.ts')
  jobs.push(new PruneSegments({ ...place, clock: systemClock, retentionMs, isHeld }))
}
const ending = new AbortController()
parentPort?.once('message', () => ending.abort())
stepBack()
const keeper = new Keeper(jobs, systemClock, (words) =>
  parentPort?.postMessage({ words } satisfies FromKeeper),
)
while (!ending.signal.aborted) {
  if (!(await keeper.round()))
    await pause(LOOK_EVERY_MS, undefined, { signal: ending.signal }).catch(() => {})
}
