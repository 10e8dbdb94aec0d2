/** How the records of each lane fare, as lanes tell it: for readiness, metrics and the operator's eye. */
import type { LogState } from '../lane-messages.ts'

const WORDS: Readonly<Record<LogState, string>> = {
  writing: 'records are written again',
  refusing:
    'records cannot be written, or not be synced in time (is the disk full, or slow?); callers get 503 audit-unavailable',
  losing:
    'records cannot be written (is the disk full?) and are lost; nobody is refused, because the mode is best-effort',
}

export class LanesLog {
  /** By seat; those whose records are written are not among them. */
  readonly #states = new Map<number, LogState>()

  /** Returns what the operator is told. */
  set(seat: number, state: LogState): string {
    if (state === 'writing') this.#states.delete(seat)
    else this.#states.set(seat, state)
    return WORDS[state]
  }

  /** The lane of this seat has ended. */
  forget(seat: number): void {
    this.#states.delete(seat)
  }

  /** Lanes that answer 503. */
  get refusing(): number {
    return this.#count('refusing')
  }

  /** Lanes that serve on though their records are lost. */
  get losing(): number {
    return this.#count('losing')
  }

  /** A gateway that loses records nobody has to wait for is ready, and says what it loses. */
  check(): { readonly ok: boolean; readonly detail: string } {
    if (this.refusing > 0) return { ok: false, detail: WORDS.refusing }
    return { ok: true, detail: this.losing > 0 ? WORDS.losing : 'writing' }
  }

  #count(state: LogState): number {
    return [...this.#states.values()].filter((each) => each === state).length
  }
}
