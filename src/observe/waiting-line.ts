/**
 * Who waits for a place of one model in this lane, first come first served. A linked list, so that leaving
 * from the middle (a time-out, a caller that left) costs as little as being served.
 */
export interface Waiter {
  /** The place that was waited for is here. Called inside another's way out. */
  proceed(): void
}

export interface Standing {
  readonly waiter: Waiter
  /** Monotonic ms. */
  readonly since: number
  /** A place that comes later is of no use to it. */
  readonly until: number
  previous: Standing | null
  next: Standing | null
}

export class WaitingLine {
  first: Standing | null = null
  #last: Standing | null = null
  length = 0

  push(waiter: Waiter, since: number, until: number): Standing {
    const standing: Standing = { waiter, since, until, previous: this.#last, next: null }
    if (this.#last === null) this.first = standing
    else this.#last.next = standing
    this.#last = standing
    this.length += 1
    return standing
  }

  remove(standing: Standing): void {
    if (standing.previous === null) this.first = standing.next
    else standing.previous.next = standing.next
    if (standing.next === null) this.#last = standing.previous
    else standing.next.previous = standing.previous
    this.length -= 1
  }
}
