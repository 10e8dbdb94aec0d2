/**
 * Loaded into every thread of a gateway that is measured (`node --import`): on SIGUSR2 each lane says how much
 * memory its objects take and how often it collected garbage, one line of JSON a lane on standard error. With a young
 * generation so large that nothing is collected meanwhile, the difference of two such answers is what was allocated.
 */
import { writeSync } from 'node:fs'
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics } from 'node:v8'
import { BroadcastChannel, isMainThread, threadId, workerData } from 'node:worker_threads'
import type { LaneStart } from '../../src/lane-messages.ts'

export interface Probed {
  readonly probe: number
  readonly heapBytes: number
  readonly bufferBytes: number
  readonly collections: number
}

let collections = 0
new PerformanceObserver((list) => {
  collections += list.getEntries().length
}).observe({ entryTypes: ['gc'] })

function tell(): void {
  const heapBytes = getHeapSpaceStatistics().reduce((sum, space) => sum + space.space_used_size, 0)
  const bufferBytes = process.memoryUsage().arrayBuffers
  const probed: Probed = { probe: threadId, heapBytes, bufferBytes, collections }
  // What is said asynchronously by a thread passes the main thread first, which would allocate there.
  writeSync(2, `${JSON.stringify(probed)}\n`)
}

const channel = new BroadcastChannel('allocation-probe')
channel.unref()
if (isMainThread) process.on('SIGUSR2', () => channel.postMessage('tell'))
else if ((workerData as Partial<LaneStart> | null)?.seat !== undefined) channel.onmessage = tell
