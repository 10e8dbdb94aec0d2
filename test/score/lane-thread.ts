/** A lane-like thread for scorer.test.ts: scores one request with its own pool, closes it, and ends by itself. */
import { parentPort, workerData } from 'node:worker_threads'
import { Bench, rowsRequest, valuesOf } from '../support/local-models.ts'

const bench = new Bench()
await bench.start({ v1: workerData as string })
parentPort!.postMessage(valuesOf(await bench.infer('v1', rowsRequest([[21]]))))
await bench.close()
