/**
 * Entry of the publisher thread: tiles and checkpoints go to the disk here, so that the writer thread, on which
 * durable answers wait, syncs nothing but records. What the disk does not take is tried again each second; the writer
 * sees in shared memory how far it got.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../kernel/assert.ts'
import { systemDisk } from '../disk.ts'
import { type Publication, Publisher } from './publisher.ts'

const RETRY_AFTER_MS = 1000

export interface PublisherData {
  readonly dataDir: string
  readonly port: MessagePort
  /** One BigInt64: leaves covered by the checkpoint on the disk. */
  readonly published: SharedArrayBuffer
}

/** The first message: the tree that is on the disk, as `Publisher` wants it. */
export interface PublisherStart {
  readonly size: number
  readonly edge: readonly Uint8Array[]
}

export interface FromPublisher {
  /** Empty: what was wrong has passed. */
  readonly problem: string
}

const { dataDir, port, published } = workerData as PublisherData
const done = new BigInt64Array(published)
let publisher: Publisher | undefined
let retry: NodeJS.Timeout | undefined
let isInTrouble = false

function publish(publisher: Publisher): void {
  clearTimeout(retry)
  retry = undefined
  try {
    publisher.publish()
    Atomics.store(done, 0, BigInt(publisher.size))
    if (isInTrouble) tell('')
    isInTrouble = false
  } catch (error) {
    if (!isInTrouble) tell((error as Error).message)
    isInTrouble = true
    retry = setTimeout(() => publish(publisher), RETRY_AFTER_MS)
  }
}

function tell(problem: string): void {
  parentPort?.postMessage({ problem } satisfies FromPublisher)
}

/** Of the control thread, when there is no writer any more that could say so. */
parentPort?.once('message', () => end())
parentPort?.unref()

function end(): void {
  clearTimeout(retry)
  port.close()
}

/** Null asks it to end: what is not written then is made up for at the next start, from the segments. */
port.on('message', (message: PublisherStart | Publication | null) => {
  if (message === null) {
    if (publisher?.isBehind === true) publish(publisher)
    end()
  } else if ('edge' in message) {
    const edge = message.edge.map((tile) => Buffer.from(tile.buffer, tile.byteOffset, tile.byteLength))
    publisher = new Publisher(dataDir, systemDisk, { size: message.size, edge })
  } else {
    assert(publisher !== undefined, 'the tree comes before what is added to it')
    publisher.add(message)
    if (retry === undefined) publish(publisher)
  }
})
