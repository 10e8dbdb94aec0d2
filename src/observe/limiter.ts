/**
 * How many requests of a model may be under way in this lane, and how many may wait for a place, first
 * come first served. Without a free place and room in the queue the answer is "full" at once: waiting
 * without bound only moves the failure to where nobody can explain it.
 *
 * Each lane has its share of the configured limits (floor, at least 1), so no lane asks another. Time is
 * not known here: whoever waits watches its own deadline and cancels.
 */
import type { Model } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import { laneShare } from '../kernel/lane-share.ts'
import type { VitalsSlab } from './vitals-slab.ts'

export interface Waiter {
  /** The place that was waited for is here. Called inside another's `leave`. */
  proceed(): void
}

export interface LimiterParts {
  /** Over how many lanes the limits are divided. */
  readonly lanes: number
  /** Where the load of each model is written for those who read it. */
  readonly slab?: VitalsSlab
}

export class Limiter {
  readonly #parts: LimiterParts
  /** By the model's index; made when the model is first asked for. */
  readonly #queues: Queue[] = []
  readonly #waiting = new Map<Waiter, Entry>()

  constructor(parts: LimiterParts) {
    this.#parts = parts
  }

  /** `go`: the place is taken. `queued`: `proceed` will be called unless cancelled. `full`: neither. */
  enter(model: Model, waiter: Waiter): 'go' | 'queued' | 'full' {
    const queue = this.#queueOf(model)
    if (queue.take()) return 'go'
    if (queue.isFull) return 'full'
    assert(!this.#waiting.has(waiter), 'a waiter waits for one place at a time')
    this.#waiting.set(waiter, queue.push(waiter))
    return 'queued'
  }

  /** Gives a place back; the first in the queue has it before this returns. */
  leave(model: Model): void {
    this.#queueOf(model).giveBack((waiter) => this.#waiting.delete(waiter))
  }

  /** Stops waiting. False when it was not waiting: never queued, cancelled before, or already called. */
  cancel(waiter: Waiter): boolean {
    const entry = this.#waiting.get(waiter)
    if (entry === undefined) return false
    this.#waiting.delete(waiter)
    entry.queue.remove(entry)
    return true
  }

  /** Requests under way and waiting. */
  loadOf(model: Model): { readonly running: number; readonly queued: number } {
    const { running, queued } = this.#queueOf(model)
    return { running, queued }
  }

  #queueOf(model: Model): Queue {
    const known = this.#queues[model.index]
    if (known !== undefined) return known
    const queue = new Queue(model, this.#parts.lanes, this.#parts.slab)
    this.#queues[model.index] = queue
    return queue
  }
}

interface Entry {
  readonly queue: Queue
  readonly waiter: Waiter
  previous: Entry | null
  next: Entry | null
}

/** A linked list, so that leaving from the middle (a time-out) costs as little as being served. */
class Queue {
  readonly #runningMax: number
  readonly #queuedMax: number
  readonly #modelIndex: number
  readonly #slab: VitalsSlab | undefined
  running = 0
  queued = 0
  #first: Entry | null = null
  #last: Entry | null = null
  #handingOn = false

  constructor({ limits, index }: Model, lanes: number, slab: VitalsSlab | undefined) {
    this.#runningMax = laneShare(limits.concurrent, lanes)
    this.#queuedMax = limits.queue === 0 ? 0 : laneShare(limits.queue, lanes)
    this.#modelIndex = index
    this.#slab = slab
  }

  get isFull(): boolean {
    return this.queued >= this.#queuedMax
  }

  take(): boolean {
    if (this.running >= this.#runningMax) return false
    this.#count(1, 0)
    return true
  }

  push(waiter: Waiter): Entry {
    const entry: Entry = { queue: this, waiter, previous: this.#last, next: null }
    if (this.#last === null) this.#first = entry
    else this.#last.next = entry
    this.#last = entry
    this.#count(0, 1)
    return entry
  }

  remove(entry: Entry): void {
    if (entry.previous === null) this.#first = entry.next
    else entry.previous.next = entry.next
    if (entry.next === null) this.#last = entry.previous
    else entry.next.previous = entry.previous
    this.#count(0, -1)
  }

  /** A loop, not a recursion: each waiter may give its place back before `proceed` returns. */
  giveBack(forget: (waiter: Waiter) => void): void {
    assert(this.running > 0, 'a place is given back once')
    this.#count(-1, 0)
    if (this.#handingOn) return
    this.#handingOn = true
    try {
      for (let entry = this.#first; entry !== null && this.take(); entry = this.#first) {
        this.remove(entry)
        forget(entry.waiter)
        entry.waiter.proceed()
      }
    } finally {
      this.#handingOn = false
    }
  }

  #count(running: number, queued: number): void {
    this.running += running
    this.queued += queued
    this.#slab?.load(this.#modelIndex, this.running, this.queued)
  }
}
