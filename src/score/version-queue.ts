/**
 * What waits for one local version, and when it is time to go. Batches form by themselves: while a
 * batch is being scored the next one gathers, and a lone request waits for nobody.
 *
 * Holds no timer; the scorer asks. Order is order of arrival.
 */
import type { LocalVersion } from '../domain/routes.ts'
import type { ModelSource } from '../workers/messages.ts'
import type { Job } from './job.ts'

/** Above 64 the cost per item no longer falls: 84 µs a task, alone; 3 µs an item, by 64. */
export const BATCH_ITEMS_MAX = 64
/** Of shadows: whoever waits for an answer waits for no more than a few of them. */
export const SHADOW_BATCH_ITEMS_MAX = 8
/** One batch is copied, decoded and encoded in one go: this bounds the thread's memory and its pause. */
export const BATCH_BYTES_MAX = 8 * 1024 * 1024
/** How long the first item of a batch may wait for company while another batch is out. */
export const BATCH_WAIT_MS = 1

/** How long a batch may take, by what earlier ones took, where other versions wait for the threads, too. */
export const BATCH_MS_MAX = 50
/** Of the latest batch in the mean. */
const LATEST_WEIGHT = 0.25

export class VersionQueue {
  readonly version: LocalVersion
  readonly source: ModelSource
  /** Batches of this version on threads now. */
  inFlight = 0
  /** Still there long after their time: the version gets no other thread before they are back. */
  givenUp = 0
  /** When its last batch was taken, by number over all versions; 0: never. */
  lastTurn = 0
  /** Infinity: as long as it takes. */
  batchMsMax = Number.POSITIVE_INFINITY
  readonly #itemsMax: number
  #jobs: Job[] = []
  #bytes = 0
  /** What an item took lately; 0: nothing is known. */
  #itemMs = 0

  constructor(version: LocalVersion, itemsMax: number = BATCH_ITEMS_MAX) {
    this.version = version
    this.#itemsMax = itemsMax
    const { runtime, model, name, file, fileAsWritten } = version
    this.source = { runtime, model, version: name, file, fileAsWritten }
  }

  get size(): number {
    return this.#jobs.length
  }

  /** Monotonic ms of the oldest arrival; Infinity when nothing waits. */
  get oldestAt(): number {
    return this.#jobs[0]?.startedAt ?? Number.POSITIVE_INFINITY
  }

  get full(): boolean {
    return this.#jobs.length >= this.#itemsNow || this.#bytes >= BATCH_BYTES_MAX
  }

  get #itemsNow(): number {
    if (this.#itemMs === 0 || this.batchMsMax === Number.POSITIVE_INFINITY) return this.#itemsMax
    return Math.min(this.#itemsMax, Math.max(1, Math.floor(this.batchMsMax / this.#itemMs)))
  }

  /** A batch is back. */
  took(items: number, totalMs: number): void {
    const itemMs = totalMs / items
    this.#itemMs = this.#itemMs === 0 ? itemMs : this.#itemMs + LATEST_WEIGHT * (itemMs - this.#itemMs)
  }

  isRipe(now: number): boolean {
    if (this.#jobs.length === 0 || this.givenUp > 0) return false
    return this.inFlight === 0 || this.full || now - this.oldestAt >= BATCH_WAIT_MS
  }

  add(job: Job): void {
    this.#jobs.push(job)
    this.#bytes += job.body.length
  }

  remove(job: Job): boolean {
    const place = this.#jobs.indexOf(job)
    if (place === -1) return false
    this.#jobs.splice(place, 1)
    this.#bytes -= job.body.length
    return true
  }

  /** The next batch: at least one job, within both limits unless one job alone is larger. */
  take(): readonly Job[] {
    let count = 0
    let bytes = 0
    const itemsMax = this.#itemsNow
    while (count < this.#jobs.length && count < itemsMax) {
      const length = this.#jobs[count]!.body.length
      if (count > 0 && bytes + length > BATCH_BYTES_MAX) break
      bytes += length
      count += 1
    }
    this.#bytes -= bytes
    return this.#jobs.splice(0, count)
  }

  drain(): readonly Job[] {
    this.#bytes = 0
    return this.#jobs.splice(0)
  }
}
