/**
 * Which idempotency keys are spoken for, over all lanes: a table in shared memory, one 64-bit word for each key, changed by
 * compare-exchange. A key is claimed by one lane and under way there; then that lane keeps its answer, or lets go.
 *
 *     38 bits of the key's hash · 10 bits lane · 2 bits state · 14 bits instant (in steps of 16 s) until which it holds
 *
 * No two lanes ever hold the same key: whoever claimed looks around afterwards, and lets go when another holds it, too;
 * then both may be told that it is under way, which is what each caller would have been told anyway. A claim
 * that is under way is never pushed out. Bounded: CLAIMS_MAX keys; in a full set of eight the key that ends first
 * is forgotten, as if it had ended. What a lane held is let go when it is started anew, and at the latest after LEASE_MS.
 */
import { assert } from '../kernel/assert.ts'

export const CLAIMS_MAX = 131_072
/** Longer than any request is under way; ends the claims of a lane that died. */
export const LEASE_MS = 3_600_000
/** Threads that may hold claims at the same time, each by a number of its own. */
export const LANES_MAX = 1024
const WAYS = 8
const SETS = CLAIMS_MAX / WAYS
/** Lanes that fight for one key give up after so many tries: it is under way somewhere. */
const TRIES_MAX = 4

const UNDER_WAY = 1
const KEPT = 2
const STEP_MS = 16_000
const STEPS = 2 ** 14
const TAG_AT = 26n

/** Where the lower half of a 64-bit word is. */
const LOWER = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1

/** A claim of this lane. */
export interface Claim {
  readonly place: number
  readonly word: bigint
  /** Another key was forgotten to make room for it. */
  readonly hasReplaced: boolean
}

export type Claimed =
  | { readonly kind: 'mine'; readonly claim: Claim }
  | { readonly kind: 'under-way' }
  /** Its answer is kept by that lane; `claim` is that lane's. */
  | { readonly kind: 'kept'; readonly lane: number; readonly claim: Claim }
  /** All keys of its set are under way. */
  | { readonly kind: 'full' }

export function claimMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(CLAIMS_MAX * BigUint64Array.BYTES_PER_ELEMENT)
}

export class ClaimTable {
  readonly #words: BigUint64Array
  readonly #halves: Int32Array
  readonly #lane: number

  constructor(memory: SharedArrayBuffer, lane: number) {
    assert(lane < LANES_MAX, 'a lane’s number has 10 bits')
    this.#words = new BigUint64Array(memory)
    this.#halves = new Int32Array(memory)
    this.#lane = lane
  }

  /** `hash`: 64 bits of the key. `now`: monotonic ms, the same in all lanes. */
  claim(hash: bigint, now: number): Claimed {
    const tag = hash >> TAG_AT
    const first = (Number(hash & 0x3ff_ffffn) % SETS) * WAYS
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const held = this.#heldBy(first, tag, now, -1)
      if (held !== null) return held
      const place = this.#room(first, now)
      if (place === -1) return { kind: 'full' }
      const before = Atomics.load(this.#words, place)
      const hasReplaced = isHeld(before, now)
      if (hasReplaced && stateOf(before) === UNDER_WAY) continue
      const word = wordOf(tag, this.#lane, UNDER_WAY, now + LEASE_MS)
      if (!this.#swap(place, before, word)) continue
      if (this.#heldBy(first, tag, now, place) === null) {
        return { kind: 'mine', claim: { place, word, hasReplaced } }
      }
      this.#swap(place, word, 0n)
    }
    return { kind: 'under-way' }
  }

  /** Its answer is kept here until then; null: the claim was lost meanwhile. */
  keep(claim: Claim, until: number): Claim | null {
    const word = wordOf(claim.word >> TAG_AT, this.#lane, KEPT, until)
    return this.#swap(claim.place, claim.word, word) ? { ...claim, word } : null
  }

  /** The key is free again. */
  release({ place, word }: Claim): void {
    this.#swap(place, word, 0n)
  }

  /** Takes a key over whose answer is nowhere any more; null: somebody else did. */
  takeOver(claim: Claim, now: number): Claim | null {
    const word = wordOf(claim.word >> TAG_AT, this.#lane, UNDER_WAY, now + LEASE_MS)
    return this.#swap(claim.place, claim.word, word) ? { ...claim, word } : null
  }

  /** Lets go of all that a thread with this lane's number held; to be called before the first claim. */
  disown(): void {
    for (let place = 0; place < this.#words.length; place += 1) {
      // A look at the half that has state and lane: 131,072 words as bigints take 20 ms.
      const lower = Atomics.load(this.#halves, 2 * place + LOWER)
      if (lower === 0 || ((lower >>> 16) & 0x3ff) !== this.#lane) continue
      const word = Atomics.load(this.#words, place)
      if (word !== 0n && laneOf(word) === this.#lane) this.#swap(place, word, 0n)
    }
  }

  #swap(place: number, from: bigint, to: bigint): boolean {
    return Atomics.compareExchange(this.#words, place, from, to) === from
  }

  /** Who holds the key, at any place but one. */
  #heldBy(first: number, tag: bigint, now: number, but: number): Claimed | null {
    for (let place = first; place < first + WAYS; place += 1) {
      const word = Atomics.load(this.#words, place)
      if (place === but || word >> TAG_AT !== tag || !isHeld(word, now)) continue
      if (stateOf(word) === UNDER_WAY) return { kind: 'under-way' }
      return { kind: 'kept', lane: laneOf(word), claim: { place, word, hasReplaced: false } }
    }
    return null
  }

  /** A free place, or that of the kept answer that ends first; -1: all are under way. */
  #room(first: number, now: number): number {
    let found = -1
    let least = Number.POSITIVE_INFINITY
    for (let place = first; place < first + WAYS; place += 1) {
      const word = Atomics.load(this.#words, place)
      if (!isHeld(word, now)) return place
      const left = stepsLeft(word, now)
      if (stateOf(word) === UNDER_WAY || left >= least) continue
      found = place
      least = left
    }
    return found
  }
}

function wordOf(tag: bigint, lane: number, state: number, until: number): bigint {
  const step = Math.ceil(until / STEP_MS) % STEPS
  return (tag << TAG_AT) | BigInt((lane << 16) | (state << 14) | step)
}

function laneOf(word: bigint): number {
  return Number((word >> 16n) & 0x3ffn)
}

function stateOf(word: bigint): number {
  return Number((word >> 14n) & 3n)
}

/** Steps count round; nothing holds for longer than half of them (36 h). */
function stepsLeft(word: bigint, now: number): number {
  const left = (Number(word & 0x3fffn) - (Math.floor(now / STEP_MS) % STEPS) + STEPS) % STEPS
  return left >= STEPS / 2 ? 0 : left
}

function isHeld(word: bigint, now: number): boolean {
  return word !== 0n && stepsLeft(word, now) > 0
}
