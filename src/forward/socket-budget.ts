/**
 * How many sockets to endpoints a lane may have open, over all pools: the process has only so many descriptors, and
 * its log, and clients that are to be told no, need theirs. Who finds none left takes an idle one of another
 * endpoint; where none is idle it waits like for any connection.
 */
export interface SocketUser {
  /** Ends the connection that has been idle longest; false when none is. */
  retireIdle(): boolean
  /** A socket may be opened again. */
  vacated(now: number): void
}

export class SocketBudget {
  readonly #socketsMax: number
  readonly #users = new Set<SocketUser>()
  #open = 0
  /** Somebody was told no since the last one was given back. */
  #isWanted = false

  constructor(socketsMax: number) {
    this.#socketsMax = socketsMax
  }

  get open(): number {
    return this.#open
  }

  join(user: SocketUser): void {
    this.#users.add(user)
  }

  part(user: SocketUser): void {
    this.#users.delete(user)
  }

  /** True: one more may be opened, and is counted. */
  take(): boolean {
    if (this.#open >= this.#socketsMax && !this.#retireOne()) {
      this.#isWanted = true
      return false
    }
    this.#open += 1
    return true
  }

  /** Who waits for one is told after this turn's work: sockets are given back in the middle of other things. */
  giveBack(now: number): void {
    this.#open -= 1
    if (!this.#isWanted) return
    this.#isWanted = false
    queueMicrotask(() => {
      for (const user of this.#users) user.vacated(now)
    })
  }

  #retireOne(): boolean {
    for (const user of this.#users) if (user.retireIdle()) return true
    return false
  }
}
