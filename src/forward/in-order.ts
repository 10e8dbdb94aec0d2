/**
 * What one connection carries, in the order it was sent: answers come in this order and in no other, so
 * the first of the line is whom the next answer is for. Nothing here knows bytes or sockets.
 *
 * Who leaves from the middle leaves a place behind, whose answer is read and thrown away: otherwise the
 * answer would be handed to the next in line. Only what was written may be answered (`isAwaited`): bytes that
 * come before the request went out are nobody's.
 */
import { assert } from '../kernel/assert.ts'
import type { Carried } from './carried.ts'

interface Place {
  carried: Carried
  /** Of its request; an answer is read by it. */
  method: string
  isWritten: boolean
}

const NOTHING = (): void => {}

/** Takes an answer that nobody waits for any more. */
const NOBODY: Carried = {
  isRepeatable: true,
  connected: NOTHING,
  sent: NOTHING,
  interim: NOTHING,
  progressed: NOTHING,
  head: NOTHING,
  body: () => true,
  answered: NOTHING,
  failed: NOTHING,
}

export class InOrder {
  readonly #places: Place[] = []

  /** Whom the next answer is for. */
  get first(): Carried | undefined {
    return this.#places[0]?.carried
  }

  get method(): string {
    return this.#places[0]?.method ?? ''
  }

  get count(): number {
    return this.#places.length
  }

  /** Somebody is still there to be told. */
  get isWanted(): boolean {
    return this.#places.some(({ carried }) => carried !== NOBODY)
  }

  /** The first of the line has been written, so that bytes may be its answer. */
  get isAwaited(): boolean {
    return this.#places[0]?.isWritten === true
  }

  /** One that may not be sent twice is carried alone. */
  get isShareable(): boolean {
    return this.#places.every(({ carried }) => carried.isRepeatable)
  }

  add(carried: Carried): void {
    this.#places.push({ carried, method: '', isWritten: false })
  }

  /** True when it is the first of the line. They are dispatched in the order they were added. */
  dispatched(carried: Carried, method: string): boolean {
    let index = 0
    while (index < this.#places.length && this.#places[index]!.method !== '') index += 1
    assert(this.#places[index]?.carried === carried, 'requests are sent in the order of the line')
    this.#places[index]!.method = method
    return index === 0
  }

  /** Where a connection carries one at a time. */
  firstIsWritten(): void {
    this.#places[0]!.isWritten = true
  }

  /** All that were dispatched have gone out; gives those that had not before. */
  written(): Carried[] {
    const now: Carried[] = []
    for (const place of this.#places) {
      if (place.isWritten || place.method === '') continue
      place.isWritten = true
      now.push(place.carried)
    }
    return now
  }

  /** The first of the line has its answer. */
  shift(): Carried {
    return this.#places.shift()!.carried
  }

  has(carried: Carried): boolean {
    for (const place of this.#places) if (place.carried === carried) return true
    return false
  }

  /** Leaves nothing behind: only before anything was sent. */
  remove(carried: Carried): void {
    const index = this.#places.findIndex((place) => place.carried === carried)
    if (index !== -1) this.#places.splice(index, 1)
  }

  leave(carried: Carried): void {
    const place = this.#places.find((one) => one.carried === carried)
    if (place !== undefined) place.carried = NOBODY
  }

  all(): Carried[] {
    return this.#places.map(({ carried }) => carried)
  }

  takeAll(): Carried[] {
    return this.#places.splice(0).map(({ carried }) => carried)
  }
}
