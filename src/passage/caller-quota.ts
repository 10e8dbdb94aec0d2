/**
 * Whether a caller may ask now, by every rate limit that holds. Asked once for a request, before anything is
 * decided; its retries and shadow copies are ours and not charged, and neither is another gateway's shadow.
 */

import type { Fault } from '../domain/fault.ts'
import type { Intent } from '../domain/intent.ts'
import type { Lane } from './lane-parts.ts'
import { rateLimited } from './refusals.ts'

export interface Standing {
  /** Null: it may. */
  readonly refusal: Fault | null
  /** What the caller is told of its limits, whatever the answer: name, value, … */
  readonly headers: readonly string[]
}

const UNLIMITED: Standing = { refusal: null, headers: [] }

export function chargeCaller({ model, callers, isShadow }: Intent, lane: Lane): Standing {
  if (model.rates.length === 0 || isShadow) return UNLIMITED
  const quota = lane.rateGate.charge(model, callers.rates, lane.clock.now())
  const { refusedBy, retryAfterMs, headers, replaced } = quota
  lane.observer.rate(model.index, refusedBy === null, replaced)
  return { refusal: refusedBy === null ? null : rateLimited(model, refusedBy, retryAfterMs), headers }
}
