/**
 * The circuit breaker of one version: a machine without clock, chance or I/O. `closed` lets traffic
 * through, `open` refuses it, `half-open` lets exactly `probes` requests find out whether it is over.
 *
 * What it does is the reference: lanes share one breaker in memory (joint-breaker.ts), which is checked against this
 * machine, step by step and however the lanes' steps fall between each other (joint-breaker.test.ts).
 *
 * Deterministic, not pure: a closed breaker owns its counters and `step` changes them in place, because
 * that is what nearly every request does (no allocation). A change of state is always a new value with
 * a new epoch; results of requests that were let in under another epoch say nothing and are ignored.
 *
 * Neutral results (429, the caller left, a 4xx, our own queue) count nothing and give a probe's slot
 * back. A probe that never ends loses its slot when its lease does, or half-open would never end.
 */
import type { BreakerName } from '../domain/plan.ts'
import type { BreakerSettings } from '../domain/routes.ts'
import { unreachable } from '../kernel/assert.ts'
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
import { RollingWindow } from './rolling-window.ts'

interface State {
  /** +1 with each change of state. */
  readonly epoch: number
  /** Monotonic ms of the change into this state. */
  readonly since: number
  /** The change as a sentence with its numbers. */
  readonly why: string
  /** How often the open time has doubled, or would if it opened now. */
  readonly level: number
}

export interface Closed extends State {
  readonly kind: 'closed'
  readonly window: RollingWindow
  /** Failures in a row. */
  streak: number
}

export interface Open extends State {
  readonly kind: 'open'
  /** Monotonic ms from which probes may try. */
  readonly until: number
}

export interface HalfOpen extends State {
  readonly kind: 'half-open'
  readonly succeeded: number
  /** Number of the latest probe, from 1. */
  readonly issued: number
  /** Probes under way. */
  readonly leases: readonly Lease[]
}

interface Lease {
  readonly probe: number
  readonly expiresAt: number
}

export type Breaker = Closed | Open | HalfOpen

export type BreakerEvent =
  /** Time has passed: an open breaker may become half-open, a lease may end. */
  | { readonly kind: 'look' }
  /** A request that `admits` allowed begins; in half-open it is probe number `issued` of the new state. */
  | { readonly kind: 'start' }
  | Ended

export interface Ended {
  readonly kind: 'end'
  readonly epoch: number
  /** 0: not a probe. */
  readonly probe: number
  readonly verdict: Verdict
  readonly totalMs: number
}

export interface Terms {
  readonly settings: BreakerSettings
  /** In [0, 1): where in ±20 % the next open time falls, so that lanes and nodes don't probe in step. */
  readonly jitter: number
  /** How long a probe may stay away; longer than any attempt may take. */
  readonly leaseMs: number
}

export function closedBreaker(settings: BreakerSettings, now: number): Closed {
  return close({ epoch: -1, now, level: 0, why: 'the start' }, settings)
}

/** Whether a request may start now. Ask after a `look`. */
export function admits(state: Breaker, settings: BreakerSettings): boolean {
  switch (state.kind) {
    case 'closed':
      return true
    case 'open':
      return false
    case 'half-open':
      return state.succeeded + state.leases.length < settings.probes
  }
}

/** What a request that came now would meet, without changing anything. */
export function nameAt(state: Breaker, now: number): BreakerName {
  return state.kind === 'open' && now >= state.until ? 'half-open' : state.kind
}

export function step(state: Breaker, event: BreakerEvent, now: number, terms: Terms): Breaker {
  switch (state.kind) {
    case 'closed':
      return event.kind === 'end' ? endedClosed(state, event, now, terms) : state
    case 'open':
      return event.kind === 'look' && now >= state.until ? halfOpen(state, now, terms.settings) : state
    case 'half-open':
      return stepHalfOpen(state, event, now, terms)
    default:
      return unreachable(state)
  }
}

function endedClosed(state: Closed, event: Ended, now: number, terms: Terms): Breaker {
  if (event.epoch !== state.epoch || event.verdict === 'neutral') return state
  const { settings } = terms
  const failed = event.verdict === 'failure'
  state.window.count(now, failed, event.totalMs > settings.slowAfterMs)
  state.streak = failed ? state.streak + 1 : 0
  const { requests, failures, slow } = state.window
  const why = tripped({ streak: state.streak, requests, failures, slow }, settings)
  if (why === '') return state
  const level = calmed(state.level, now - state.since, settings)
  return open({ epoch: state.epoch, now, level, why }, terms)
}

function stepHalfOpen(state: HalfOpen, event: BreakerEvent, now: number, terms: Terms): Breaker {
  switch (event.kind) {
    case 'look':
      return expire(state, now)
    case 'start':
      return start(state, now, terms)
    case 'end':
      return endedHalfOpen(state, event, now, terms)
    default:
      return unreachable(event)
  }
}

function expire(state: HalfOpen, now: number): HalfOpen {
  if (!state.leases.some(({ expiresAt }) => expiresAt <= now)) return state
  return { ...state, leases: state.leases.filter(({ expiresAt }) => expiresAt > now) }
}

function start(state: HalfOpen, now: number, terms: Terms): HalfOpen {
  if (!admits(state, terms.settings)) return state
  const probe = state.issued + 1
  const leases = [...state.leases, { probe, expiresAt: now + terms.leaseMs }]
  return { ...state, issued: probe, leases }
}

function endedHalfOpen(state: HalfOpen, event: Ended, now: number, terms: Terms): Breaker {
  const isProbe = event.epoch === state.epoch && state.leases.some(({ probe }) => probe === event.probe)
  if (!isProbe) return state
  const { settings } = terms
  const leases = state.leases.filter(({ probe }) => probe !== event.probe)
  if (event.verdict === 'neutral') return { ...state, leases }
  const why = whyProbeFailed(event.verdict, event.totalMs, settings)
  if (why !== '') return open({ epoch: state.epoch, now, level: state.level + 1, why }, terms)
  const succeeded = state.succeeded + 1
  if (succeeded < settings.probes) return { ...state, leases, succeeded }
  return close({ epoch: state.epoch, now, level: state.level + 1, why: whyClosed(settings) }, settings)
}

interface Change {
  /** Of the state that is left. */
  readonly epoch: number
  readonly now: number
  readonly level: number
  readonly why: string
}

function close({ epoch, now, level, why }: Change, settings: BreakerSettings): Closed {
  const window = new RollingWindow(settings.windowMs)
  return { kind: 'closed', epoch: epoch + 1, since: now, why, level, window, streak: 0 }
}

function open({ epoch, now, level, why }: Change, { settings, jitter }: Terms): Open {
  const forMs = openForMs(level, jitter, settings)
  return {
    kind: 'open',
    epoch: epoch + 1,
    since: now,
    why: whyOpen(why, forMs),
    level,
    until: now + forMs,
  }
}

function halfOpen(state: Open, now: number, settings: BreakerSettings): HalfOpen {
  const { epoch, level, since } = state
  const why = whyHalfOpen(now - since, settings)
  return { kind: 'half-open', epoch: epoch + 1, since: now, why, level, succeeded: 0, issued: 0, leases: [] }
}
