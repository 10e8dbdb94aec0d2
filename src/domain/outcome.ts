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

/** What is known of an answer before its body. `headers` as in `Answer`. */
export interface AnswerHead {
  readonly status: number
  readonly headers: readonly string[]
  /** Of the body, as announced; 0 when there is none, -1 when only its end will tell. */
  readonly bodyBytes: number
}

/** Tokens, as the endpoint counted them; -1 for each that it did not tell. */
export interface Usage {
  readonly prompt: number
  readonly completion: number
  readonly total: number
}

/** What a dialect reads of an answer besides its outputs. */
export interface AnswerSummary {
  /** Why the model stopped (`stop`, `length`, …), at most FINISH_REASON_LENGTH_MAX characters; empty when it did not say. */
  readonly finishReason: string
  readonly usage: Usage | null
  /** Server-sent events that went by; -1 for an answer that is none. */
  readonly events: number
  /** Empty when it is whole by the dialect's own rules; else what it lacks, though HTTP may call it complete. */
  readonly problem: string
  /** The problem is the request's, as a 4xx status would say: it must not count against the version. */
  readonly isCallersDoing?: boolean
}

export const FINISH_REASON_LENGTH_MAX = 32

/** An answer that was passed on as it came, and is held nowhere. */
export interface Passed {
  readonly status: number
  readonly headers: readonly string[]
  /** Of the body so far; while it is open, as announced (-1: unknown). */
  readonly bodyBytes: number
  /** It is still coming. */
  readonly isOpen: boolean
}

/** Milliseconds from the attempt's start (with fraction); -1 where a phase was not reached. */
export interface Phases {
  /** Waiting for a place (limits) or for a scoring thread. */
  readonly queueMs: number
  readonly connectMs: number
  /** First byte of the answer; of a stream of tokens, its first content. */
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
  /** Held whole; null when none came, and when it was passed on. */
  readonly answer: Answer | null
  /** With an answer passed on, it tells how that ended badly; else exactly one of `answer` and `fault` is present. */
  readonly fault: Fault | null
  readonly passed?: Passed
  /** Present when a second copy was sent. `endpoint` and the other fields are of the copy that counts, or failed last. */
  readonly hedge?: Hedge | undefined
  /** It failed, and of the version's endpoints only this one does, again and again: that says nothing of the version. */
  readonly isEndpointsOwn?: boolean
  /** Null: its version's endpoints could all be chosen, or it has none. */
  readonly sieve?: Sieve | null
}

/** Some of a version's endpoints failed, or said that they are not well. */
export interface Sieve {
  /** So many of `endpoints` could be chosen. */
  readonly eligible: number
  readonly endpoints: number
  /** So few said that they are well that it was ignored. */
  readonly isHealthIgnored: boolean
}

/** A second copy of the request went out beside the first, which was late: one attempt, two endpoints. */
export interface Hedge {
  readonly first: string
  readonly second: string
  /** Ms from the attempt's start to the second copy. */
  readonly afterMs: number
  /** Whose answer counts; `none`: both failed, or nobody waited for one any more. */
  readonly won: HedgeWinner
}

export type HedgeWinner = 'first' | 'second' | 'none'

/**
 * The same with its answer. Field by field, as everywhere on the request path: to spread an object and add keys is slow in V8
 * (Node 20): 3.9 µs for three and four more where the same seven written out take 16 ns; 0.7 µs for one more. One such
 * literal cost a fifth of the lane's CPU. To write a key anew that was spread does no harm (24 ns).
 */
export function withAnswer(
  { endpoint, phases, reused, fault, hedge, isEndpointsOwn = false, sieve = null }: AttemptResult,
  answer: Answer,
): AttemptResult {
  return { endpoint, phases, reused, answer, fault, hedge, isEndpointsOwn, sieve }
}

/** The same, of an answer that is passed on. */
export function withPassed(
  { endpoint, phases, reused, answer, fault, hedge, isEndpointsOwn = false, sieve = null }: AttemptResult,
  passed: Passed,
): AttemptResult {
  return { endpoint, phases, reused, answer, fault, passed, hedge, isEndpointsOwn, sieve }
}

/** The same, of an attempt that two copies were sent for. */
export function withHedge(
  { endpoint, phases, reused, answer, fault, isEndpointsOwn = false, sieve = null }: AttemptResult,
  hedge: Hedge,
): AttemptResult {
  return { endpoint, phases, reused, answer, fault, hedge, isEndpointsOwn, sieve }
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

/** Where an answer comes from that was kept. */
export interface Kept {
  /** `replayed`: to a repeat of the same request (Idempotency-Key); `cached`: to an equal one. */
  readonly how: 'replayed' | 'cached'
  /** The request that it was made for. */
  readonly id: string
  readonly ageMs: number
}
