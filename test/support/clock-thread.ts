/** A thread that says once that it is there, and then, to every message, what its clock says. */
import { parentPort } from 'node:worker_threads'
import { systemClock } from '../../src/kernel/clock.ts'

const port = parentPort!
port.on('message', () => port.postMessage(systemClock.now()))
port.postMessage(0)
