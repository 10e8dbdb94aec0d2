/**
 * What the end of one request says of its endpoint, told once to its load and to its standing. A failure counts like an
 * answer for which a caller would have waited to the end; of one that nobody waited for any more it is known only that
 * it takes at least so long.
 */
import type { KnownPeer, Peers } from './peers.ts'

export type Verdict = 'success' | 'failure' | 'neutral'

export interface Observed {
  readonly verdict: Verdict
  /** Ms from its start. */
  readonly tookMs: number
  /** When an answer began that says how long one takes; −1: there was none. */
  readonly firstByteMs: number
  /** How long a caller waits for an answer to begin. */
  readonly patienceMs: number
}

/** A 5xx is the endpoint's failure, 429 says nothing of it, everything else is an answer. */
export function verdictOf(status: number): Verdict {
  if (status >= 500) return 'failure'
  return status === 429 ? 'neutral' : 'success'
}

export function tell(peers: Peers, peer: KnownPeer, observed: Observed, now: number): void {
  const { verdict, tookMs, firstByteMs, patienceMs } = observed
  if (verdict === 'failure') peer.load.ended(now, Math.max(tookMs, patienceMs))
  else if (firstByteMs < 0) peer.load.abandoned(now, tookMs)
  else peer.load.ended(now, firstByteMs)
  peers.noted(peer, verdict, now)
}
