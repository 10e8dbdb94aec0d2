/**
 * The thread that listens. It does nothing else, so what the kernel has queued is taken within microseconds, whatever
 * the lanes are busy with, and when it stops listening hardly anything can be left in the queue.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { ConnectionCounts } from './accept/connection-counts.ts'
import { Entrance } from './accept/entrance.ts'
import { HEADER_SLACK_BYTES, loadUws } from './accept/load-uws.ts'
import type { EntranceStart, FromEntrance, ToEntrance } from './entrance-messages.ts'
import { assert } from './kernel/assert.ts'
import { systemClock } from './kernel/clock.ts'

/** Lanes are compared when connections came or went, but not more often than this, in ms. */
const BALANCE_EVERY_MS = 1
/** The longest sleep, in ms. */
const LOOK_EVERY_MS = 100

const start = workerData as EntranceStart
assert(parentPort !== null, 'the entrance runs as a worker thread')
const port = parentPort
const tell = (message: FromEntrance): void => port.postMessage(message)

let isClosing = false

const loaded = await loadUws(start.headerBytesMax + HEADER_SLACK_BYTES)
if (loaded.kind === 'problem') tell({ kind: 'cannot-listen', problem: loaded.message })
else {
  const counts = new ConnectionCounts(start.connections)
  const entrance = new Entrance({ uws: loaded.uws, isSecure: start.isSecure, counts, clock: systemClock })
  keepBalance(entrance, counts)
  port.on('message', (message: ToEntrance) => {
    if (message.kind === 'admit') {
      entrance.admit(message.members)
      tell({ kind: 'admitted' })
    } else if (message.kind === 'listen') void listen(entrance, message)
    else void close(entrance)
  })
}

async function listen(entrance: Entrance, { at }: Extract<ToEntrance, { kind: 'listen' }>): Promise<void> {
  try {
    tell({ kind: 'listening', port: await entrance.listen(at) })
  } catch (error) {
    tell({ kind: 'cannot-listen', problem: (error as Error).message })
  }
}

function keepBalance(entrance: Entrance, counts: ConnectionCounts): void {
  const seen = counts.changes
  entrance.balance()
  counts.whenChanged(seen, LOOK_EVERY_MS, () => {
    if (isClosing) return
    entrance.balance()
    setTimeout(() => keepBalance(entrance, counts), BALANCE_EVERY_MS).unref()
  })
}

async function close(entrance: Entrance): Promise<void> {
  isClosing = true
  // The server accepts all that is queued when the loop looks; what runs right behind that finds the queue empty.
  await nextTurn()
  await nextTurn()
  entrance.close()
  tell({ kind: 'closed' })
  port.close()
}
