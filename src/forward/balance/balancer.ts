/**
 * What a way of spreading requests over the endpoints of a version is. It sees the endpoints that may be chosen,
 * never none, and is deterministic: whose turn it is, the key, time and chance are arguments.
 */
import type { Endpoint } from '../../domain/routes.ts'
import type { Chance } from '../../kernel/chance.ts'
import type { EndpointLoad } from './endpoint-load.ts'

/** One endpoint of a version, and what this lane knows of it. */
export interface Peer {
  readonly endpoint: Endpoint
  readonly load: EndpointLoad
}

export interface BalanceQuestion {
  /** Every endpoint of the version, in the order of the configuration. */
  readonly all: readonly Peer[]
  /** Those that may be chosen; at least one. */
  readonly eligible: readonly Peer[]
  /** How many were chosen before, of this version. */
  readonly cursor: number
  readonly model: string
  /** The caller's sticky key. */
  readonly key: string
  readonly now: number
  readonly chance: Chance
}

export interface Balancer {
  /** As the configuration calls it. */
  readonly name: string
  choose(question: BalanceQuestion): Peer
  /** In [0, 1): decides whether one that is not warm yet lets another one go first, when it was chosen (warmth.ts). */
  draw(question: BalanceQuestion, peer: Peer): number
}
