/**
 * Sees to it that every thread holds every local version, and knows what each model says of itself.
 *
 * Promises: a broken or missing file fails only its own version, says so in exact words, and is tried
 * again by itself, so a mended file serves without a restart. A model whose loading ended or hung its
 * thread is tried again ever more seldom, after all others, one at a time, and never on the last thread
 * that serves another version: each try may cost a thread, and up to LOAD_MS_MAX of all it would have done.
 */

import type { Fault } from '../domain/fault.ts'
import type { LocalVersion } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import type { ModelSignature } from '../protocols/open-inference/tensors.ts'
import type { LoadResult, ModelSource } from '../workers/messages.ts'
import { notLoaded } from '../workers/not-loaded.ts'
import type { Seat, Work, WorkerPool, WorkSource } from '../workers/pool.ts'
import { runtimeOf } from '../workers/runtimes/index.ts'

export interface ModelFacts {
  readonly platform: string
  readonly signature: ModelSignature
  readonly batchable: boolean
  /** Of the latest load, on its thread. */
  readonly loadMs: number
}

export type VersionState =
  | { readonly ready: true; readonly metadata: ModelFacts }
  | { readonly ready: false; readonly fault: Fault }

/** How often a file that would not load is tried again. */
export const RELOAD_MS = 2000
/** The same for a model that took its thread with it; twice as long after each time it does. */
export const RELOAD_AFTER_DEATH_MS = 60_000
export const RELOAD_AFTER_DEATH_MS_MAX = 4 * 60 * 60_000
/** A load that takes longer is taken to hang. */
export const LOAD_MS_MAX = 60_000

interface Entry {
  readonly version: LocalVersion
  readonly source: ModelSource
  facts: ModelFacts | null
  fault: Fault | null
  /** Monotonic ms before which no thread tries again after a failure; 0 when the latest load was good. */
  retryAt: number
  /** Threads its loading has cost since it last loaded well. */
  deaths: number
  /** The thread it may be costing now. */
  riskedOn: Seat | null
}

export interface LoaderParts {
  readonly pool: WorkerPool
  readonly clock: Clock
  readonly loadMsMax?: number
  readonly reloadAfterDeathMs?: number
  /** Ready or not, and why; called only when that changes. */
  readonly onState: (version: LocalVersion, state: VersionState) => void
  /** Called whenever a load came to an end, good or bad. */
  readonly onSettled: () => void
}

export class Loader implements WorkSource {
  readonly #parts: LoaderParts
  readonly #entries: readonly Entry[]
  readonly #held = new WeakMap<Seat, Set<Entry>>()
  readonly #byIndex = new Map<number, Entry>()
  #retry: NodeJS.Timeout | undefined

  constructor(sources: readonly { version: LocalVersion; source: ModelSource }[], parts: LoaderParts) {
    this.#parts = parts
    this.#entries = sources.map(({ version, source }) => ({
      version,
      source,
      facts: null,
      fault: null,
      retryAt: 0,
      deaths: 0,
      riskedOn: null,
    }))
    for (const entry of this.#entries) this.#byIndex.set(entry.version.index, entry)
  }

  /** What is known of a version now; while it loads for the first time it is not ready. */
  state(version: LocalVersion): VersionState {
    const entry = this.#byIndex.get(version.index)!
    if (entry.fault !== null) return { ready: false, fault: entry.fault }
    if (entry.facts !== null) return { ready: true, metadata: entry.facts }
    return { ready: false, fault: notLoaded(entry.source, 'is still being loaded') }
  }

  /** The reason why nothing can be scored; null when it can, or may soon. */
  faultOf(version: LocalVersion): Fault | null {
    return this.#byIndex.get(version.index)!.fault
  }

  holds(seat: Seat, version: LocalVersion): boolean {
    return this.#held.get(seat)?.has(this.#byIndex.get(version.index)!) === true
  }

  /** Every version is either held by all threads or known not to load. */
  get settled(): boolean {
    const { pool } = this.#parts
    if (pool.seats.length < pool.threads) return this.#entries.every((entry) => entry.retryAt > 0)
    return this.#entries.every(
      (entry) => entry.retryAt > 0 || pool.seats.every((seat) => this.#holdsEntry(seat, entry)),
    )
  }

  take(seat: Seat): Work | null {
    const now = this.#parts.clock.now()
    const wanting = this.#entries.filter((one) => now >= one.retryAt && !this.#holdsEntry(seat, one))
    const entry = wanting.find((one) => one.deaths === 0) ?? wanting.find((one) => this.#mayRisk(seat, one))
    if (entry === undefined) return null
    if (entry.deaths > 0) entry.riskedOn = seat
    return {
      task: 'load',
      message: { source: entry.source },
      transfer: [],
      killAt: now + (this.#parts.loadMsMax ?? LOAD_MS_MAX),
      isNative: runtimeOf(entry.source.runtime).isNative,
      done: (result, on) => {
        entry.riskedOn = null
        this.#loaded(entry, result as LoadResult, on)
      },
      died: (cause, isGivenUp) => {
        entry.riskedOn = null
        // Several threads that first met it at the same time count as one.
        if (this.#parts.clock.now() >= entry.retryAt) entry.deaths += 1
        const words = isGivenUp ? 'was not loaded in time' : 'ended its scoring thread while loading'
        const reason = notLoaded(entry.source, words, cause)
        this.#failed(entry, reason, reloadDelayMs(entry.deaths, this.#parts.reloadAfterDeathMs))
      },
    }
  }

  close(): void {
    clearTimeout(this.#retry)
  }

  /** Whether a model that has cost threads before may be tried on this one. */
  #mayRisk(seat: Seat, entry: Entry): boolean {
    if (this.#entries.some((one) => one.riskedOn !== null)) return false
    const others = this.#entries.filter((one) => one !== entry && one.facts !== null && one.fault === null)
    return others.every((one) =>
      this.#parts.pool.seats.some((other) => other !== seat && this.#holdsEntry(other, one)),
    )
  }

  #holdsEntry(seat: Seat, entry: Entry): boolean {
    return this.#held.get(seat)?.has(entry) === true
  }

  #loaded(entry: Entry, result: LoadResult, seat: Seat): void {
    if (!result.loaded) {
      this.#failed(entry, result.fault, RELOAD_MS)
      return
    }
    const held = this.#held.get(seat) ?? new Set()
    this.#held.set(seat, held.add(entry))
    const { platform, signature, batchable, loadMs } = result
    const wasReady = entry.facts !== null && entry.fault === null
    entry.facts = { platform, signature, batchable, loadMs }
    entry.fault = null
    entry.deaths = 0
    const mended = entry.retryAt > 0
    entry.retryAt = 0
    if (!wasReady) this.#parts.onState(entry.version, { ready: true, metadata: entry.facts })
    this.#parts.onSettled()
    if (mended) this.#parts.pool.wake()
  }

  /** A thread that still holds the model goes on serving it; only without one is the version down. */
  #failed(entry: Entry, reason: Fault, retryMs: number): void {
    const now = this.#parts.clock.now()
    entry.retryAt = now + retryMs
    this.#retryIn(retryMs)
    const served = this.#parts.pool.seats.some((seat) => this.#holdsEntry(seat, entry))
    const changed = entry.fault?.message !== reason.message
    if (!served) entry.fault = reason
    if (!served && changed) this.#parts.onState(entry.version, { ready: false, fault: reason })
    this.#parts.onSettled()
  }

  #retryIn(delayMs: number): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      this.#parts.pool.wake()
      const now = this.#parts.clock.now()
      const next = Math.min(...this.#entries.filter((one) => one.retryAt > now).map((one) => one.retryAt))
      if (Number.isFinite(next)) this.#retryIn(next - now + 1)
    }, delayMs + 1).unref()
  }
}

/** How long a model is left alone that has cost so many threads; at least one. */
export function reloadDelayMs(deaths: number, firstMs = RELOAD_AFTER_DEATH_MS): number {
  return Math.min(firstMs * 2 ** Math.min(deaths - 1, 32), RELOAD_AFTER_DEATH_MS_MAX)
}
