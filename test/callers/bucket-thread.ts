/** A lane-like thread for bucket-table.test.ts: takes from a few buckets as fast as it can, by the clock all share. */
import { parentPort, workerData } from 'node:worker_threads'
import { unitsAt } from '../../src/callers/bucket.ts'
import { BucketTable } from '../../src/callers/bucket-table.ts'
import type { RateLimit } from '../../src/domain/routes.ts'
import { systemClock } from '../../src/kernel/clock.ts'

interface Work {
  readonly memory: SharedArrayBuffer
  readonly limit: RateLimit
  readonly hashes: readonly bigint[]
  readonly forMs: number
}

/** What a thread got of one bucket, and between which instants it asked. */
export interface Count {
  readonly admitted: number
  readonly refused: number
  readonly from: number
  readonly to: number
}

const { memory, limit, hashes, forMs } = workerData as Work
const table = new BucketTable(memory, 1)
const counts = hashes.map(() => ({ admitted: 0, refused: 0, from: Number.POSITIVE_INFINITY, to: 0 }))
parentPort!.once('message', () => {
  const until = systemClock.now() + forMs
  while (systemClock.now() < until) {
    for (const [index, hash] of hashes.entries()) {
      const now = unitsAt(systemClock.now(), limit)
      const count = counts[index]!
      count.from = Math.min(count.from, now)
      count.to = now
      if (table.take(limit, hash, now).isAdmitted) count.admitted += 1
      else count.refused += 1
    }
  }
  parentPort!.postMessage(counts)
})
parentPort!.postMessage('ready')
