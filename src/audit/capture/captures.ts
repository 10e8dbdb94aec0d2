/**
 * The control thread's side of capturing: starts the thread, hands each lane its part, and ends it after the
 * lanes. When the thread dies, nothing else does: bodies are counted as not kept from then on, and the operator is told.
 */
import { Worker } from 'node:worker_threads'
import { entryBeside } from '../../kernel/entry.ts'
import type { JournalParts } from '../lane-journal.ts'
import type { CaptureFate } from '../records/capture-record.ts'
import { CAPTURE_COUNTS_BYTES, CaptureCounts } from './capture-counts.ts'
import { type CaptureParts, captureRing } from './capture-entry.ts'
import type { CaptureStart, ToCapture } from './capture-thread.ts'

export interface CapturesOptions {
  /** Of the capture thread's own journal. */
  readonly journal: JournalParts
  readonly digestKey: Uint8Array
  /** Threads that may be a lane. */
  readonly seats: number
  log(line: string): void
}

export class Captures {
  readonly #rings: readonly SharedArrayBuffer[]
  readonly #countsMemory = new SharedArrayBuffer(CAPTURE_COUNTS_BYTES)
  readonly #counts = new CaptureCounts(this.#countsMemory)
  readonly #thread: Worker
  readonly #ended: Promise<void>

  constructor({ journal, digestKey, seats, log }: CapturesOptions) {
    this.#rings = Array.from({ length: seats }, () => captureRing())
    const workerData: CaptureStart = { journal, digestKey, rings: this.#rings, counts: this.#countsMemory }
    this.#thread = new Worker(entryBeside(import.meta.url, './capture-thread'), {
      name: 'audit-capture',
      workerData,
    })
    this.#thread.on('error', (error) =>
      log(`bodies are captured no more, because of a bug: ${String((error as Error).stack ?? error)}`),
    )
    this.#ended = new Promise((resolve) => {
      this.#thread.once('exit', () => resolve())
    })
  }

  partsOf(seat: number): CaptureParts {
    return { ring: this.#rings[seat]!, counts: this.#countsMemory }
  }

  count(fate: CaptureFate): number {
    return this.#counts.of(fate)
  }

  /** A subject's key was destroyed by another process. */
  forget(subject: string): void {
    this.#tell({ kind: 'forget', subject })
  }

  /** After all lanes ended: what they handed over is recorded when it resolves. */
  async close(): Promise<void> {
    this.#tell({ kind: 'close' })
    await this.#ended
  }

  #tell(message: ToCapture): void {
    this.#thread.postMessage(message)
  }
}
