/**
 * A caller's bucket under one rate limit, by the generic cell rate algorithm: what is kept is how much of the
 * bucket is used up (its debt), and debt is paid off by time alone. So exactly burst + rate × time requests are let
 * in, whenever they come, and nothing has to tick. Deterministic: time is an argument.
 *
 * Debt and time are counted in units of a 16th of a request, so that time itself is what a limit makes of it and
 * no rate is rounded.
 */
import type { RateLimit } from '../domain/routes.ts'

export const UNITS_PER_REQUEST = 16

type Numbers = Pick<RateLimit, 'requests' | 'perMs' | 'burst'>

/** An instant, in the limit's own units; whole. `now`: ms, the same in all threads. */
export function unitsAt(now: number, { requests, perMs }: Numbers): number {
  return Math.floor((now / perMs) * requests * UNITS_PER_REQUEST)
}

export function msOfUnits(units: number, { requests, perMs }: Numbers): number {
  return (units / UNITS_PER_REQUEST) * (perMs / requests)
}

/** The debt after one more request, or -1: the bucket does not hold it. */
export function debtAfter(debt: number, { burst }: Numbers): number {
  const after = debt + UNITS_PER_REQUEST
  return after > burst * UNITS_PER_REQUEST ? -1 : after
}

/** Whole requests that would be let in now. */
export function remainingAt(debt: number, { burst }: Numbers): number {
  return Math.max(0, Math.floor(burst - debt / UNITS_PER_REQUEST))
}

/** How long until one more request is let in, in ms; 0: now. Up to a unit too long, never too short. */
export function waitMs(debt: number, limit: Numbers): number {
  return Math.max(0, msOfUnits(debt + UNITS_PER_REQUEST - limit.burst * UNITS_PER_REQUEST, limit))
}
