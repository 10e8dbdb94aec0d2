/**
 * How often a shadow may cost its lane a connection. Each that hangs, breaks off, refuses or answers without end
 * takes one along, and a new one costs the thread more than a copy does; so a shadow that does it all the time is
 * asked now and then, and the other copies are not sent. Nothing else suffers: it is no breaker, it speaks for
 * no version but as a shadow.
 */
import type { Clock } from '../kernel/clock.ts'

/** Lost in a row without consequence. */
export const LOSSES_BURST = 64
/**
 * Of a shadow that floods, four a second moved the p99 of 500 requests a second by 30 % (15 to 59); one moves it no more than two
 * models without a shadow differ (native-bench/shadows.ts).
 */
export const LOSSES_PER_SECOND = 1
/** A connection that was only opened, because the one before did not stay. */
export const OPENED_LOSS = 1 / 4

interface Account {
  left: number
  filledAt: number
}

export class ShadowLosses {
  readonly #clock: Clock
  /** By version index; only of those that lost any. */
  readonly #accounts = new Map<number, Account>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether the version may lose another one. */
  mayLose(version: number): boolean {
    const account = this.#accounts.get(version)
    return account === undefined || account.left >= 1 || this.#filled(account).left >= 1
  }

  lost(version: number, share: number): void {
    const known = this.#accounts.get(version)
    const account = known ?? { left: LOSSES_BURST, filledAt: this.#clock.now() }
    if (known === undefined) this.#accounts.set(version, account)
    this.#filled(account).left -= share
  }

  #filled(account: Account): Account {
    const now = this.#clock.now()
    const earned = ((now - account.filledAt) / 1000) * LOSSES_PER_SECOND
    account.left = Math.min(LOSSES_BURST, account.left + earned)
    account.filledAt = now
    return account
  }
}
