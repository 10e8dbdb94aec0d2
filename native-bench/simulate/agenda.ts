/**
 * What happens when in simulated time. Events are a heap by time, those of one moment in the order in which they were
 * written down. Deadlines go into slots of ten milliseconds, as the gateway's sweep visits what waits: an appointment is
 * kept at the end of its slot, unless it was given up: then nothing of its owner is held any longer.
 */
import { SWEEP_TICK_MS } from '../../src/kernel/sweep.ts'

type Event = () => void

export interface Appointment {
  /** Null: given up. */
  event: Event | null
}

interface Entry {
  readonly at: number
  readonly order: number
  readonly event: Event
}

export class Agenda {
  now = 0
  readonly #heap: Entry[] = []
  readonly #slots = new Map<number, Appointment[]>()
  #order = 0
  #nextTick = 1

  at(at: number, event: Event): void {
    const heap = this.#heap
    const entry = { at, order: this.#order, event }
    this.#order += 1
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (isBefore(heap[parent]!, entry)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  /** Not before `at`, at a tick of the sweep. */
  atTick(at: number, event: Event): Appointment {
    const tick = Math.max(this.#nextTick, Math.ceil(at / SWEEP_TICK_MS))
    const appointment = { event }
    const slot = this.#slots.get(tick)
    if (slot === undefined) this.#slots.set(tick, [appointment])
    else slot.push(appointment)
    return appointment
  }

  /** Until nothing is left to happen. */
  run(): void {
    while (this.#heap.length > 0 || this.#slots.size > 0) {
      const next = this.#heap[0]
      const tickAt = this.#nextTick * SWEEP_TICK_MS
      if (next !== undefined && next.at < tickAt) {
        this.now = next.at
        this.#takeFirst().event()
      } else this.#tick(tickAt)
    }
  }

  #tick(at: number): void {
    this.now = at
    const slot = this.#slots.get(this.#nextTick)
    this.#slots.delete(this.#nextTick)
    this.#nextTick += 1
    for (const { event } of slot ?? []) event?.()
  }

  #takeFirst(): Entry {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (isBefore(last, heap[child]!)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}
