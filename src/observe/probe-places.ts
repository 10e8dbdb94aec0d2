/**
 * Who may find out whether a version is well again: as many places as the configuration names probes, one word each,
 * over all lanes. A place is free, taken, or its probe has ended well or badly. Taking one is one exchange, so however
 * many ask at once, no more probes go out than there are places; and a place that is not given back (the lane died,
 * the probe hangs) is free again when its lease is over.
 *
 * A word holds whose time it belongs to (epoch), what it is, and since when. What is left of an earlier half-open time
 * counts as free: all places are emptied before such a time begins, so no word is ever older than the last one.
 */
import type { SharedWords } from '../kernel/atomic-words.ts'

const FREE = 0
const TAKEN = 1
const WELL = 2
const BAD = 3

const TIME_BITS = 24
const TIME_MASK = (1 << TIME_BITS) - 1
const STATUS_SHIFT = TIME_BITS
const EPOCH_SHIFT = 26
const EPOCH_MASK = 0x3f
/** Leases are timed in steps of their length divided by this, at least 1 ms. */
const STEPS = 4096

/** Of the call under way; as many as a configuration can name. */
const seen = new Int32Array(1000)

/** Leave for one probe: its place, from 1, and what its word says. */
export interface Claim {
  readonly probe: number
  readonly claim: number
}

export interface ProbePlacesParts {
  readonly words: SharedWords
  readonly at: number
  readonly probes: number
  readonly leaseMs: number
}

export class ProbePlaces {
  readonly #words: SharedWords
  readonly #at: number
  readonly #probes: number
  readonly #stepMs: number
  readonly #leaseSteps: number

  constructor({ words, at, probes, leaseMs }: ProbePlacesParts) {
    this.#words = words
    this.#at = at
    this.#probes = probes
    this.#stepMs = Math.max(1, Math.ceil(leaseMs / STEPS))
    // Rounded up, and one more where steps are coarse: a lease never ends early.
    this.#leaseSteps = Math.ceil(leaseMs / this.#stepMs) + (this.#stepMs === 1 ? 0 : 1)
  }

  /** Leaves nothing of the time before `epoch`. A place that belongs to it already is left alone. */
  empty(epoch: number): void {
    for (let at = this.#at; at < this.#at + this.#probes; at += 1) {
      const word = this.#words.load(at)
      if (word !== FREE && !isOf(word, epoch)) this.#words.swap(at, word, FREE)
    }
  }

  /** Frees the places whose lease is over. */
  expire(epoch: number, now: number): void {
    for (let at = this.#at; at < this.#at + this.#probes; at += 1) {
      const word = this.#words.load(at)
      if (isOf(word, epoch) && statusOf(word) === TAKEN && this.#isOver(word, now)) {
        this.#words.swap(at, word, FREE)
      }
    }
  }

  /** Null: none was free at some moment of this call. */
  take(epoch: number, now: number): Claim | null {
    const claim = wordOf(epoch, TAKEN, this.#stepAt(now))
    for (;;) {
      for (let place = 0; place < this.#probes; place += 1) {
        const word = this.#words.load(this.#at + place)
        seen[place] = word
        const isFree = !isOf(word, epoch) || statusOf(word) === FREE
        if (isFree && this.#words.swap(this.#at + place, word, claim)) return { probe: place + 1, claim }
      }
      // Read one after the other they may have been taken in turn, and never all at once.
      if (this.#isAsSeen()) return null
    }
  }

  #isAsSeen(): boolean {
    for (let place = 0; place < this.#probes; place += 1) {
      if (this.#words.load(this.#at + place) !== seen[place]) return false
    }
    return true
  }

  /** The probe says nothing. False: the lease was over and the place is not this probe's any more. */
  giveBack({ probe, claim }: Claim): boolean {
    return this.#words.swap(this.#at + probe - 1, claim, FREE)
  }

  /** What the probe says of the version; false as above. The place stays occupied. */
  finish({ probe, claim }: Claim, isWell: boolean): boolean {
    const word = (claim & ~(3 << STATUS_SHIFT)) | ((isWell ? WELL : BAD) << STATUS_SHIFT)
    return this.#words.swap(this.#at + probe - 1, claim, word)
  }

  areAllWell(epoch: number): boolean {
    for (let at = this.#at; at < this.#at + this.#probes; at += 1) {
      const word = this.#words.load(at)
      if (!isOf(word, epoch) || statusOf(word) !== WELL) return false
    }
    return true
  }

  isAnyBad(epoch: number): boolean {
    for (let at = this.#at; at < this.#at + this.#probes; at += 1) {
      const word = this.#words.load(at)
      if (isOf(word, epoch) && statusOf(word) === BAD) return true
    }
    return false
  }

  /** A probe could go out now. */
  hasFree(epoch: number, now: number): boolean {
    for (let at = this.#at; at < this.#at + this.#probes; at += 1) {
      const word = this.#words.load(at)
      if (!isOf(word, epoch) || statusOf(word) === FREE) return true
      if (statusOf(word) === TAKEN && this.#isOver(word, now)) return true
    }
    return false
  }

  #stepAt(now: number): number {
    return Math.floor(now / this.#stepMs) & TIME_MASK
  }

  #isOver(word: number, now: number): boolean {
    const age = (this.#stepAt(now) - (word & TIME_MASK)) & TIME_MASK
    // The upper half are those that another lane, a little ahead, has just taken.
    return age >= this.#leaseSteps && age <= TIME_MASK >>> 1
  }
}

function wordOf(epoch: number, status: number, step: number): number {
  return ((epoch & EPOCH_MASK) << EPOCH_SHIFT) | (status << STATUS_SHIFT) | step
}

function isOf(word: number, epoch: number): boolean {
  return word >>> EPOCH_SHIFT === (epoch & EPOCH_MASK)
}

function statusOf(word: number): number {
  return (word >>> STATUS_SHIFT) & 3
}
