/**
 * A lane that takes places and gives them back as fast as it can, for global-places.test.ts. Says `{ most, took }` when
 * it has had `rounds` of them, or holds what it got and waits to be ended.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { GlobalPlaces } from '../../src/observe/global-places.ts'

export interface PlacesWork {
  readonly memory: SharedArrayBuffer
  readonly lanes: number
  readonly lane: number
  readonly rounds: number
  /** Keep this many and say so. */
  readonly hold: number
}

const { memory, lanes, lane, rounds, hold } = workerData as PlacesWork
const places = new GlobalPlaces(memory, { models: 1, lanes }, lane)
let most = 0
let took = 0
while (took < rounds) {
  if (!places.take(0)) continue
  took += 1
  most = Math.max(most, places.running(0))
  places.giveBack(0)
}
for (let held = 0; held < hold; held += 1) places.take(0)
for (let waits = 0; waits < hold; waits += 1) places.lineUp(0, 100)
places.setHead(0, performance.now())
parentPort!.postMessage({ most, took, now: performance.now() })
if (hold > 0) parentPort!.on('message', () => {})
