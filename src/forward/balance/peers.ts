/**
 * The endpoints of one version, as one lane knows them: which may be chosen, which one is, and how that went.
 *
 * Endpoints that fail are passed over (outlier.ts), but never more than leaves half of them: the others would be
 * run over next, and of a version with one endpoint nothing is ever passed over. Where more deserve it, those come
 * back first that were to come back first.
 */
import type { RemoteVersion } from '../../domain/routes.ts'
import { assert } from '../../kernel/assert.ts'
import type { Chance } from '../../kernel/chance.ts'
import type { Balancer, Peer } from './balancer.ts'
import { EndpointLoad } from './endpoint-load.ts'
import { BALANCERS } from './index.ts'
import { GOOD_STANDING, isWelcome, type Standing, type StandingEvent, step } from './outlier.ts'

/** Of a version's endpoints, at least this share can be chosen, whatever they did. */
export const ELIGIBLE_SHARE_MIN = 0.5

export interface Wish {
  /** The caller's sticky key. */
  readonly key: string
  /** Addresses (`url`) that were tried already: the last to be chosen again. */
  readonly avoid: readonly string[]
}

/** An endpoint in its lane: its load and its standing. */
export class KnownPeer implements Peer {
  readonly endpoint: Peer['endpoint']
  readonly load = new EndpointLoad()
  standing: Standing = GOOD_STANDING

  constructor(endpoint: Peer['endpoint']) {
    this.endpoint = endpoint
  }
}

/** An endpoint was put out, or is in again. */
export interface StandingChange {
  readonly version: RemoteVersion
  readonly endpoint: string
  readonly isOut: boolean
  /** How long it is passed over at least; 0 when it is in again. */
  readonly forMs: number
  /** Endpoints of the version that are out now. */
  readonly out: number
}

export interface PeersParts {
  readonly chance: Chance
  readonly onStanding?: ((change: StandingChange) => void) | undefined
}

export class Peers {
  readonly all: readonly KnownPeer[]
  readonly #balancer: Balancer
  readonly #version: RemoteVersion
  readonly #parts: PeersParts
  #cursor = 0
  /** Second choices have turns of their own, or they would decide who is chosen first the next time. */
  #again = 0
  /** How many are not simply in. */
  #suspects = 0

  constructor(version: RemoteVersion, parts: PeersParts) {
    this.#version = version
    this.#parts = parts
    this.all = version.endpoints.map((endpoint) => new KnownPeer(endpoint))
    const balancer = BALANCERS.find(({ name }) => name === version.balance)
    assert(balancer !== undefined, `there is no way of balancing called ${version.balance}`)
    this.#balancer = balancer
  }

  /** Chosen, and counted as such: `ended` or `abandoned` of its load follows, and `noted`. */
  choose({ key, avoid }: Wish, now: number): KnownPeer {
    const [only] = this.all
    if (this.all.length === 1) {
      only!.load.started()
      return only!
    }
    const peer = this.#balancer.choose({
      all: this.all,
      eligible: this.#eligible(avoid, now),
      cursor: avoid.length === 0 ? this.#cursor : this.#again,
      model: this.#version.model,
      key,
      now,
      chance: this.#parts.chance,
    }) as KnownPeer
    if (avoid.length === 0) this.#cursor += 1
    else this.#again += 1
    peer.load.started()
    this.noted(peer, 'chosen', now)
    return peer
  }

  noted(peer: KnownPeer, event: StandingEvent, now: number): void {
    // Who has no other is never passed over: the breaker is what protects callers from it.
    if (this.all.length === 1) return
    const before = peer.standing
    peer.standing = step(before, event, now)
    if ((before.is === 'in') === (peer.standing.is === 'in')) return
    this.#suspects += peer.standing.is === 'in' ? -1 : 1
    this.#parts.onStanding?.({
      version: this.#version,
      endpoint: peer.endpoint.url,
      isOut: peer.standing.is !== 'in',
      forMs: peer.standing.is === 'out' ? Math.round(peer.standing.until - now) : 0,
      out: this.#suspects,
    })
  }

  #eligible(avoid: readonly string[], now: number): readonly KnownPeer[] {
    const { all } = this
    if (all.length === 1 || (this.#suspects === 0 && avoid.length === 0)) return all
    const welcome = this.#suspects === 0 ? all : this.#welcome(now)
    const untried = welcome.filter(({ endpoint }) => !avoid.includes(endpoint.url))
    if (untried.length > 0) return untried
    // Rather one that is out than one that has just failed this very request.
    const others = all.filter(({ endpoint }) => !avoid.includes(endpoint.url))
    return others.length > 0 ? others : welcome
  }

  #welcome(now: number): readonly KnownPeer[] {
    const welcome = this.all.filter(({ standing }) => isWelcome(standing, now))
    const missing = Math.ceil(this.all.length * ELIGIBLE_SHARE_MIN) - welcome.length
    if (missing <= 0) return welcome
    const others = this.all.filter(({ standing }) => !isWelcome(standing, now))
    others.sort((one, other) => backAt(one.standing) - backAt(other.standing))
    return [...welcome, ...others.slice(0, missing)]
  }
}

/** When it is welcome again; a trial under way decides soon. */
function backAt(standing: Standing): number {
  return standing.is === 'out' ? standing.until : Number.NEGATIVE_INFINITY
}
