/** What happened: answers, attempts at versions, and the outcome a caller got. All readonly values. */
import type { Fault } from './fault.ts'

/** What a version did for this request; each role has its own histograms. */
export type Role = 'primary' | 'canary' | 'arm' | 'shadow' | 'fallback'
export const ROLES: readonly Role[] = ['primary', 'canary', 'arm', 'shadow', 'fallback']

/** The parts of a request's time. `overhead` is total minus what the version itself took. */
export type Phase = 'queue' | 'connect' | 'first_byte' | 'total' | 'overhead'
export const PHASES: readonly Phase[] = ['queue', 'connect', 'first_byte', 'total', 'overhead']

/** A complete answer, held in memory. `headers` end-to-end only, name, value, …, names lower case. */
export interface Answer {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** Milliseconds from the attempt's start (with fraction); -1 where a phase was not reached. */
export interface Phases {
  /** Waiting for a place (limits) or for a scoring thread. */
  readonly queueMs: number
  readonly connectMs: number
  readonly firstByteMs: number
  readonly totalMs: number
}

/** What carrying one request to one endpoint, or to the scoring pool, came to. */
export interface AttemptResult {
  /** `http://10.0.0.11:8000`, or `pool` for a local version. */
  readonly endpoint: string
  readonly phases: Phases
  /** The connection had carried a request before. */
  readonly reused: boolean
  /** Exactly one of the two is present. */
  readonly answer: Answer | null
  readonly fault: Fault | null
}

/** One try at one version. */
export interface Attempt {
  readonly version: string
  readonly role: Role
  /** Monotonic ms. */
  readonly startedAt: number
  readonly result: AttemptResult
  /** How the breaker counted it. */
  readonly verdict: 'success' | 'failure' | 'neutral'
}
