/**
 * How many requests may be under way at once, found from latency (Netflix's gradient2): as long as answers take about
 * what they take when there is little to do the limit grows by a few, and when they take longer it shrinks by as much.
 * A machine without clock or I/O; its events are windows of attempts, which adaptive-limits.ts gathers.
 *
 * Two things differ from the published algorithm. There the baseline follows every window, so that under lasting
 * overload the slowness itself becomes normal and the limit climbs: doubling about every 800 windows. Here slower
 * windows move it only when less than half of the limit was in use. Where slowness has brought the limit down to the
 * floor it was not all of our own doing, and the baseline is measured anew there (as Envoy does from time to time). And
 * refusals by endpoints (429, 503) and time-outs, which the original does not look at, take a tenth off, as in
 * AIMD, where at least half of the limit was in use.
 */
import { unreachable } from '../kernel/assert.ts'

export const INITIAL = 20
export const FLOOR = 20
export const TOLERANCE = 1.5
export const SMOOTHING = 0.2
/** What may wait at the endpoints: how much the limit grows when nothing speaks against it. */
export const HEADROOM = 4
/** Windows that the baseline remembers. */
export const LONG_WINDOWS = 600
const GRADIENT_MIN = 0.5
/** A baseline beyond so many times what is seen now is forgotten faster. */
const STALE_RATIO = 2
const FORGET = 0.95
const AFTER_DROP = 0.9
/** From which a baseline is taken anew. */
export const PROBE_WINDOWS = 30

export type Gradient =
  /** No window yet. */
  | { readonly kind: 'unmeasured'; readonly limit: number }
  | {
      readonly kind: 'measured'
      readonly limit: number
      /** What an attempt takes when there is little to do, ms. */
      readonly baselineMs: number
      /** In the baseline, up to LONG_WINDOWS. */
      readonly windows: number
    }
  /** At the floor, taking the baseline anew. */
  | { readonly kind: 'probing'; readonly limit: number; readonly sumMs: number; readonly windows: number }

export type GradientEvent =
  /** Attempts that ended with an answer: how long they took, and most requests of the model at once meanwhile. */
  | { readonly kind: 'window'; readonly meanMs: number; readonly inFlight: number }
  /** At least one attempt of a window was refused by its endpoint, or ran out of time. */
  | { readonly kind: 'drop'; readonly inFlight: number }

export interface Bounds {
  readonly floor: number
  readonly ceiling: number
}

/** `concurrent`: of the configuration, which the limit never exceeds. */
export function boundsOf(concurrent: number): Bounds {
  return { floor: Math.min(FLOOR, concurrent), ceiling: concurrent }
}

export function unmeasured({ floor, ceiling }: Bounds): Gradient {
  return { kind: 'unmeasured', limit: Math.min(Math.max(INITIAL, floor), ceiling) }
}

export function step(state: Gradient, event: GradientEvent, bounds: Bounds): Gradient {
  switch (event.kind) {
    case 'drop':
      return dropped(state, event.inFlight, bounds)
    case 'window':
      return windowed(state, event, bounds)
    default:
      return unreachable(event)
  }
}

function windowed(state: Gradient, event: Window, bounds: Bounds): Gradient {
  switch (state.kind) {
    case 'unmeasured':
      return { kind: 'measured', limit: state.limit, baselineMs: event.meanMs, windows: 1 }
    case 'measured':
      return measured(state, event, bounds)
    case 'probing':
      return probed(state, event)
    default:
      return unreachable(state)
  }
}

type Measured = Extract<Gradient, { kind: 'measured' }>
type Window = Extract<GradientEvent, { kind: 'window' }>

/** With little under way a failure says nothing of how much may be. */
function dropped(state: Gradient, inFlight: number, { floor }: Bounds): Gradient {
  if (inFlight < state.limit / 2) return state
  return { ...state, limit: Math.max(floor, state.limit * AFTER_DROP) }
}

function measured(state: Measured, { meanMs, inFlight }: Window, { floor, ceiling }: Bounds): Gradient {
  const isLight = inFlight < state.limit / 2
  const isOurs = meanMs > state.baselineMs && !isLight
  const { baselineMs, windows } = isOurs ? state : learned(state, meanMs)
  if (isLight) return { kind: 'measured', limit: state.limit, baselineMs, windows }
  const gradient = Math.min(1, Math.max(GRADIENT_MIN, (TOLERANCE * baselineMs) / meanMs))
  const target = state.limit * gradient + HEADROOM
  const limit = state.limit + SMOOTHING * (target - state.limit)
  if (limit < floor) return { kind: 'probing', limit: floor, sumMs: 0, windows: 0 }
  return { kind: 'measured', limit: Math.min(ceiling, limit), baselineMs, windows }
}

function probed(state: Extract<Gradient, { kind: 'probing' }>, { meanMs }: Window): Gradient {
  const sumMs = state.sumMs + meanMs
  const windows = state.windows + 1
  if (windows < PROBE_WINDOWS) return { kind: 'probing', limit: state.limit, sumMs, windows }
  return { kind: 'measured', limit: state.limit, baselineMs: sumMs / windows, windows }
}

/** The plain mean of the first windows, then an exponential one of about the last LONG_WINDOWS. */
function learned(
  { baselineMs, windows }: Measured,
  meanMs: number,
): Pick<Measured, 'baselineMs' | 'windows'> {
  const weight = Math.max(1 / (windows + 1), 2 / (LONG_WINDOWS + 1))
  const moved = baselineMs + weight * (meanMs - baselineMs)
  const isStale = moved > STALE_RATIO * meanMs
  return { baselineMs: isStale ? moved * FORGET : moved, windows: Math.min(windows + 1, LONG_WINDOWS) }
}
