/**
 * One version's breaker as all lanes share it: what breaker.ts does, in shared memory and without a lock. No lane ever
 * waits for another: whoever finds that something is due tries to change the one word of the state, and of several
 * only one succeeds. That one tells of the change, so a change is told once. A lane that dies between two accesses
 * leaves nothing that others could not go on from: a lease ends by itself, and a change that is due is made by the next.
 *
 * While it is closed a request costs a read when it begins and, when it ended well, a count in words that no other
 * lane writes (joint-window.ts): 0.11 to 0.13 µs both together where the machine of one lane takes 0.08, and 0.15 with
 * one failure in a hundred (CPU time in a loop, Node 20, a busy machine).
 */
import type { BreakerName } from '../domain/plan.ts'
import type { BreakerSettings } from '../domain/routes.ts'
import { type SharedWords, storeNumber } from '../kernel/atomic-words.ts'
import { ACCOUNT_WORDS, AT, type BreakerPlace, LEVEL, SINCE, STATE, STREAK, UNTIL } from './breaker-memory.ts'
import {
  calmed,
  openForMs,
  tripped,
  type Verdict,
  whyClosed,
  whyHalfOpen,
  whyOpen,
  whyProbeFailed,
} from './breaker-rules.ts'
import {
  type Account,
  accountOf,
  CLOSED,
  epochOf,
  HALF_OPEN,
  kindOf,
  nameOfKind,
  nextEpoch,
  OPEN,
  readAccount,
  stateOf,
} from './breaker-state.ts'
import { JointWindow } from './joint-window.ts'
import { ProbePlaces } from './probe-places.ts'

/** Leave for one request. */
export interface Leave {
  readonly epoch: number
  /** 0: not a probe. */
  readonly probe: number
  /** What the probe's place says; 0 for others. */
  readonly claim: number
}

/** A change that this lane made. */
export interface StateChange {
  readonly from: BreakerName
  readonly to: BreakerName
  readonly why: string
  /** Number of the new state. */
  readonly epoch: number
}

export interface JointBreakerParts {
  readonly words: SharedWords
  readonly place: BreakerPlace
  readonly seat: number
  readonly settings: BreakerSettings
  /** How long a probe may stay away; longer than any attempt may take. */
  readonly leaseMs: number
  /** In [0, 1), asked at each opening. */
  readonly jitter: () => number
  /** Unix ms, asked at each change. */
  readonly wall: () => number
  onChange(change: StateChange): void
}

interface Ended {
  readonly verdict: Verdict
  readonly totalMs: number
}

const A_PROBE_FAILED = 'a probe failed'
const STREAK_SHIFT = 20
const STREAK_MAX = (1 << STREAK_SHIFT) - 1
const STREAK_EPOCHS = 1 << (32 - STREAK_SHIFT)

export class JointBreaker {
  readonly #parts: JointBreakerParts
  readonly #words: SharedWords
  readonly #state: number
  readonly #streak: number
  readonly #window: JointWindow
  readonly #slowAfterMs: number
  readonly #probes: ProbePlaces

  constructor(parts: JointBreakerParts) {
    const { words, place, seat, settings, leaseMs } = parts
    this.#parts = parts
    this.#words = words
    this.#slowAfterMs = settings.slowAfterMs
    this.#state = place.hot + STATE
    this.#streak = place.hot + STREAK
    this.#window = new JointWindow(words, place, seat, settings)
    this.#probes = new ProbePlaces({ words, at: place.probes, probes: settings.probes, leaseMs })
  }

  /** The state's number while it is closed, which is all that nearly every request asks; else -1. */
  get closedEpoch(): number {
    const state = this.#words.load(this.#state)
    return kindOf(state) === CLOSED ? epochOf(state) : -1
  }

  /** The state's number, whatever it is. */
  get epoch(): number {
    return epochOf(this.#words.load(this.#state))
  }

  /** Null: refused. */
  admit(now: number): Leave | null {
    for (;;) {
      const state = this.#words.load(this.#state)
      const epoch = epochOf(state)
      if (kindOf(state) === CLOSED) return { epoch, probe: 0, claim: 0 }
      if (kindOf(state) === OPEN) {
        const account = readAccount(this.#words, this.#parts.place)
        if (account.state !== state) continue
        if (now < account.until) return null
        this.#halfOpen(account, now)
        continue
      }
      this.#probes.expire(epoch, now)
      if (this.#conclude(state, '', now)) continue
      const claim = this.#probes.take(epoch, now)
      if (claim === null) return null
      if (this.#words.load(this.#state) === state) return { epoch, ...claim }
      this.#probes.giveBack(claim)
    }
  }

  /** How a request ended that was let in. */
  settle(leave: Leave, verdict: Verdict, totalMs: number, now: number): void {
    const state = this.#words.load(this.#state)
    if (epochOf(state) !== leave.epoch) return
    if (kindOf(state) === CLOSED) {
      if (verdict !== 'neutral') this.#count(state, verdict === 'failure', totalMs, now)
    } else if (kindOf(state) === HALF_OPEN && leave.probe !== 0) {
      this.#probed(state, leave, { verdict, totalMs }, now)
    }
  }

  /** What a request that came now would meet, without changing anything. */
  nameAt(now: number): BreakerName {
    const state = this.#words.load(this.#state)
    if (kindOf(state) !== OPEN) return nameOfKind(kindOf(state))
    const account = readAccount(this.#words, this.#parts.place)
    return kindOf(account.state) === OPEN && now >= account.until
      ? 'half-open'
      : nameOfKind(kindOf(account.state))
  }

  /** How long a caller that was refused should wait; 0 when it would be let in. */
  retryAfterMs(now: number): number {
    const account = readAccount(this.#words, this.#parts.place)
    switch (kindOf(account.state)) {
      case CLOSED:
        return 0
      case OPEN:
        return Math.max(0, account.until - now)
      case HALF_OPEN:
        return this.#probes.hasFree(epochOf(account.state), now) ? 0 : this.#parts.settings.openForMs
    }
  }

  #count(state: number, failed: boolean, totalMs: number, now: number): void {
    const epoch = epochOf(state)
    const isDue = this.#window.count(epoch, now, failed, totalMs > this.#slowAfterMs)
    const streak = failed ? this.#lengthenStreak(epoch) : this.#endStreak(epoch)
    if (isDue) this.#judge(state, streak, now)
  }

  #judge(state: number, streak: number, now: number): void {
    const { settings } = this.#parts
    const epoch = epochOf(state)
    const { requests, failures, slow } = this.#window.add(epoch, now)
    const cause = tripped({ streak, requests, failures, slow }, settings)
    if (cause === '') return
    const account = readAccount(this.#words, this.#parts.place)
    if (account.state !== state) return
    this.#open(account, { level: calmed(account.level, now - account.since, settings), cause }, now)
  }

  /** The streak's word holds the last bits of its epoch, so that a streak of another time is none. */
  #lengthenStreak(epoch: number): number {
    for (;;) {
      const known = this.#words.load(this.#streak)
      const age = epochsBetween(known, epoch)
      if (age < 0) return 0
      const length = age === 0 ? Math.min(STREAK_MAX, (known & STREAK_MAX) + 1) : 1
      if (this.#words.swap(this.#streak, known, streakOf(epoch, length))) return length
    }
  }

  #endStreak(epoch: number): number {
    for (;;) {
      const known = this.#words.load(this.#streak)
      if (known === streakOf(epoch, 0) || epochsBetween(known, epoch) < 0) return 0
      if (this.#words.swap(this.#streak, known, streakOf(epoch, 0))) return 0
    }
  }

  #probed(state: number, leave: Leave, { verdict, totalMs }: Ended, now: number): void {
    if (verdict === 'neutral') return void this.#probes.giveBack(leave)
    const cause = whyProbeFailed(verdict, totalMs, this.#parts.settings)
    if (this.#probes.finish(leave, cause === '')) this.#conclude(state, cause, now)
  }

  /**
   * What the probes have found is carried out by whoever sees it first: the lane whose probe it was may have died.
   * True: there was something to carry out, and the state has changed.
   */
  #conclude(state: number, cause: string, now: number): boolean {
    const epoch = epochOf(state)
    const isBad = this.#probes.isAnyBad(epoch)
    if (!isBad && !this.#probes.areAllWell(epoch)) return false
    const account = readAccount(this.#words, this.#parts.place)
    if (account.state !== state) return true
    if (isBad) this.#open(account, { level: account.level + 1, cause: cause || A_PROBE_FAILED }, now)
    else this.#close(account, now)
    return true
  }

  #open(from: Account, { level, cause }: { level: number; cause: string }, now: number): void {
    const { settings, jitter } = this.#parts
    const forMs = openForMs(level, jitter(), settings)
    this.#change(from.state, OPEN, { since: now, until: now + forMs, level }, () => whyOpen(cause, forMs))
  }

  #halfOpen(from: Account, now: number): void {
    const { settings } = this.#parts
    this.#probes.empty(nextEpoch(epochOf(from.state)))
    const account = { since: now, until: 0, level: from.level }
    this.#change(from.state, HALF_OPEN, account, () => whyHalfOpen(now - from.since, settings))
  }

  #close(from: Account, now: number): void {
    const { settings } = this.#parts
    const account = { since: now, until: 0, level: from.level + 1 }
    this.#change(from.state, CLOSED, account, () => whyClosed(settings))
  }

  /** Writes the account that is not in use, then tries to make it the one that is. */
  #change(
    from: number,
    kind: typeof CLOSED | typeof HALF_OPEN | typeof OPEN,
    { since, until, level }: Pick<Account, 'since' | 'until' | 'level'>,
    why: () => string,
  ): void {
    const { place, seat, wall, onChange } = this.#parts
    const words = this.#words
    const account = accountOf(from) === 2 * seat ? 2 * seat + 1 : 2 * seat
    const at = place.accounts + account * ACCOUNT_WORDS
    storeNumber(words, at + SINCE, since)
    storeNumber(words, at + UNTIL, until)
    storeNumber(words, at + AT, wall())
    words.store(at + LEVEL, level)
    const epoch = nextEpoch(epochOf(from))
    const next = stateOf(kind, account, epoch)
    if (!words.swap(this.#state, from, next)) return
    onChange({ from: nameOfKind(kindOf(from)), to: nameOfKind(kind), why: why(), epoch })
  }
}

function streakOf(epoch: number, length: number): number {
  return ((epoch & (STREAK_EPOCHS - 1)) << STREAK_SHIFT) | length
}

/** From the streak's to `epoch`: negative when the streak is of a later one. */
function epochsBetween(streak: number, epoch: number): number {
  const between = (epoch - (streak >>> STREAK_SHIFT)) & (STREAK_EPOCHS - 1)
  return between < STREAK_EPOCHS / 2 ? between : between - STREAK_EPOCHS
}
