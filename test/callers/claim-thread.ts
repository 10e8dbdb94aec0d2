/** A lane-like thread for claim-table.test.ts: claims the same keys as others do, in the same order, as fast as it can. */
import { parentPort, workerData } from 'node:worker_threads'
import { ClaimTable } from '../../src/callers/claim-table.ts'

const { memory, lane, keys, lets } = workerData as {
  readonly memory: SharedArrayBuffer
  readonly lane: number
  readonly keys: readonly bigint[]
  /** Who holds each key: written by whoever has it, and must be nobody's then. */
  readonly lets: SharedArrayBuffer
}
const table = new ClaimTable(memory, lane)
const holders = new Int32Array(lets)
let clashes = 0
let mine = 0
parentPort!.once('message', () => {
  for (let round = 0; round < 200; round += 1) {
    for (const [index, key] of keys.entries()) {
      const claimed = table.claim(key, 1000)
      if (claimed.kind !== 'mine') continue
      mine += 1
      if (Atomics.compareExchange(holders, index, 0, lane + 1) !== 0) clashes += 1
      for (let spin = 0; spin < 50; spin += 1) Atomics.load(holders, index)
      Atomics.store(holders, index, 0)
      table.release(claimed.claim)
    }
  }
  parentPort!.postMessage({ mine, clashes })
})
parentPort!.postMessage('ready')
