/**
 * What the entrance knows of each lane's thread, in shared memory: how many connections it has and when its loop last
 * turned. Each seat writes its own words; the entrance is woken by changes.
 */
import { seatsOf } from '../kernel/lane-seats.ts'

/** Counts the changes; what is waited on. */
const CHANGES = 0
const FIRST_SEAT = 1
const SEAT_WORDS = 2
const OPEN = 0
const BEAT = 1

/** How often a lane says that its loop turns, in ms. */
export const BEAT_EVERY_MS = 50

/** Since Node 16; the types of this target leave it out. */
interface AsyncAtomics {
  waitAsync(
    words: Int32Array,
    at: number,
    value: number,
    withinMs: number,
  ): { readonly async: false } | { readonly async: true; readonly value: Promise<unknown> }
}

export class ConnectionCounts {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  static memoryFor(lanes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * (FIRST_SEAT + SEAT_WORDS * seatsOf(lanes)))
  }

  set(seat: number, open: number): void {
    Atomics.store(this.#words, at(seat, OPEN), open)
    Atomics.add(this.#words, CHANGES, 1)
    Atomics.notify(this.#words, CHANGES)
  }

  beat(seat: number, now: number): void {
    Atomics.store(this.#words, at(seat, BEAT), Math.floor(now) | 0)
  }

  openIn(seat: number): number {
    return Atomics.load(this.#words, at(seat, OPEN))
  }

  /** How long its loop has not turned, in ms. */
  stillFor(seat: number, now: number): number {
    return (Math.floor(now) - Atomics.load(this.#words, at(seat, BEAT))) | 0
  }

  /** So many changes were made. */
  get changes(): number {
    return Atomics.load(this.#words, CHANGES)
  }

  /** Calls back when there were more than `seen`, or `withinMs` later; always in a turn of its own. */
  whenChanged(seen: number, withinMs: number, changed: () => void): void {
    const waited = (Atomics as unknown as AsyncAtomics).waitAsync(this.#words, CHANGES, seen, withinMs)
    if (waited.async) void waited.value.then(changed)
    else setImmediate(changed)
  }
}

function at(seat: number, word: number): number {
  return FIRST_SEAT + seat * SEAT_WORDS + word
}
