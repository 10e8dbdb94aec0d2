/**
 * When a breaker changes its state, for how long, and in which words: what the machine (breaker.ts) and the form
 * of it that lanes share (joint-breaker.ts) have in common. Functions of their arguments only.
 */
import type { BreakerSettings } from '../domain/routes.ts'

export type Verdict = 'success' | 'failure' | 'neutral'

/** What was counted while it was closed. */
export interface Tally {
  /** Failures in a row. */
  readonly streak: number
  /** Within the window. */
  readonly requests: number
  readonly failures: number
  readonly slow: number
}

const JITTER = 0.2
/** 2^40 times any open time is beyond every `openForMaxMs`. */
const LEVEL_MAX = 40

/** The limit that was crossed, or an empty string. */
export function tripped({ streak, requests, failures, slow }: Tally, settings: BreakerSettings): string {
  if (streak >= settings.consecutive) {
    return `${streak} requests failed in a row (limit ${settings.consecutive})`
  }
  if (requests < settings.minRequests) return ''
  const inTime = `in ${seconds(settings.windowMs)}`
  if (failures > 0 && failures >= settings.failureRate * requests) {
    return `${failures} of ${requests} requests failed ${inTime} (limit ${settings.failureRate})`
  }
  if (slow > 0 && slow >= settings.slowRate * requests) {
    const than = `${settings.slowAfterMs} ms`
    return `${slow} of ${requests} requests took longer than ${than} ${inTime} (limit ${settings.slowRate})`
  }
  return ''
}

/** Each window without a change takes one doubling of the open time back. */
export function calmed(level: number, calmMs: number, { windowMs }: BreakerSettings): number {
  return Math.max(0, level - Math.floor(calmMs / windowMs))
}

/** `jitter` in [0, 1): where in ±20 % it falls. */
export function openForMs(level: number, jitter: number, settings: BreakerSettings): number {
  const grown = Math.min(settings.openForMs * 2 ** Math.min(level, LEVEL_MAX), settings.openForMaxMs)
  return Math.min(grown * (1 + JITTER * (2 * jitter - 1)), settings.openForMaxMs)
}

export function whyOpen(cause: string, forMs: number): string {
  return `${cause}; open for ${seconds(forMs)}`
}

export function whyHalfOpen(openedMs: number, { probes }: BreakerSettings): string {
  return `open for ${seconds(openedMs)}, now ${probes === 1 ? 'one probe' : `${probes} probes`} may try`
}

export function whyClosed({ probes }: BreakerSettings): string {
  return `${probes} of ${probes} probes succeeded`
}

/** Empty: the probe says that the version is well. */
export function whyProbeFailed(verdict: Verdict, totalMs: number, { slowAfterMs }: BreakerSettings): string {
  if (verdict === 'failure') return 'a probe failed'
  return totalMs > slowAfterMs ? `a probe took ${Math.round(totalMs)} ms (limit ${slowAfterMs} ms)` : ''
}

/** `1.2 s`, `800 ms`: as short as it stays true for a reader. */
function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`
}
