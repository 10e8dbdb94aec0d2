/** What the gateway says for itself, in words a caller can act on. */
import { type Fault, fault } from '../domain/fault.ts'
import type { Model, RateLimit, Version } from '../domain/routes.ts'
import { nameOf } from '../identify/key-source.ts'
import type { Entered, Load } from '../observe/limiter.ts'

const SOON: readonly string[] = ['retry-after', '1']

export const AUDIT_UNAVAILABLE: Fault = fault(
  'audit-unavailable',
  'decision records cannot be written at present, so no answer may be given',
  '',
  SOON,
)

export const DRAINING: Fault = fault('draining', 'the gateway is shutting down; try another one', '', SOON)

/** A bug kept the caller from its answer. */
export const INTERNAL: Fault = fault(
  'internal',
  'the gateway failed on this request; its operator has been told',
)

export const DEADLINE_PASSED: Fault = fault(
  'deadline-exceeded',
  'the caller’s deadline had passed before anything was tried',
)

export const CLIENT_GONE: Fault = fault(
  'client-gone',
  'the caller closed the connection before the end of its answer',
)

/**
 * No room for this long, in ms. Kernels tell of room when a third of what they hold has left (up to 1.4 of 4 MiB), so
 * it ends who reads less than about 50 KiB/s across a fast network, and who reads nothing across any.
 */
export const CLIENT_STALL_MS_MAX = 30_000

export const CLIENT_STALLED: Fault = fault(
  'client-stalled',
  `the caller took too little of its answer for ${CLIENT_STALL_MS_MAX / 1000} s`,
)

export function deadlineInQueue(waitedMs: number): Fault {
  const waited = Math.round(waitedMs)
  return fault('deadline-exceeded', `the caller’s deadline passed while waiting for a place (${waited} ms)`)
}

export function queueTimeout({ name }: Model, waitedMs: number): Fault {
  const waited = Math.round(waitedMs)
  return fault('queue-timeout', `model '${name}' had no free place for ${waited} ms`, '', SOON)
}

/** No spare place for a fallback. */
export function overloaded({ name, limits }: Model): Fault {
  const numbers = `limits.concurrent ${limits.concurrent}, limits.queue ${limits.queue}, over all lanes`
  return fault('overloaded', `model '${name}' is at its limits (${numbers})`, '', SOON)
}

/** Longer waits than this are told as this: things change. */
const RETRY_AFTER_S_MAX = 60

/** Refused to spare the lane, whatever the model has room for. */
function shed({ name, priority }: Model): Fault {
  const words = `the gateway is short of time or memory, and refuses requests to model '${name}' for a moment`
  return fault('gateway-overloaded', words, `priority ${priority}: ${words}`, SOON)
}

/** Turned away at the door. The words say which limits were in force, and how it stood. */
export function noPlace(why: Exclude<Entered, 'go' | 'queued'>, model: Model, load: Load): Fault {
  if (why === 'shed') return shed(model)
  const { name, limits } = model
  const found = limits.adaptive ? `, limits.adaptive found ${load.limit}` : ''
  const numbers = `limits.concurrent ${limits.concurrent}, limits.queue ${limits.queue}${found}, over all lanes`
  const wait = load.waitMs === 0 ? '' : `; a place would be free in about ${Math.ceil(load.waitMs)} ms`
  const late = why === 'hopeless' ? ', later than timeouts.queue or the caller’s deadline allow' : ''
  const seconds = Math.min(Math.max(Math.ceil(load.waitMs / 1000), 1), RETRY_AFTER_S_MAX)
  const words = `model '${name}' is at its limits (${numbers})${wait}${late}`
  // Before the words, because records keep only the begin of a detail.
  const standing = `${load.running} of ${load.limit} places held, ${load.queued} waiting`
  return fault('overloaded', words, `${standing}: ${words}`, ['retry-after', String(seconds)])
}

export function breakerOpen({ name, model }: Version, retryAfterMs: number): Fault {
  const seconds = String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
  const words = `the circuit breaker of version '${name}' of model '${model}' is open`
  return fault('breaker-open', words, '', ['retry-after', seconds])
}

export const IN_PROGRESS: Fault = fault(
  'idempotency-in-progress',
  'the first request with this idempotency-key is still under way; repeat it a little later for its answer',
  '',
  SOON,
)

export const OTHER_REQUEST: Fault = fault(
  'idempotency-mismatch',
  'this idempotency-key was used for another request; a repeat must be the same to the byte',
)

export const NOT_AT_HAND: Fault = fault(
  'idempotency-unavailable',
  'what the first request with this idempotency-key was answered cannot be had at present',
  '',
  SOON,
)

/** Never by whose value: what tells callers apart may be a secret. */
export function rateLimited({ name }: Model, limit: RateLimit, retryAfterMs: number): Fault {
  const { requests, perMs, burst, by } = limit
  const ms = Math.max(1, Math.ceil(retryAfterMs))
  const whose = by.map(nameOf).join(', ')
  const words = `too many requests to model '${name}' from this caller (limit ${limit.name}); try again in ${ms} ms`
  const detail = `${requests} in ${perMs / 1000} s, ${burst} at once, by ${whose}`
  return fault('rate-limited', words, detail, [
    'retry-after',
    String(Math.ceil(ms / 1000)),
    'retry-after-ms',
    String(ms),
  ])
}
