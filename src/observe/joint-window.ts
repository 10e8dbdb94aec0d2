/**
 * What a version's requests came to, over all lanes: slices of a tenth of the window, each seat its own, so that
 * lanes that count do not disturb each other, added up when there is trouble. Only the thread in a seat writes its
 * slices: that needs no exchange, and a count is never lost.
 *
 * `TROUBLE` is the number of the latest slice with a failure or a slow answer. While that is older than the window,
 * nothing can be crossed and nothing is added up: what a request costs in good times does not depend on the lanes.
 * It is raised after the count and read after one's own count, so of two lanes at once at least one sees both.
 *
 * Nor is anything added up for a request that ended well when this seat has found enough requests in this slice: one
 * more of them makes no share larger. (Adding up is 0.2 µs for each lane that has traffic.)
 */
import type { BreakerSettings } from '../domain/routes.ts'
import type { SharedWords } from '../kernel/atomic-words.ts'
import { type BreakerPlace, SEAT_HEAD, SLICE_WORDS, TROUBLE } from './breaker-memory.ts'
import { WINDOW_BUCKETS } from './rolling-window.ts'

const NUMBER = 0
const EPOCH = 1
const REQUESTS = 2
const FAILURES = 3
const SLOW = 4
/** Before the slices themselves: the newest one's number, and whether it was judged on enough requests. */
const NEWEST = 0
const ENOUGH = 1
const FIRST_SLICE = SEAT_HEAD

export interface WindowTally {
  requests: number
  failures: number
  slow: number
}

export class JointWindow {
  readonly #words: SharedWords
  readonly #place: BreakerPlace
  readonly #own: number
  readonly #sliceMs: number
  readonly #requestsMin: number
  readonly #tally: WindowTally = { requests: 0, failures: 0, slow: 0 }

  constructor(
    words: SharedWords,
    place: BreakerPlace,
    seat: number,
    { windowMs, minRequests }: BreakerSettings,
  ) {
    this.#words = words
    this.#place = place
    this.#own = place.slices + seat * place.seatWords
    this.#sliceMs = windowMs / WINDOW_BUCKETS
    this.#requestsMin = minRequests
  }

  /** Counts one request of the state `epoch`; true when a limit may be crossed now, whichever lane had the trouble. */
  count(epoch: number, now: number, failed: boolean, slow: boolean): boolean {
    const words = this.#words
    const number = this.#numberAt(now)
    const at = this.#ownSlice(number, epoch)
    words.store(at + REQUESTS, words.load(at + REQUESTS) + 1)
    if (failed) words.store(at + FAILURES, words.load(at + FAILURES) + 1)
    if (slow) words.store(at + SLOW, words.load(at + SLOW) + 1)
    const isTrouble = failed || slow
    if (isTrouble) this.#raiseTrouble(number)
    else if (!isWithin(words.load(this.#place.hot + TROUBLE), number)) return false
    return isTrouble || words.load(this.#own + ENOUGH) === 0
  }

  /** Over all seats, of the state `epoch`. Valid until the next call. */
  add(epoch: number, now: number): WindowTally {
    const tally = this.#tally
    tally.requests = 0
    tally.failures = 0
    tally.slow = 0
    const { slices, seats, seatWords } = this.#place
    const number = this.#numberAt(now)
    for (let seat = 0; seat < seats; seat += 1) {
      const at = slices + seat * seatWords
      if (isWithin(this.#words.load(at + NEWEST), number)) this.#addSeat(at + FIRST_SLICE, epoch, number)
    }
    if (tally.requests >= this.#requestsMin) this.#words.store(this.#own + ENOUGH, 1)
    return tally
  }

  #addSeat(first: number, epoch: number, number: number): void {
    const words = this.#words
    const tally = this.#tally
    for (let at = first; at < first + WINDOW_BUCKETS * SLICE_WORDS; at += SLICE_WORDS) {
      if (!isWithin(words.load(at + NUMBER), number) || words.load(at + EPOCH) !== epoch) continue
      // Against the order of counting: a failure is never read without its request.
      tally.slow += words.load(at + SLOW)
      tally.failures += words.load(at + FAILURES)
      tally.requests += words.load(at + REQUESTS)
    }
  }

  /** Where this seat counts now; emptied when it was of another time. */
  #ownSlice(number: number, epoch: number): number {
    const words = this.#words
    const at = this.#own + FIRST_SLICE + ((number >>> 0) % WINDOW_BUCKETS) * SLICE_WORDS
    if (words.load(at + NUMBER) === number && words.load(at + EPOCH) === epoch) return at
    words.store(at + REQUESTS, 0)
    words.store(at + FAILURES, 0)
    words.store(at + SLOW, 0)
    words.store(at + EPOCH, epoch)
    words.store(at + NUMBER, number)
    words.store(this.#own + NEWEST, number)
    words.store(this.#own + ENOUGH, 0)
    return at
  }

  #raiseTrouble(number: number): void {
    const at = this.#place.hot + TROUBLE
    for (let known = this.#words.load(at); ((number - known) | 0) > 0; known = this.#words.load(at)) {
      if (this.#words.swap(at, known, number)) return
    }
  }

  /** Modulo 2^32: the shortest slice (100 ms) begins anew after 13 years. */
  #numberAt(now: number): number {
    return Math.floor(now / this.#sliceMs) | 0
  }
}

/** Also a slice that another lane, a little ahead, has begun already. */
function isWithin(slice: number, number: number): boolean {
  const age = (number - slice) | 0
  return age < WINDOW_BUCKETS && age > -WINDOW_BUCKETS
}
