/**
 * The buckets of all callers under all rate limits, in memory that every lane shares: one 64-bit word for each, 28 bits
 * of the caller's hash and 36 bits of the instant at which its debt is paid. A word is changed by one compare-exchange,
 * so lanes neither wait for each other nor can leave anything half done, whenever one of them dies.
 *
 * Bounded: each limit has BUCKETS_PER_LIMIT_MAX places (fewer with many limits), in sets of eight. Where a set is
 * full, the caller with the least debt gives way: it starts with a full bucket when it comes again, which gives it what
 * it had used and not yet paid, at most one burst. A flood of new callers can thus only ever gain others something,
 * never take anything from them.
 *
 * Instants wrap: a caller that comes again 2^32 requests' time later (at 1,000 a second: 50 days) can find debt it
 * does not have, with a chance of burst / 2^32. Two callers share a bucket with a chance of 8 / 2^28.
 */
import type { RateLimit } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import { debtAfter, UNITS_PER_REQUEST, unitsAt } from './bucket.ts'

export const BUCKETS_PER_LIMIT_MAX = 131_072
export const BUCKETS_PER_LIMIT_MIN = 1024
/** Over all limits, as long as that leaves each its minimum: 8 MiB. */
export const BUCKETS_MAX = 1_048_576
export const WAYS = 8
/** A lane may have read its clock so much before another that wrote first; threads are held up. */
export const LATE_MS_MAX = 2000

const TIMES = 2 ** 36
const HALF = 2 ** 32

/** Where the upper half of a 64-bit word is. */
const UPPER = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0
const LOWER = 1 - UPPER

/** To take 64-bit words apart and put them together: arithmetic with bigints makes an object with each step. */
const WORD = new BigUint64Array(1)
const HALVES = new Uint32Array(WORD.buffer)

export interface Taken {
  readonly isAdmitted: boolean
  /** After it was let in, or as it was when it was not; in units. */
  readonly debt: number
  /** Another caller, with debt, had to give way. */
  readonly isReplaced: boolean
}

/** Of each limit; a power of two. */
export function bucketsPerLimit(limits: number): number {
  const fair = BUCKETS_MAX / Math.max(1, limits)
  const power = 2 ** Math.floor(Math.log2(Math.max(1, fair)))
  return Math.min(BUCKETS_PER_LIMIT_MAX, Math.max(BUCKETS_PER_LIMIT_MIN, power))
}

/** What is not touched takes no memory. */
export function bucketMemory(limits: number): SharedArrayBuffer {
  return new SharedArrayBuffer(limits * bucketsPerLimit(limits) * BigUint64Array.BYTES_PER_ELEMENT)
}

export class BucketTable {
  readonly #words: BigUint64Array
  /** The same memory, to search in: a 64-bit word read in JavaScript is an object of its own. */
  readonly #halves: Int32Array
  readonly #perLimit: number

  constructor(memory: SharedArrayBuffer, limits: number) {
    this.#words = new BigUint64Array(memory)
    this.#halves = new Int32Array(memory)
    this.#perLimit = bucketsPerLimit(limits)
    assert(this.#words.length === limits * this.#perLimit, 'the memory was made for these limits')
  }

  /** Takes one request from the bucket of the caller with this hash. `now`: in the limit's units (unitsAt). */
  take(limit: RateLimit, hash: bigint, now: number): Taken {
    WORD[0] = hash
    const tag = tagIn(HALVES)
    const first = this.#setOf(limit, HALVES[LOWER]!)
    // Lock-free: what makes one lane try again is that another got ahead.
    for (;;) {
      const own = this.#find(first, tag)
      const at = own === -1 ? this.#placeFor(tag, first, now, limit) : own
      const word = Atomics.load(this.#words, at)
      WORD[0] = word
      const isOwn = HALVES[UPPER]! >>> 4 === tag
      const found = debtOf(timeIn(HALVES), now, limit)
      const debt = isOwn ? found : 0
      const after = debtAfter(debt, limit)
      if (after === -1) return { isAdmitted: false, debt, isReplaced: false }
      if (this.#swap(at, word, wordOf(tag, now + after))) {
        return { isAdmitted: true, debt: after, isReplaced: !isOwn && word !== 0n && found > 0 }
      }
    }
  }

  /** What `take` took, because the request was not let in after all. */
  giveBack(limit: RateLimit, hash: bigint): void {
    WORD[0] = hash
    const tag = tagIn(HALVES)
    const first = this.#setOf(limit, HALVES[LOWER]!)
    for (;;) {
      const at = this.#find(first, tag)
      if (at === -1) return
      const word = Atomics.load(this.#words, at)
      WORD[0] = word
      if (HALVES[UPPER]! >>> 4 !== tag) continue
      if (this.#swap(at, word, wordOf(tag, timeIn(HALVES) + TIMES - UNITS_PER_REQUEST))) return
    }
  }

  #setOf({ index }: RateLimit, lower: number): number {
    const sets = this.#perLimit / WAYS
    return index * this.#perLimit + (lower % sets) * WAYS
  }

  #swap(at: number, from: bigint, to: bigint): boolean {
    return Atomics.compareExchange(this.#words, at, from, to) === from
  }

  #find(first: number, tag: number): number {
    for (let at = first; at < first + WAYS; at += 1) {
      if (Atomics.load(this.#halves, 2 * at + UPPER) >>> 4 === tag) return at
    }
    return -1
  }

  /**
   * An empty place, or the one whose caller has the least debt; its own, where another lane has just made one: with two
   * of them a caller would have two buckets.
   */
  #placeFor(tag: number, first: number, now: number, limit: RateLimit): number {
    let weakest = first
    let least = Number.POSITIVE_INFINITY
    for (let at = first; at < first + WAYS; at += 1) {
      WORD[0] = Atomics.load(this.#words, at)
      if (HALVES[UPPER]! >>> 4 === tag) return at
      const isEmpty = HALVES[UPPER] === 0
      const debt = isEmpty ? -1 : debtOf(timeIn(HALVES), now, limit)
      if (debt >= least) continue
      weakest = at
      least = debt
    }
    return weakest
  }
}

/** Never 0: a word of zeros is an empty place. */
function tagIn(halves: Uint32Array): number {
  return halves[UPPER]! >>> 4 || 1
}

function timeIn(halves: Uint32Array): number {
  return (halves[UPPER]! & 15) * HALF + halves[LOWER]!
}

function wordOf(tag: number, time: number): bigint {
  const wrapped = time % TIMES
  HALVES[UPPER] = (tag << 4) | Math.floor(wrapped / HALF)
  HALVES[LOWER] = wrapped % HALF
  return WORD[0]!
}

/** Nobody owes more than a burst to a lane whose clock is late: what looks like more was paid long ago. */
function debtOf(time: number, now: number, limit: RateLimit): number {
  const ahead = (time - (now % TIMES) + TIMES) % TIMES
  const most = limit.burst * UNITS_PER_REQUEST + unitsAt(LATE_MS_MAX, limit)
  return ahead > most ? 0 : ahead
}
