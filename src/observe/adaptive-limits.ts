/**
 * The limits that are found from latency, one for each model with `limits.adaptive`, over all lanes: lanes add up their
 * attempts in shared memory, and whoever ends one after a window is over takes the step (gradient.ts) for all. The
 * limit in force is where all limits are, in global-places.ts.
 *
 *     steps   models × 1             windows that are over; taking one on is taking the step
 *     states  models × STATE         the machine's state, when its window may end, and what was counted before it
 *     rows    lanes × models × ROW   of each lane: attempts, their time, drops; most in flight, and in which window
 *
 * A window is WINDOW_MS long at least, and longer until it has SAMPLES_MIN attempts.
 */
import type { Model } from '../domain/routes.ts'
import type { GlobalPlaces } from './global-places.ts'
import { type Bounds, boundsOf, type Gradient, step, unmeasured } from './gradient.ts'

export const WINDOW_MS = 100
export const SAMPLES_MIN = 10

const STATE = 8
const KIND = 0
const LIMIT = 1
const BASELINE_OR_SUM = 2
const WINDOWS = 3
const ENDS_AT = 4
/** Sums over all lanes at the last step. */
const SEEN = 5
const ROW = 5
const SAMPLES = 0
const SUM_MS = 1
const DROPS = 2
const MOST = 3
const MOST_IN = 4
const KINDS = ['unmeasured', 'measured', 'probing'] as const

export interface AdaptiveShape {
  readonly models: readonly Model[]
  readonly lanes: number
}

/** For all models that adapt; null when none does. */
export function makeAdaptive({ models, lanes }: AdaptiveShape): SharedArrayBuffer | null {
  const adaptive = models.filter(({ limits }) => limits.adaptive)
  if (adaptive.length === 0) return null
  const words = adaptive.length * STATE + lanes * adaptive.length * ROW
  const memory = new SharedArrayBuffer(
    words * Float64Array.BYTES_PER_ELEMENT + adaptive.length * Int32Array.BYTES_PER_ELEMENT,
  )
  for (const [number, { limits }] of adaptive.entries()) {
    const states = new Float64Array(memory, number * STATE * Float64Array.BYTES_PER_ELEMENT, STATE)
    write(states, unmeasured(boundsOf(limits.concurrent)))
  }
  return memory
}

/** The limit that a model begins with. */
export function firstLimit({ limits }: Model): number {
  return limits.adaptive ? Math.floor(unmeasured(boundsOf(limits.concurrent)).limit) : limits.concurrent
}

export class AdaptiveLimits {
  readonly #places: GlobalPlaces
  readonly #lanes: number
  /** By the model's index. */
  readonly #known = new Map<number, Adaptive>()
  readonly #rows: Float64Array
  readonly #models: number
  readonly #lane: number

  constructor(memory: SharedArrayBuffer, shape: AdaptiveShape, places: GlobalPlaces, lane: number) {
    const adaptive = shape.models.filter(({ limits }) => limits.adaptive)
    const bytes = Float64Array.BYTES_PER_ELEMENT
    this.#places = places
    this.#lanes = shape.lanes
    this.#lane = lane
    this.#models = adaptive.length
    const rowsAt = adaptive.length * STATE * bytes
    this.#rows = new Float64Array(memory, rowsAt, shape.lanes * adaptive.length * ROW)
    const steps = new Int32Array(memory, rowsAt + this.#rows.byteLength, adaptive.length)
    for (const [number, { index, limits }] of adaptive.entries()) {
      const state = new Float64Array(memory, number * STATE * bytes, STATE)
      this.#known.set(index, { number, index, bounds: boundsOf(limits.concurrent), state, steps })
    }
  }

  /** An attempt of a model that adapts has ended: how long it took in ms, or that it was refused or ran out of time. */
  attempt(model: Model, evidence: number | 'drop', now: number): void {
    const adaptive = this.#known.get(model.index)!
    const { number, index, state, steps } = adaptive
    const rows = this.#rows
    const row = (this.#lane * this.#models + number) * ROW
    const window = Atomics.load(steps, number)
    const running = this.#places.running(index)
    if (evidence === 'drop') rows[row + DROPS]! += 1
    else {
      rows[row + SAMPLES]! += 1
      rows[row + SUM_MS]! += evidence
    }
    if (rows[row + MOST_IN] !== window || rows[row + MOST]! < running) rows[row + MOST] = running
    rows[row + MOST_IN] = window
    if (now < state[ENDS_AT]!) return
    this.#end(adaptive, window, now)
  }

  /** What an attempt takes with little under way; 0 while it is not known. */
  baselineMs(model: Model): number {
    const { state } = this.#known.get(model.index)!
    const gradient = read(state)
    return gradient.kind === 'measured' ? gradient.baselineMs : 0
  }

  #end({ number, index, bounds, state, steps }: Adaptive, window: number, now: number): void {
    const samples = this.#sum(number, SAMPLES) - state[SEEN]!
    const drops = this.#sum(number, DROPS) - state[SEEN + 2]!
    if (samples + drops < SAMPLES_MIN) return
    // One lane takes the step. One that dies in it leaves a step undone, and the next window goes on from there.
    if (Atomics.compareExchange(steps, number, window, window + 1) !== window) return
    state[ENDS_AT] = now + WINDOW_MS
    const inFlight = this.#most(number, window)
    const meanMs = (this.#sum(number, SUM_MS) - state[SEEN + 1]!) / samples
    state[SEEN] = this.#sum(number, SAMPLES)
    state[SEEN + 1] = this.#sum(number, SUM_MS)
    state[SEEN + 2] = this.#sum(number, DROPS)
    let gradient = read(state)
    if (samples > 0) gradient = step(gradient, { kind: 'window', meanMs, inFlight }, bounds)
    if (drops > 0) gradient = step(gradient, { kind: 'drop', inFlight }, bounds)
    write(state, gradient)
    this.#places.setLimit(index, Math.floor(gradient.limit))
  }

  #sum(number: number, word: number): number {
    let sum = 0
    for (let lane = 0; lane < this.#lanes; lane += 1) {
      sum += this.#rows[(lane * this.#models + number) * ROW + word]!
    }
    return sum
  }

  #most(number: number, window: number): number {
    let most = 0
    for (let lane = 0; lane < this.#lanes; lane += 1) {
      const row = (lane * this.#models + number) * ROW
      if (this.#rows[row + MOST_IN] === window) most = Math.max(most, this.#rows[row + MOST]!)
    }
    return most
  }
}

interface Adaptive {
  /** Among those that adapt. */
  readonly number: number
  readonly index: number
  readonly bounds: Bounds
  readonly state: Float64Array
  readonly steps: Int32Array
}

function read(words: Float64Array): Gradient {
  const limit = words[LIMIT]!
  const windows = words[WINDOWS]!
  const kind = KINDS[words[KIND]!]!
  switch (kind) {
    case 'unmeasured':
      return { kind, limit }
    case 'measured':
      return { kind, limit, baselineMs: words[BASELINE_OR_SUM]!, windows }
    case 'probing':
      return { kind, limit, sumMs: words[BASELINE_OR_SUM]!, windows }
  }
}

function write(words: Float64Array, gradient: Gradient): void {
  words[KIND] = KINDS.indexOf(gradient.kind)
  words[LIMIT] = gradient.limit
  if (gradient.kind === 'unmeasured') return
  words[BASELINE_OR_SUM] = gradient.kind === 'measured' ? gradient.baselineMs : gradient.sumMs
  words[WINDOWS] = gradient.windows
}
