/**
 * How many retries a model's requests have earned (Finagle's retry budget): each request brings a share of one, each
 * retry costs one, and what was brought is forgotten after BUDGET_MS. RESERVE_PER_SECOND are free, so that a model
 * with few requests can retry, too. When everything fails, retries add this share and no more, over all lanes.
 *
 * Counted in slices, not one by one: a slice is forgotten as a whole. Requests are counted by each seat in words of its
 * own, added up when a retry is wanted; retries in words of all, by exchange, so that no two lanes spend the same one.
 */
import { AtomicWords, type SharedWords } from '../kernel/atomic-words.ts'
import { seatsOf } from '../kernel/lane-seats.ts'

export const BUDGET_MS = 10_000
export const RESERVE_PER_SECOND = 10
const RESERVE = (RESERVE_PER_SECOND * BUDGET_MS) / 1000
const SLICES = 10
/** Five times a fifth is a little less than one. */
const ROUNDING = 1e-6
const SLICE_MS = BUDGET_MS / SLICES

/** Of a model: a word for the retries of each slice; its number's last bits above, their count below. */
const SPENT_WORDS = 16
const COUNT_BITS = 20
const COUNT_MAX = (1 << COUNT_BITS) - 1
/** Of a model and a seat: number and requests of each slice. */
const EARNED_WORDS = 32

/** For so many models, over so many lanes. */
export function retryMemory(models: number, lanes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * models * (SPENT_WORDS + seatsOf(lanes) * EARNED_WORDS))
}

export interface RetryBudgetParts {
  readonly memory: SharedArrayBuffer
  /** Whose place in it is this thread's. */
  readonly seat: number
  readonly lanes: number
}

/** One for each model; `shares`: retries for each request, 0 to 1. */
export function retryBudgets(shares: readonly number[], parts: RetryBudgetParts): readonly RetryBudget[] {
  const words = new AtomicWords(parts.memory)
  const seats = seatsOf(parts.lanes)
  const seatWords = shares.length * EARNED_WORDS
  return shares.map((share, model) => {
    const earned = shares.length * SPENT_WORDS + model * EARNED_WORDS
    return new RetryBudget(share, words, {
      spent: model * SPENT_WORDS,
      earned: Array.from({ length: seats }, (_, seat) => earned + seat * seatWords),
      own: earned + parts.seat * seatWords,
    })
  })
}

interface Place {
  readonly spent: number
  /** Of each seat. */
  readonly earned: readonly number[]
  readonly own: number
}

export class RetryBudget {
  readonly #share: number
  readonly #words: SharedWords
  readonly #place: Place

  constructor(share: number, words: SharedWords, place: Place) {
    this.#share = share
    this.#words = words
    this.#place = place
  }

  /** A request came. */
  deposit(now: number): void {
    const words = this.#words
    const slice = sliceAt(now)
    const at = this.#place.own + 2 * indexOf(slice)
    if (words.load(at) !== slice) {
      words.store(at + 1, 0)
      words.store(at, slice)
    }
    words.store(at + 1, words.load(at + 1) + 1)
  }

  /** True: a retry may be sent, and is counted. */
  withdraw(now: number): boolean {
    if (this.#share === 0) return false
    const slice = sliceAt(now)
    const at = this.#place.spent + indexOf(slice)
    for (;;) {
      const known = this.#words.load(at)
      const count = (isOf(known, slice) ? known & COUNT_MAX : 0) + 1
      if (count > COUNT_MAX || this.#left(slice) < 1 - ROUNDING) return false
      if (this.#words.swap(at, known, (slice << COUNT_BITS) | count)) return true
    }
  }

  #left(now: number): number {
    const words = this.#words
    let requests = 0
    let retries = 0
    for (let slice = now - SLICES + 1; slice <= now; slice += 1) {
      const index = indexOf(slice)
      const spent = words.load(this.#place.spent + index)
      if (isOf(spent, slice)) retries += spent & COUNT_MAX
      for (const seat of this.#place.earned) {
        if (words.load(seat + 2 * index) === slice) requests += words.load(seat + 2 * index + 1)
      }
    }
    return RESERVE + this.#share * requests - retries
  }
}

function sliceAt(now: number): number {
  return Math.floor(now / SLICE_MS) | 0
}

function indexOf(slice: number): number {
  return ((slice % SLICES) + SLICES) % SLICES
}

/** What is left of a slice a multiple of 4,096 s ago may be taken for one of now: then there are fewer retries. */
function isOf(word: number, slice: number): boolean {
  return word >>> COUNT_BITS === (slice << COUNT_BITS) >>> COUNT_BITS
}
