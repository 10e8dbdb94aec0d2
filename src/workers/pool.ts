/**
 * The only place that drives Piscina. One pool per lane, so that nothing on a request's path waits for
 * another thread's loop.
 *
 * Work is pulled, not pushed: when a seat (one worker thread) is free, the sources are asked in order,
 * and the first that has work for it gets it. So nothing ever waits inside Piscina, whose queue does not
 * count tasks with an abort signal; limits, order and batching stay with the sources that know them.
 *
 * Promises: a thread that ends for whatever reason is replaced, and only the work it was doing is
 * settled with an error. A thread still busy at its work's `killAt` is killed: the one use of aborting a
 * running task, because it costs the thread. Native code cannot be ended, and a thread that is ended within it takes
 * the whole process along when it comes back (an addon cannot even throw then): such work is given up, and its thread
 * stays busy until it is back. After `close()` no thread, timer or socket is left.
 */
import { Piscina, queueOptionsSymbol } from 'piscina'
import type { Clock } from '../kernel/clock.ts'
import { entryBeside } from '../kernel/entry.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'

export type TaskName = 'load' | 'score' | 'compare'

/** One worker thread. Its identity outlives no replacement: sources keep what it holds in a WeakMap. */
export interface Seat {
  readonly thread: number
  readonly busy: boolean
}

export interface Work {
  readonly task: TaskName
  readonly message: object
  readonly transfer: readonly ArrayBuffer[]
  /** Monotonic ms at which the thread is taken to hang. */
  readonly killAt: number
  /** Runs code that is not JavaScript. */
  readonly isNative: boolean
  /** Exactly one of the two is called, once. `seat` is the one that did the work. */
  done(result: unknown, seat: Seat): void
  /** The thread ended, was killed or threw, or the work was given up; the cause in its own words. */
  died(cause: string, isGivenUp: boolean): void
  /** What was given up is over. */
  returned?(): void
}

export interface WorkSource {
  take(seat: Seat): Work | null
}

export interface PoolParts {
  readonly threads: number
  readonly clock: Clock
  readonly sweep: Sweep
  /** Heap of one thread's JavaScript; a model that needs more ends its thread, not the process. */
  readonly heapMiBMax?: number
}

export const HEAP_MIB_MAX = 2048
/** How long to wait before asking for threads again when new ones die while starting. */
const RESPAWN_MS = 1000
/** A stop does not wait longer for threads that were told to end. */
const CLOSE_MS_MAX = 5000
/** What a stop waits for JavaScript under way: longer than a thread takes to begin its first work. */
const SETTLE_MS = 500
/**
 * Piscina asks `require` before `import`. A thread that ends while it requires a module of ours ends the process: "must be
 * used on an instantiated module" (Node 20).
 */
const NO_REQUIRE = '--no-experimental-require-module'
/** Threads keep loaded models, so idle ones are never ended. */
const IDLE_MS = 2 ** 31 - 1

const TASKS: Readonly<Record<TaskName, string>> = {
  load: entryBeside(import.meta.url, 'tasks/load').href,
  score: entryBeside(import.meta.url, 'tasks/score').href,
  compare: entryBeside(import.meta.url, 'tasks/compare').href,
}

type MutableSeat = { thread: number; busy: boolean }
type Targeted = { readonly thread: number }

export class WorkerPool {
  readonly threads: number
  /** Threads that ended unasked since the start. */
  deaths = 0
  /** Called when a seat is gone; what it held is gone with it. */
  onLost: ((seat: Seat) => void) | undefined
  readonly #parts: PoolParts
  readonly #sources: WorkSource[] = []
  readonly #underWay: Record<'native' | 'script', Set<Promise<void>>> = {
    native: new Set(),
    script: new Set(),
  }
  #seats: MutableSeat[] = []
  #piscina: Piscina | undefined
  #respawn: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: PoolParts) {
    this.threads = parts.threads
    this.#parts = parts
  }

  get seats(): readonly Seat[] {
    return this.#seats
  }

  /** Earlier sources come first whenever a seat is free. */
  serve(...sources: readonly WorkSource[]): void {
    this.#sources.push(...sources)
  }

  /** Starts the threads; a second call does nothing. */
  start(): void {
    if (this.#piscina !== undefined || this.#closed) return
    const { threads, heapMiBMax = HEAP_MIB_MAX } = this.#parts
    const piscina = new Piscina({
      filename: TASKS.score,
      name: 'run',
      minThreads: threads,
      maxThreads: threads,
      maxQueue: threads,
      concurrentTasksPerWorker: 1,
      idleTimeout: IDLE_MS,
      // Measured equal to the Atomics mode (64 µs a round trip), and a model's own timers go on.
      atomics: 'disabled',
      recordTiming: false,
      closeTimeout: CLOSE_MS_MAX,
      ...(process.allowedNodeEnvironmentFlags.has(NO_REQUIRE) ? { execArgv: [NO_REQUIRE] } : {}),
      resourceLimits: { maxOldGenerationSizeMb: heapMiBMax },
      loadBalancer: (task, workers) => {
        const wanted = task[queueOptionsSymbol] as Targeted | null
        const free = workers.filter((worker) => worker.currentUsage === 0)
        return free.find((worker) => worker.id === wanted?.thread) ?? free[0] ?? null
      },
    })
    this.#piscina = piscina
    // A thread that ends while it has no task is reported here; unheard, it would end the lane.
    piscina.on('error', () => this.#reconcile())
    piscina.on('workerCreate', (worker: { readonly id: number }) => {
      this.#seats.push({ thread: worker.id, busy: false })
      queueMicrotask(() => this.wake())
    })
    piscina.on('workerDestroy', () => queueMicrotask(() => this.#reconcile()))
  }

  /** There may be work: every free seat asks for some. */
  wake(): void {
    if (this.#closed) return
    for (const seat of [...this.#seats]) this.#feed(seat)
  }

  /** JavaScript under way is waited for a little, native work until it is over: its thread could not end before. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#respawn)
    const piscina = this.#piscina
    if (piscina === undefined) return
    const { native, script } = this.#underWay
    await Promise.allSettled([within(SETTLE_MS, Promise.allSettled(script)), ...native])
    await within(CLOSE_MS_MAX, piscina.destroy())
    this.#seats = []
  }

  #feed(seat: MutableSeat): void {
    if (seat.busy || this.#closed) return
    for (const source of this.#sources) {
      const work = source.take(seat)
      if (work === null) continue
      this.#run(seat, work)
      return
    }
  }

  #run(seat: MutableSeat, work: Work): void {
    seat.busy = true
    const watchdog = new Watchdog(work.killAt, work.isNative ? () => work.died(GIVEN_UP, true) : null)
    this.#parts.sweep.watch(watchdog)
    const target: Targeted = { thread: seat.thread }
    const settle = (): void => {
      this.#parts.sweep.unwatch(watchdog)
      seat.busy = false
    }
    const running = this.#piscina!.run(
      { ...work.message, [queueOptionsSymbol]: target },
      { filename: TASKS[work.task], transferList: work.transfer as ArrayBuffer[], signal: watchdog },
    ).then(
      (result) => {
        settle()
        if (watchdog.hasGivenUp) work.returned?.()
        else work.done(result, seat)
        this.#feed(seat)
      },
      (error: unknown) => {
        settle()
        this.#reconcile()
        if (watchdog.hasGivenUp) work.returned?.()
        else work.died(watchdog.aborted ? STOPPED : causeOf(error), false)
        this.wake()
      },
    )
    const underWay = this.#underWay[work.isNative ? 'native' : 'script']
    underWay.add(running)
    void running.finally(() => underWay.delete(running))
  }

  /** Drops the seats of threads that are gone. Piscina replaces them, and 'workerCreate' adds the new. */
  #reconcile(): void {
    if (this.#closed || this.#piscina === undefined) return
    const alive = new Set(this.#piscina.threads.map((thread) => thread.threadId))
    const lost = this.#seats.filter((seat) => !alive.has(seat.thread))
    if (lost.length > 0) {
      this.deaths += lost.length
      this.#seats = this.#seats.filter((seat) => alive.has(seat.thread))
      for (const seat of lost) this.onLost?.(seat)
    }
    if (alive.size < this.threads) this.#askForThreads()
  }

  /**
   * When a thread dies while starting, Piscina stops replacing until the next task. With no seat left
   * there would never be one, so an empty task asks for a thread, at most once a second.
   */
  #askForThreads(): void {
    this.#respawn ??= setTimeout(() => {
      this.#respawn = undefined
      const piscina = this.#piscina
      if (this.#closed || piscina === undefined || piscina.threads.length >= this.threads) return
      const retry = (): void => this.#reconcile()
      piscina.run({ nothing: true }, { filename: TASKS.load, name: 'nothing' }).then(retry, retry)
    }, RESPAWN_MS).unref()
  }
}

const STOPPED = 'it did not end in time and was stopped'
const GIVEN_UP = 'it did not end in time; it cannot be stopped, so its thread waits for it'

/** True to its word or not, it is waited for no longer. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}

/** Ends a hanging thread. Piscina takes an emitter as signal; an AbortController costs 10 µs more a task. */
class Watchdog implements Watched {
  slot = -1
  aborted = false
  hasGivenUp = false
  readonly dueAt: number
  readonly #giveUp: (() => void) | null
  #kill: (() => void) | undefined

  /** `giveUp`: to be called instead, where a thread cannot be ended. */
  constructor(dueAt: number, giveUp: (() => void) | null) {
    this.dueAt = dueAt
    this.#giveUp = giveUp
  }

  expire(): void {
    this.hasGivenUp = this.#giveUp !== null
    this.#giveUp?.()
    if (this.hasGivenUp) return
    this.aborted = true
    this.#kill?.()
  }

  once(_event: 'abort', kill: () => void): void {
    this.#kill = kill
  }

  off(): void {
    this.#kill = undefined
  }

  /** What Piscina calls at run time; its types ask for `off`. */
  removeListener(): void {
    this.off()
  }
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
