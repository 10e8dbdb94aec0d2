/**
 * How many bytes of bodies a lane may hold at once, over all its requests: those that arrive, those that wait for their
 * answer, and answers that are held whole. Each is within its own limit; together they must not fill the memory.
 *
 * Requests leave a part of it to answers: who was let in must not fail for want of room for what it came for.
 */
const REQUESTS_SHARE = 0.75

/** Of so many bytes in all, those that requests may take. */
export function requestsPart(bytesMax: number): number {
  return Math.floor(REQUESTS_SHARE * bytesMax)
}

export class MemoryBudget {
  readonly #bytesMax: number
  readonly #requestBytesMax: number
  #held = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#requestBytesMax = requestsPart(bytesMax)
  }

  get held(): number {
    return this.#held
  }

  /** False: there is no room for so many more, and none is taken. */
  take(bytes: number, of: 'request' | 'answer'): boolean {
    if (this.#held + bytes > (of === 'request' ? this.#requestBytesMax : this.#bytesMax)) return false
    this.#held += bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#held -= bytes
  }
}

/** What one request has taken; given back together, at its end. */
export class MemoryClaim {
  readonly #budget: MemoryBudget
  #bytes = 0

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  take(bytes: number, of: 'request' | 'answer'): boolean {
    if (!this.#budget.take(bytes, of)) return false
    this.#bytes += bytes
    return true
  }

  /** May be called more than once. */
  release(): void {
    this.#budget.giveBack(this.#bytes)
    this.#bytes = 0
  }
}
