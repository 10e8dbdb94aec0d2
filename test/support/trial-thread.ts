/**
 * A thread that sends a request to every endpoint of a board in turn, beginning when all others have come so far, and
 * tells which of them it may take for a trial.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { type BoardShape, EndpointBoard } from '../../src/forward/balance/endpoint-board.ts'

export interface TrialStart {
  readonly shape: BoardShape
  readonly buffer: SharedArrayBuffer
  /** One word: how many threads are still to come. */
  readonly barrier: SharedArrayBuffer
  readonly now: number
}

const { shape, buffer, barrier, now } = workerData as TrialStart
const board = new EndpointBoard(shape, buffer)
const missing = new Int32Array(barrier)
Atomics.sub(missing, 0, 1)
while (Atomics.load(missing, 0) > 0);
const taken: number[] = []
for (let endpoint = 0; endpoint < shape.endpoints; endpoint += 1) {
  if (board.note({ side: 'serving', version: 0, endpoint }, 'chosen', now) !== null) taken.push(endpoint)
}
parentPort!.postMessage(taken)
