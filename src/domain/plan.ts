/** What will be done for an intent, and why not otherwise. Made by decide/ only. */
import type { Role } from './outcome.ts'
import type { Shadow, Version } from './routes.ts'

/**
 * Why the served version was chosen; the `modelgate-reason` header. The closed set is the list of
 * strategies (decide/strategies/index.ts) and `fallback`; a Snapshot carries it as `reasons`.
 */
export type Reason = string

/** A version serves because the declared consequence of another one's failure names it. */
export const FALLBACK: Reason = 'fallback'

/** Why a version that could have served did not; a strategy may bring words of its own. */
export type Passed = (string & {}) | KnownPassed

export type KnownPassed =
  | 'chosen'
  | 'rule-did-not-match'
  | 'not-pinned'
  | 'other-arm'
  | 'outside-percent'
  | 'lower-precedence'
  | 'only-on-failure'
  | 'shadow-only'
  | 'not-routed'

export interface Candidate {
  readonly version: string
  readonly passed: Passed
  readonly breaker: BreakerName
}

/** `closed` lets traffic through, `open` refuses, `half-open` lets probes through. */
export type BreakerName = 'closed' | 'open' | 'half-open'

/** Why a shadow copy was not sent, or that it was. */
export type ShadowFate = 'planned' | 'sampled_out' | 'not_idempotent' | 'is_shadow' | 'served_version'

export interface ShadowPlan {
  readonly version: Version
  readonly settings: Shadow
  readonly fate: ShadowFate
}

export interface Plan {
  readonly version: Version
  readonly reason: Reason
  readonly role: Exclude<Role, 'shadow' | 'fallback'>
  /** Name of the experiment that assigned an arm, or empty. */
  readonly experiment: string
  /** The arm or side the sticky key fell to, kept even when a rule, pin or fallback serves another. */
  readonly assigned: string
  /** Where the key fell in [0, 1), rounded to six decimals; -1 when no percentage was asked. */
  readonly point: number
  readonly candidates: readonly Candidate[]
  readonly shadows: readonly ShadowPlan[]
}

/** What decide/ may see of the running system. Written by observe/, read-only here. */
export interface VitalsView {
  breakerOf(version: Version, now: number): BreakerName
}
