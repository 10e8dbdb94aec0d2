/**
 * Hands pairs of answers to the scoring threads to be held against each other. Comes after scoring
 * whenever a thread is free, in small portions, from a small queue: when there is no room the pair is
 * dropped, counted and told as `not-compared`, because no primary may wait for a comparison.
 */

import type { Answer } from '../domain/outcome.ts'
import type { CompareRule, ProtocolName } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import type { OurNames } from '../protocols/protocol.ts'
import { type CompareResult, type CompareTask, PAIR_FIELDS, type PairToCompare } from '../workers/messages.ts'
import type { Work, WorkerPool, WorkSource } from '../workers/pool.ts'

export interface Pair {
  /** Both answers are in this dialect. */
  readonly protocol: ProtocolName
  readonly rules: readonly CompareRule[]
  readonly primary: Answer
  readonly shadow: Answer
  /** Ours, to be put in the place of those in the shadow's answer; null where it tells no others. */
  readonly rename: OurNames | null
}

export interface PairVerdict {
  readonly agreement: 'agree' | 'differ' | 'incomparable' | 'not-compared'
  /** One entry for each rule; empty when nothing was compared. */
  readonly differences: readonly (number | null)[]
}

export interface ComparerParts {
  readonly pool: WorkerPool
  readonly clock: Clock
  readonly queueMax?: number
}

export const COMPARE_QUEUE_MAX = 512
/** Both answers of a pair together. Parsing takes 7–15 ms per MiB, for which a primary would wait. */
export const COMPARE_PAIR_BYTES_MAX = 1024 * 1024
export const COMPARE_BATCH_PAIRS_MAX = 32
/** About 3 ms of a thread. */
export const COMPARE_BATCH_BYTES_MAX = 256 * 1024
/** Nobody waits for a comparison, so it may wait for company. */
const GATHER_MS = 10
const HANG_MS = 10_000

interface Waiting {
  readonly pair: Pair
  readonly at: number
  readonly bytes: number
  readonly done: (verdict: PairVerdict) => void
}

export class Comparer implements WorkSource {
  /** Pairs that were not compared for want of room or because they are too large. */
  dropped = 0
  readonly #pool: WorkerPool
  readonly #clock: Clock
  readonly #queueMax: number
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor({ pool, clock, queueMax = COMPARE_QUEUE_MAX }: ComparerParts) {
    this.#pool = pool
    this.#clock = clock
    this.#queueMax = queueMax
    pool.serve(this)
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** `done` is called exactly once, never inside this call. */
  submit(pair: Pair, done: (verdict: PairVerdict) => void): void {
    const bytes = pair.primary.body.length + pair.shadow.body.length
    const full = this.#waiting.length >= this.#queueMax
    if (this.#closed || full || bytes > COMPARE_PAIR_BYTES_MAX) {
      this.dropped += 1
      setImmediate(() => done(NOT_COMPARED))
      return
    }
    this.#pool.start()
    this.#waiting.push({ pair, at: this.#clock.now(), bytes, done })
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#pool.wake()
    }, GATHER_MS)
  }

  take(): Work | null {
    const oldest = this.#waiting[0]
    if (oldest === undefined) return null
    const gathered = this.#waiting.length >= COMPARE_BATCH_PAIRS_MAX
    if (!gathered && this.#timer !== undefined) return null
    const batch = this.#takeBatch()
    const task = taskOf(batch)
    return {
      task: 'compare',
      message: task,
      transfer: [task.bytes],
      killAt: this.#clock.now() + HANG_MS,
      isNative: false,
      done: (result) => {
        const verdicts = result as CompareResult
        batch.forEach((one, index) => {
          one.done(verdicts[index]!)
        })
      },
      died: () => this.#drop(batch),
    }
  }

  /** Whatever still waits is told that it was not compared. Close it before the pool. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#drop(this.#waiting.splice(0))
  }

  #drop(batch: readonly Waiting[]): void {
    this.dropped += batch.length
    for (const one of batch) one.done(NOT_COMPARED)
  }

  #takeBatch(): readonly Waiting[] {
    let count = 0
    let bytes = 0
    while (count < this.#waiting.length && count < COMPARE_BATCH_PAIRS_MAX) {
      const size = this.#waiting[count]!.bytes
      if (count > 0 && bytes + size > COMPARE_BATCH_BYTES_MAX) break
      bytes += size
      count += 1
    }
    return this.#waiting.splice(0, count)
  }
}

const NOT_COMPARED: PairVerdict = { agreement: 'not-compared', differences: [] }

function taskOf(batch: readonly Waiting[]): CompareTask {
  const bytes = new ArrayBuffer(batch.reduce((sum, one) => sum + one.bytes, 0))
  const target = new Uint8Array(bytes)
  const places = new Float64Array(batch.length * PAIR_FIELDS)
  let at = 0
  batch.forEach(({ pair }, index) => {
    ;[pair.primary, pair.shadow].forEach(({ body }, side) => {
      target.set(body, at)
      places.set([at, body.length], index * PAIR_FIELDS + side * 2)
      at += body.length
    })
  })
  const pairs = batch.map(
    ({ pair: { protocol, rules, primary, shadow, rename } }): PairToCompare => ({
      protocol,
      rules,
      rename,
      headers: [formOf(primary), formOf(shadow)],
    }),
  )
  return { pairs, places, bytes }
}

/** The headers that say how a body is to be read; cloning all of them would cost more than the comparison. */
function formOf({ headers }: Answer): readonly string[] {
  return headers.filter((_, index) => FORM_HEADERS.has(headers[index - (index % 2)]!))
}

const FORM_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'inference-header-content-length',
])
