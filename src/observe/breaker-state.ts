/**
 * What a shared breaker is at present, in one word that is changed as a whole: its kind, the number of the state
 * (epoch, modulo 2^20), and which account tells the rest (whose, and which of its two). A reader that finds the word
 * unchanged after reading the account has read a true one: only the state's own account is never written.
 */
import type { BreakerName } from '../domain/plan.ts'
import { loadNumber, type SharedWords } from '../kernel/atomic-words.ts'
import { ACCOUNT_WORDS, AT, type BreakerPlace, LEVEL, SINCE, STATE, UNTIL } from './breaker-memory.ts'

export const CLOSED = 0
export const HALF_OPEN = 1
export const OPEN = 2
type Kind = typeof CLOSED | typeof HALF_OPEN | typeof OPEN

const KIND_BITS = 2
const ACCOUNT_BITS = 10
const EPOCH_SHIFT = KIND_BITS + ACCOUNT_BITS
const EPOCH_MASK = 0xf_ffff

export const kindOf = (state: number): Kind => (state & 3) as Kind
export const accountOf = (state: number): number => (state >>> KIND_BITS) & ((1 << ACCOUNT_BITS) - 1)
export const epochOf = (state: number): number => state >>> EPOCH_SHIFT
export const nextEpoch = (epoch: number): number => (epoch + 1) & EPOCH_MASK

export function stateOf(kind: Kind, account: number, epoch: number): number {
  return kind | (account << KIND_BITS) | (epoch << EPOCH_SHIFT)
}

const NAMES: readonly BreakerName[] = ['closed', 'half-open', 'open']

export function nameOfKind(kind: Kind): BreakerName {
  return NAMES[kind]!
}

/** Monotonic ms, but `at`: Unix ms of the change, 0 before the first. */
export interface Account {
  readonly state: number
  readonly since: number
  readonly until: number
  readonly at: number
  readonly level: number
}

/** Of the state as it is when this returns; reads again when it changed meanwhile. */
export function readAccount(words: SharedWords, { hot, accounts }: BreakerPlace): Account {
  for (;;) {
    const state = words.load(hot + STATE)
    const from = accounts + accountOf(state) * ACCOUNT_WORDS
    const since = loadNumber(words, from + SINCE)
    const until = loadNumber(words, from + UNTIL)
    const at = loadNumber(words, from + AT)
    const level = words.load(from + LEVEL)
    if (words.load(hot + STATE) === state) return { state, since, until, at, level }
  }
}
