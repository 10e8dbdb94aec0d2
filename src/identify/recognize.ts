/** Which dialect a path belongs to, and what it names there. The first dialect that knows the path wins. */
import { type Fault, fault, isFault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'
import type { Match, Protocol } from '../protocols/protocol.ts'

export interface Recognized {
  readonly protocol: Protocol
  readonly match: Match
}

export interface Unrecognized {
  /** The dialect whose error shape the caller expects; null when no dialect claims the path. */
  readonly protocol: Protocol | null
  readonly fault: Fault
}

export function recognize(head: Head, protocols: readonly Protocol[]): Recognized | Unrecognized {
  for (const protocol of protocols) {
    const match = protocol.recognize(head)
    if (match === undefined) continue
    return isFault(match) ? { protocol, fault: match } : { protocol, match }
  }
  return { protocol: null, fault: fault('unknown-path', `there is nothing at ${head.path}`) }
}
