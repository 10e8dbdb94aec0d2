/**
 * A lane's side of local scoring: takes requests for local versions, gathers them into batches, gives
 * each its own answer, Fault or timeout. Parses nothing; a request costs it one object and one copy.
 *
 * Promises: `done` is called exactly once per request unless cancelled, never inside `submit`; at most
 * `queueMax` requests wait; a request whose time is up is answered then, whatever the thread does.
 */
import { type Fault, fault } from '../domain/fault.ts'
import type { LocalVersion, Snapshot } from '../domain/routes.ts'
import type { AttemptLimits, Cancel, Done } from '../domain/wire.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Sweep } from '../kernel/sweep.ts'
import type { ScoreResult } from '../workers/messages.ts'
import { type Seat, type Work, WorkerPool, type WorkSource } from '../workers/pool.ts'
import { runtimeOf } from '../workers/runtimes/index.ts'
import { batchOf, failBatch, settleBatch } from './batch.ts'
import { Job, resultOf } from './job.ts'
import { Loader, type VersionState } from './loader.ts'
import { metadataAnswer } from './metadata.ts'
import { BATCH_MS_MAX, BATCH_WAIT_MS, SHADOW_BATCH_ITEMS_MAX, VersionQueue } from './version-queue.ts'

export interface ScorerParts {
  readonly snapshot: Snapshot
  readonly clock: Clock
  readonly sweep: Sweep
  /** Scoring threads of this lane. */
  readonly threads: number
  /** Requests of this lane that may wait for one. */
  readonly queueMax: number
  readonly heapMiBMax?: number
  readonly loadMsMax?: number
  readonly reloadAfterDeathMs?: number
}

export interface ScoreJob {
  readonly version: LocalVersion
  readonly operation: 'infer' | 'metadata'
  /** Shared; read until `done`, never changed or transferred. */
  readonly body: Uint8Array
  readonly jsonLength: number
  readonly limits: AttemptLimits
  /** Nobody waits for the answer: it comes after all others, and is the first to be refused. */
  readonly isShadow: boolean
}

/** Of the waiting line, what shadows may take. */
const SHADOW_SHARE = 0.25

/** How long after the last deadline of a batch its thread is taken to hang. */
export const HANG_GRACE_MS = 1000

/** Where threads cannot even start, serving the other versions does not wait for them longer than this. */
const START_MS_MAX = 60_000

export class Scorer implements WorkSource {
  /** Shared with comparisons, which come after scoring. */
  readonly pool: WorkerPool
  onState: ((version: LocalVersion, state: VersionState) => void) | undefined
  readonly #parts: ScorerParts
  readonly #loader: Loader
  readonly #queues = new Map<number, VersionQueue>()
  readonly #shadows = new Map<number, VersionQueue>()
  #waiting = 0
  #shadowsWaiting = 0
  #turns = 0
  #turn: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined
  #started: (() => void) | undefined
  #closed = false

  constructor(parts: ScorerParts) {
    this.#parts = parts
    const { threads, clock, sweep, heapMiBMax } = parts
    this.pool = new WorkerPool({ threads, clock, sweep, ...(heapMiBMax === undefined ? {} : { heapMiBMax }) })
    for (const version of parts.snapshot.versions) {
      if (version.kind !== 'local') continue
      this.#queues.set(version.index, new VersionQueue(version))
      this.#shadows.set(version.index, new VersionQueue(version, SHADOW_BATCH_ITEMS_MAX))
    }
    if (this.#queues.size > 1) this.#eachQueue((queue) => (queue.batchMsMax = BATCH_MS_MAX))
    this.#loader = new Loader([...this.#queues.values()], {
      pool: this.pool,
      clock,
      ...(parts.loadMsMax === undefined ? {} : { loadMsMax: parts.loadMsMax }),
      ...(parts.reloadAfterDeathMs === undefined ? {} : { reloadAfterDeathMs: parts.reloadAfterDeathMs }),
      onState: (version, state) => {
        if (!state.ready) this.#refuseWaiting(version, state.fault)
        this.onState?.(version, state)
      },
      onSettled: () => this.#settled(),
    })
    this.pool.serve(this.#loader, this)
  }

  /** Requests waiting for a thread now, shadows among them. */
  get waiting(): number {
    return this.#waiting + this.#shadowsWaiting
  }

  /** Resolves when every version is loaded on every thread or known not to load; never rejects. */
  start(): Promise<void> {
    if (this.#queues.size === 0 || this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const late = setTimeout(resolve, START_MS_MAX)
      this.#started = () => {
        clearTimeout(late)
        resolve()
      }
      this.pool.start()
    })
  }

  state(version: LocalVersion): VersionState {
    return this.#loader.state(version)
  }

  submit(job: ScoreJob, done: Done): Cancel {
    const { clock, queueMax } = this.#parts
    const startedAt = clock.now()
    if (job.operation === 'metadata') return this.#later(() => this.#describe(job.version, startedAt), done)
    const refusal = this.#closed ? DRAINING : this.#loader.faultOf(job.version)
    if (refusal !== null) return this.#refuse(refusal, startedAt, done)
    const { isShadow } = job
    const [waiting, waitingMax] = isShadow
      ? [this.#shadowsWaiting, Math.max(1, Math.floor(queueMax * SHADOW_SHARE))]
      : [this.#waiting, queueMax]
    const queue = (isShadow ? this.#shadows : this.#queues).get(job.version.index)!
    if (waiting >= waitingMax || this.#isBeyondShare(queue, waitingMax - waiting)) {
      const own =
        waiting >= waitingMax ? '' : `, ${queue.size} of them for this version, and the rest is for others`
      const words = `scoring.queue is full: ${waiting} ${isShadow ? 'shadows' : 'requests'} are waiting${own}`
      return this.#refuse(fault('scoring-queue-full', words), startedAt, done)
    }
    const entry = new Job({
      body: job.body,
      jsonLength: job.jsonLength,
      limits: job.limits,
      startedAt,
      sweep: this.#parts.sweep,
      done,
      leave: (leaving) => {
        if (queue.remove(leaving)) this.#left(queue, 1)
      },
      starved: () => queue.inFlight === 0 && this.pool.seats.some((seat) => seat.busy),
    })
    queue.add(entry)
    this.#left(queue, -1)
    this.#arm(queue)
    return () => entry.cancel()
  }

  /**
   * A batch of the version whose last turn is longest ago, among those that are ripe and that this thread can score;
   * shadows last. By turns and not by age: what waits for a version with a long line is always the oldest.
   */
  take(seat: Seat): Work | null {
    const now = this.#parts.clock.now()
    const next = this.#nextOf(this.#queues, seat, now) ?? this.#nextOf(this.#shadows, seat, now)
    if (next === undefined) return null
    this.#turns += 1
    next.lastTurn = this.#turns
    return this.#workOf(next, now)
  }

  #nextOf(queues: ReadonlyMap<number, VersionQueue>, seat: Seat, now: number): VersionQueue | undefined {
    let next: VersionQueue | undefined
    for (const queue of queues.values()) {
      if (!queue.isRipe(now) || !this.#loader.holds(seat, queue.version)) continue
      if (next === undefined || queue.lastTurn < next.lastTurn) next = queue
    }
    return next
  }

  /** Where there are several versions, none takes more of the line than it leaves free: half, if it is the only one. */
  #isBeyondShare(queue: VersionQueue, free: number): boolean {
    return this.#queues.size > 1 && queue.size > 0 && queue.size >= free
  }

  #left(queue: VersionQueue, count: number): void {
    if (this.#shadows.get(queue.version.index) === queue) this.#shadowsWaiting -= count
    else this.#waiting -= count
  }

  #eachQueue(visit: (queue: VersionQueue) => void): void {
    for (const queue of this.#queues.values()) visit(queue)
    for (const queue of this.#shadows.values()) visit(queue)
  }

  /** Everything unanswered is refused as draining; no thread is left when it resolves. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearImmediate(this.#turn)
    clearTimeout(this.#timer)
    this.#loader.close()
    const now = this.#parts.clock.now()
    this.#eachQueue((queue) => {
      for (const job of queue.drain()) this.#leaveWith(queue, job, DRAINING, now)
    })
    await this.pool.close()
    this.#settled()
  }

  #workOf(queue: VersionQueue, now: number): Work {
    const jobs = queue.take()
    this.#left(queue, jobs.length)
    queue.inFlight += 1
    const task = batchOf(queue.source, jobs, now)
    const lastDueAt = jobs.reduce((latest, job) => Math.max(latest, job.dueAt), now)
    return {
      task: 'score',
      message: task,
      transfer: [task.bytes],
      killAt: lastDueAt + HANG_GRACE_MS,
      isNative: runtimeOf(queue.source.runtime).isNative,
      done: (result) => {
        const at = this.#parts.clock.now()
        queue.inFlight -= 1
        queue.took(jobs.length, at - now)
        settleBatch(jobs, result as ScoreResult, at)
      },
      died: (cause, isGivenUp) => {
        queue.inFlight -= 1
        if (isGivenUp) queue.givenUp += 1
        const at = this.#parts.clock.now()
        if (this.#closed) for (const job of jobs) job.fail(DRAINING, at)
        else failBatch(jobs, cause, isGivenUp, at)
      },
      returned: () => {
        queue.givenUp -= 1
      },
    }
  }

  /** At the end of this turn of the loop when nothing of the version is out, else within a millisecond. */
  #arm(queue: VersionQueue): void {
    if (queue.full) this.pool.wake()
    else if (queue.inFlight === 0) {
      this.#turn ??= setImmediate(() => {
        this.#turn = undefined
        this.pool.wake()
      })
    } else this.#armTimer()
  }

  #armTimer(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.pool.wake()
      const now = this.#parts.clock.now()
      this.#eachQueue((queue) => {
        if (queue.size > 0 && queue.givenUp === 0 && !queue.isRipe(now)) this.#armTimer()
      })
    }, BATCH_WAIT_MS)
  }

  #describe(version: LocalVersion, startedAt: number): Parameters<Done>[0] {
    const state = this.#loader.state(version)
    const totalMs = this.#parts.clock.now() - startedAt
    const answer = state.ready ? metadataAnswer(this.#parts.snapshot, version, state.metadata) : null
    return resultOf({ answer, fault: state.ready ? null : state.fault, queueMs: 0, totalMs })
  }

  #refuse(reason: Fault, startedAt: number, done: Done): Cancel {
    const result = (): Parameters<Done>[0] => {
      const totalMs = this.#parts.clock.now() - startedAt
      return resultOf({ answer: null, fault: reason, queueMs: 0, totalMs })
    }
    return this.#later(result, done)
  }

  #later(result: () => Parameters<Done>[0], done: Done): Cancel {
    const immediate = setImmediate(() => done(result()))
    return () => clearImmediate(immediate)
  }

  #refuseWaiting(version: LocalVersion, reason: Fault): void {
    const now = this.#parts.clock.now()
    for (const queues of [this.#queues, this.#shadows]) {
      const queue = queues.get(version.index)!
      for (const job of queue.drain()) this.#leaveWith(queue, job, reason, now)
    }
  }

  /** For jobs already out of their queue. */
  #leaveWith(queue: VersionQueue, job: Job, reason: Fault, now: number): void {
    this.#left(queue, 1)
    job.fail(reason, now)
  }

  #settled(): void {
    if (this.#started === undefined || !(this.#closed || this.#loader.settled)) return
    this.#started()
    this.#started = undefined
  }
}

const DRAINING = fault('draining', 'the gateway is shutting down')
