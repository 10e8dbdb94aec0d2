/**
 * Where the breakers of all versions lie in the memory that lanes share, in words of 32 bits:
 *
 *     hot       versions × [state, streak, trouble, places for probes …], each version from a cache line of its own
 *     accounts  versions × seats × 2 × ACCOUNT_WORDS: what is told of a state (since when, until when …)
 *     slices    seats × versions × [newest, enough, slice …]: what each seat counted, in its own cache lines
 *
 * Only the thread in a seat (kernel/lane-seats.ts) writes that seat's accounts and slices. Both sides compute the layout from the same Snapshot; untouched parts cost no memory.
 */
import type { Snapshot } from '../domain/routes.ts'
import { seatsOf } from '../kernel/lane-seats.ts'
import { WINDOW_BUCKETS } from './rolling-window.ts'

const CACHE_LINE = 16
export const STATE = 0
export const STREAK = 1
export const TROUBLE = 2
const HOT_HEAD = 3

/** Numbers of two words each: since (monotonic ms), until, changed at (Unix ms); and the level. */
export const ACCOUNT_WORDS = 8
export const SINCE = 0
export const UNTIL = 2
export const AT = 4
export const LEVEL = 6

/** Its number, whose time it was counted in (epoch), requests, failures, slow ones. */
export const SLICE_WORDS = 5
export const SEAT_HEAD = 2
const SEAT_WORDS = padded(SEAT_HEAD + WINDOW_BUCKETS * SLICE_WORDS)

/** Where the parts of one version's breaker begin. */
export interface BreakerPlace {
  readonly hot: number
  readonly probes: number
  readonly accounts: number
  /** Of seat 0; each further seat is `seatWords` behind. */
  readonly slices: number
  readonly seatWords: number
  readonly seats: number
}

export class BreakerMemory {
  readonly #hot: readonly number[]
  readonly #accounts: number
  readonly #slices: number
  readonly #seats: number
  readonly #seatWords: number
  readonly bytes: number

  constructor({ versions, models, server }: Snapshot) {
    const hot: number[] = []
    let end = 0
    for (const { model } of versions) {
      hot.push(end)
      end += padded(HOT_HEAD + models.get(model)!.breaker.probes)
    }
    this.#hot = hot
    this.#seats = seatsOf(server.lanes)
    this.#seatWords = versions.length * SEAT_WORDS
    this.#accounts = end
    this.#slices = end + padded(versions.length * this.#seats * 2 * ACCOUNT_WORDS)
    this.bytes = 4 * (this.#slices + this.#seats * this.#seatWords)
  }

  /** All breakers closed. */
  create(): SharedArrayBuffer {
    return new SharedArrayBuffer(this.bytes)
  }

  placeOf(versionIndex: number): BreakerPlace {
    const hot = this.#hot[versionIndex]!
    return {
      hot,
      probes: hot + HOT_HEAD,
      accounts: this.#accounts + versionIndex * this.#seats * 2 * ACCOUNT_WORDS,
      slices: this.#slices + versionIndex * SEAT_WORDS,
      seatWords: this.#seatWords,
      seats: this.#seats,
    }
  }
}

function padded(words: number): number {
  return Math.ceil(words / CACHE_LINE) * CACHE_LINE
}
