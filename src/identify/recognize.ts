/**
 * Which dialect a path belongs to, and what it names there. Where two dialects have the same path, the model's own
 * decides; where no model is named, one that some model here speaks; else the first in the list.
 */
import { type Fault, fault, isFault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'
import type { ProtocolName, Snapshot } from '../domain/routes.ts'
import type { Match, Protocol } from '../protocols/protocol.ts'
import { modelNamed } from './identify.ts'

export interface Recognized {
  readonly protocol: Protocol
  readonly match: Match
}

export interface Unrecognized {
  /** The dialect whose error shape the caller expects; null when no dialect claims the path. */
  readonly protocol: Protocol | null
  readonly fault: Fault
}

export function recognize(
  head: Head,
  protocols: readonly Protocol[],
  routes: Snapshot,
): Recognized | Unrecognized {
  let chosen: Claim | undefined
  for (const protocol of protocols) {
    const says = protocol.recognize(head)
    if (says === undefined) continue
    const claim = { protocol, says }
    if (chosen === undefined || weightOf(claim, routes) > weightOf(chosen, routes)) chosen = claim
  }
  if (chosen === undefined) {
    return { protocol: null, fault: fault('unknown-path', `there is nothing at ${head.path}`) }
  }
  const { protocol, says } = chosen
  if (isFault(says)) return { protocol, fault: says }
  const refusal = checkCard(says, protocol, routes)
  return refusal === null ? { protocol, match: says } : { protocol, fault: refusal }
}

interface Claim {
  readonly protocol: Protocol
  readonly says: Match | Fault
}

function weightOf({ protocol, says }: Claim, routes: Snapshot): number {
  const model = isFault(says) || !('model' in says) ? null : says.model
  if (model !== null && routes.models.get(model)?.protocol === protocol.name) return 2
  return spokenIn(routes).has(protocol.name) ? 1 : 0
}

/** Dialects that any model speaks. Collected once for a configuration. */
function spokenIn(routes: Snapshot): ReadonlySet<ProtocolName> {
  let spoken = SPOKEN.get(routes)
  if (spoken === undefined) {
    spoken = new Set([...routes.models.values()].map(({ protocol }) => protocol))
    SPOKEN.set(routes, spoken)
  }
  return spoken
}

const SPOKEN = new WeakMap<Snapshot, ReadonlySet<ProtocolName>>()

/** A question about one model that the gateway answers itself needs that model. */
function checkCard(match: Match, protocol: Protocol, routes: Snapshot): Fault | null {
  if (match.scope !== 'server' || match.ask !== 'model') return null
  const model = modelNamed(match.model, protocol, routes)
  return isFault(model) ? model : null
}
