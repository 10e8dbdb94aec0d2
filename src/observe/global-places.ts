/**
 * The places of every model over all lanes, in shared memory: how many there are, how many are held, how many wait.
 * No lane asks another for anything or waits for one: a place is taken by one compare-and-exchange.
 *
 *     looks    lanes × 1            when each lane last looked for places, monotonic ms
 *     heads    lanes × models       since when the first in a lane's line waits; 0: nobody does
 *     totals   models × TOTALS      limit, running, queued
 *     rows     lanes × models × 2   what each lane holds of `running` and `queued`, so that it can be given back for it
 *
 * A freed place is anybody's. What keeps one lane from starving another is age: no lane takes a place while the
 * first in another's line has waited PATIENCE_MS longer than whom it would serve. A lane that has not looked for
 * ABSENT_MS (it hangs, it is gone) is not held one for.
 *
 * Taking one and giving it back: 30 to 43 ns of CPU (Node 20): two calls of Atomics, which are not inlined. Readings are
 * plain: a word of 32 bits is whole, and whoever acts on an old one is told by the exchange, or looks again within 10 ms.
 */
import { assert } from '../kernel/assert.ts'

/** Lanes serve their own lines first as long as others' are not older by more than this: handing over costs a look. */
export const PATIENCE_MS = 10
/** Lanes with somebody in line look every 10 ms. */
export const ABSENT_MS = 100

const TOTALS = 3
const LIMIT = 0
const RUNNING = 1
const QUEUED = 2
const ROW = 2

export interface PlacesShape {
  readonly models: number
  readonly lanes: number
}

/** `limits`: by the model's index. */
export function makePlaces(limits: readonly number[], lanes: number): SharedArrayBuffer {
  const shape = { models: limits.length, lanes }
  const floats = lanes + lanes * shape.models
  const words = shape.models * TOTALS + lanes * shape.models * ROW
  const memory = new SharedArrayBuffer(
    floats * Float64Array.BYTES_PER_ELEMENT + words * Int32Array.BYTES_PER_ELEMENT,
  )
  const places = new GlobalPlaces(memory, shape, 0)
  for (const [index, limit] of limits.entries()) places.setLimit(index, limit)
  return memory
}

export class GlobalPlaces {
  readonly lanes: number
  readonly #models: number
  readonly #lane: number
  readonly #looks: Float64Array
  readonly #heads: Float64Array
  readonly #totals: Int32Array
  readonly #rows: Int32Array

  /** `lane`: whose places these are; those who only read say 0. */
  constructor(memory: SharedArrayBuffer, { models, lanes }: PlacesShape, lane: number) {
    this.lanes = lanes
    this.#models = models
    this.#lane = lane
    this.#looks = new Float64Array(memory, 0, lanes)
    this.#heads = new Float64Array(memory, this.#looks.byteLength, lanes * models)
    const floats = this.#looks.byteLength + this.#heads.byteLength
    this.#totals = new Int32Array(memory, floats, models * TOTALS)
    this.#rows = new Int32Array(memory, floats + this.#totals.byteLength, lanes * models * ROW)
  }

  limit(model: number): number {
    return this.#totals[model * TOTALS + LIMIT]!
  }

  setLimit(model: number, limit: number): void {
    Atomics.store(this.#totals, model * TOTALS + LIMIT, limit)
  }

  /** Over all lanes. */
  running(model: number): number {
    return this.#totals[model * TOTALS + RUNNING]!
  }

  /** Over all lanes. */
  queued(model: number): number {
    return this.#totals[model * TOTALS + QUEUED]!
  }

  /** Held by this lane. */
  own(model: number): number {
    return this.#rows[this.#rowOf(model)]!
  }

  take(model: number): boolean {
    const limit = this.limit(model)
    if (!this.#increase(model * TOTALS + RUNNING, limit)) return false
    this.#rows[this.#rowOf(model)]! += 1
    return true
  }

  giveBack(model: number): void {
    const row = this.#rowOf(model)
    assert(this.#rows[row]! > 0, 'a place is given back once')
    this.#rows[row]! -= 1
    Atomics.sub(this.#totals, model * TOTALS + RUNNING, 1)
  }

  /** Room in the line, which holds `max` over all lanes. */
  lineUp(model: number, max: number): boolean {
    if (!this.#increase(model * TOTALS + QUEUED, max)) return false
    this.#rows[this.#rowOf(model) + 1]! += 1
    return true
  }

  stepOut(model: number): void {
    this.#rows[this.#rowOf(model) + 1]! -= 1
    Atomics.sub(this.#totals, model * TOTALS + QUEUED, 1)
  }

  /** Since when the first in this lane's line waits; 0: nobody does. */
  setHead(model: number, since: number): void {
    this.#heads[this.#lane * this.#models + model] = since
  }

  /** This lane is there, and takes what is freed. */
  look(now: number): void {
    this.#looks[this.#lane] = now
  }

  /** Whether the next free place is for another lane rather than for somebody here who waits since `since`. */
  isOthers(model: number, since: number, now: number): boolean {
    if (this.lanes === 1 || this.queued(model) === this.#rows[this.#rowOf(model) + 1]) return false
    for (let lane = 0; lane < this.lanes; lane += 1) {
      if (lane === this.#lane) continue
      const head = this.#heads[lane * this.#models + model]!
      if (head !== 0 && since - head > PATIENCE_MS && now - this.#looks[lane]! <= ABSENT_MS) return true
    }
    return false
  }

  /** Gives back all that a lane held and stood in line for. Only once its thread has ended. */
  reclaim(lane: number): void {
    for (let model = 0; model < this.#models; model += 1) {
      const row = (lane * this.#models + model) * ROW
      Atomics.sub(this.#totals, model * TOTALS + RUNNING, this.#rows[row]!)
      Atomics.sub(this.#totals, model * TOTALS + QUEUED, this.#rows[row + 1]!)
      this.#rows[row] = 0
      this.#rows[row + 1] = 0
      this.#heads[lane * this.#models + model] = 0
    }
  }

  #rowOf(model: number): number {
    return (this.#lane * this.#models + model) * ROW
  }

  /** Begins with a plain reading: if it is old the exchange fails, and tells the count. */
  #increase(at: number, max: number): boolean {
    let count = this.#totals[at]!
    while (count < max) {
      const found = Atomics.compareExchange(this.#totals, at, count, count + 1)
      if (found === count) return true
      count = found
    }
    return false
  }
}
