/**
 * The endpoints of one version, as one lane sees them: which may be chosen, which one is, and how that went.
 *
 * Endpoints that fail (outlier.ts) or say that they are not well are passed over, but never more than leaves half of
 * them: the others would be run over next, and of a version with one endpoint nothing is ever passed over. Where fewer
 * than half are healthy, what endpoints say is ignored, and what requests find out decides alone; where more than
 * half should be out for failing, those come back first that were to come back first.
 *
 * What is known is the board's, which all lanes share; here is what it said last, read anew when it changed.
 */
import type { Sieve } from '../../domain/outcome.ts'
import type { RemoteVersion } from '../../domain/routes.ts'
import { assert } from '../../kernel/assert.ts'
import type { Chance } from '../../kernel/chance.ts'
import { leastEligible } from '../../kernel/least-eligible.ts'
import type { BalanceQuestion, Balancer, Peer } from './balancer.ts'
import { type BoardPlace, EndpointBoard, type Side } from './endpoint-board.ts'
import { EndpointLoad } from './endpoint-load.ts'
import { BALANCERS } from './index.ts'
import { FAILURES_MAX, GOOD_STANDING, isWelcome, type Standing, type StandingEvent } from './outlier.ts'
import { givesWay, warmth } from './warmth.ts'

/** After so many failures in a row, further ones may be an endpoint's own. */
export const OWN_FAILURES_MIN = 2

export interface Wish {
  /** The caller's sticky key. */
  readonly key: string
  /** Addresses (`url`) that were tried already: the last to be chosen again. */
  readonly avoid: readonly string[]
}

/** An endpoint in its lane: its load, and what the board said of it last. */
export class KnownPeer implements Peer {
  readonly endpoint: Peer['endpoint']
  readonly load: EndpointLoad
  readonly place: BoardPlace
  standing: Standing = GOOD_STANDING
  isUnhealthy = false

  constructor(endpoint: Peer['endpoint'], load: EndpointLoad, place: BoardPlace) {
    this.endpoint = endpoint
    this.load = load
    this.place = place
  }
}

/** An endpoint was put out, or is in again. */
export interface StandingChange {
  readonly version: RemoteVersion
  readonly endpoint: string
  readonly isOut: boolean
  /** How long it is passed over at least; 0 when it is in again. */
  readonly forMs: number
  readonly cause: string
}

/** A lane's part of what all threads know. */
export interface BoardShare {
  readonly board: EndpointBoard
  readonly lane: number
  readonly side: Side
}

export interface PeersParts {
  readonly chance: Chance
  /** Default: a board for this lane alone. */
  readonly share?: BoardShare | undefined
  /** Told by the lane that made the change, and by no other. */
  readonly onStanding?: ((change: StandingChange) => void) | undefined
}

export class Peers {
  readonly all: readonly KnownPeer[]
  readonly #board: EndpointBoard
  readonly #balancer: Balancer
  readonly #version: RemoteVersion
  readonly #parts: PeersParts
  #cursor = 0
  /** Second choices have turns of their own, or they would decide who is chosen first the next time. */
  #again = 0
  /** The board's count of changes when it was read; what follows is what it said then. */
  #seen = 0
  /** Until then, in monotonic ms, some may be getting less than their share. */
  #coldUntil = 0
  /** Those that may be chosen, until the time of one of those that are out has come. */
  #eligible: readonly KnownPeer[]
  #eligibleUntil = Number.POSITIVE_INFINITY
  #sieve: Sieve | null = null

  constructor(version: RemoteVersion, parts: PeersParts) {
    const { board, lane, side } = parts.share ?? ownBoard(version)
    this.#version = version
    this.#parts = parts
    this.#board = board
    this.all = version.endpoints.map((endpoint, index) => {
      const place = { side, version: version.index, endpoint: version.firstEndpoint + index }
      const words = side === 'serving' ? board.takeLoad(lane, place.endpoint) : undefined
      return new KnownPeer(endpoint, new EndpointLoad(words), place)
    })
    this.#eligible = this.all
    const balancer = BALANCERS.find(({ name }) => name === version.balance)
    assert(balancer !== undefined, `there is no way of balancing called ${version.balance}`)
    this.#balancer = balancer
  }

  /** Of the last choice: null when all endpoints could be chosen. */
  get sieve(): Sieve | null {
    return this.#sieve
  }

  /** Chosen, and counted as such: `ended` or `abandoned` of its load follows, and `noted`. */
  choose(wish: Wish, now: number): KnownPeer {
    const { all } = this
    let peer = all[0]!
    if (all.length > 1) {
      if (this.#board.changesOf(this.#version.index) !== this.#seen) this.#look()
      peer = this.#oneOf(this.#eligibleFor(wish.avoid, now), wish, now)
      while (!this.#isMine(peer, now)) {
        this.#look()
        peer = this.#oneOf(this.#eligibleFor(wish.avoid, now), wish, now)
      }
      if (wish.avoid.length === 0) this.#cursor += 1
      else this.#again += 1
    }
    peer.load.started()
    return peer
  }

  noted(peer: KnownPeer, event: StandingEvent, now: number): void {
    // Who has no other is never passed over: the breaker is what protects callers from it.
    if (this.all.length === 1) return
    const change = this.#board.note(peer.place, event, now)
    if (change === null) return
    const { before, after } = change
    if ((before.is === 'in') === (after.is === 'in')) return
    const isOut = after.is !== 'in'
    this.#parts.onStanding?.({
      version: this.#version,
      endpoint: peer.endpoint.url,
      isOut,
      forMs: after.is === 'out' ? Math.round(after.until - now) : 0,
      cause: isOut ? `${FAILURES_MAX} failures in a row` : 'an attempt succeeded',
    })
  }

  /**
   * Whether this one's failures are its own: it has failed in a row, or is out, while of the others none has, and they
   * are enough. Where all endpoints fail now and then, that is rarely so.
   */
  failsAlone(peer: KnownPeer): boolean {
    const own = this.#board.standingOf(peer.place)
    if (this.all.length === 1 || (own.is === 'in' && own.failures < OWN_FAILURES_MIN)) return false
    let others = 0
    for (const other of this.all) {
      if (other === peer || this.#board.isUnhealthy(other.place.endpoint)) continue
      const standing = this.#board.standingOf(other.place)
      if (standing.is !== 'in' || standing.failures > 0) return false
      others += 1
    }
    return others >= leastEligible(this.all.length)
  }

  /** False: it was to be a trial, and another lane was faster. */
  #isMine(peer: KnownPeer, now: number): boolean {
    if (peer.standing.is === 'in' || !isWelcome(peer.standing, now)) return true
    return this.#board.note(peer.place, 'chosen', now) !== null
  }

  #oneOf(eligible: readonly KnownPeer[], wish: Wish, now: number): KnownPeer {
    const question = this.#question(eligible, wish, now)
    const peer = this.#balancer.choose(question) as KnownPeer
    return now < this.#coldUntil && eligible.length > 1 ? this.#warmOne(peer, question, wish) : peer
  }

  /** Whoever is not warm yet gives way as often as it is too cold; then another one is chosen from the others. */
  #warmOne(first: KnownPeer, asked: BalanceQuestion, wish: Wish): KnownPeer {
    const { now } = asked
    const eligible = asked.eligible as readonly KnownPeer[]
    const warmthOf = (peer: KnownPeer): number => this.#warmthOf(peer, now)
    const warmest = Math.max(...eligible.map(warmthOf))
    let peer = first
    let left = eligible
    while (left.length > 1 && givesWay(warmthOf(peer), warmest, this.#balancer.draw(asked, peer))) {
      left = left.filter((other) => other !== peer)
      peer = this.#balancer.choose(this.#question(left, wish, now)) as KnownPeer
    }
    return peer
  }

  #warmthOf({ standing }: KnownPeer, now: number): number {
    return standing.is === 'in' ? warmth(standing.since, now, this.#version.slowStartMs) : 1
  }

  #question(eligible: readonly KnownPeer[], { key, avoid }: Wish, now: number): BalanceQuestion {
    return {
      all: this.all,
      eligible,
      cursor: avoid.length === 0 ? this.#cursor : this.#again,
      model: this.#version.model,
      key,
      now,
      chance: this.#parts.chance,
    }
  }

  #eligibleFor(avoid: readonly string[], now: number): readonly KnownPeer[] {
    if (now >= this.#eligibleUntil) this.#sift(now)
    if (avoid.length === 0) return this.#eligible
    const isUntried = ({ endpoint }: KnownPeer): boolean => !avoid.includes(endpoint.url)
    const untried = this.#eligible.filter(isUntried)
    if (untried.length > 0) return untried
    // Rather one that is out than one that has just failed this very request.
    const others = this.all.filter(isUntried)
    const healthy = others.filter(({ isUnhealthy }) => !isUnhealthy)
    if (healthy.length > 0) return healthy
    return others.length > 0 ? others : this.#eligible
  }

  /** Reads the board. What changes while it is read is seen the next time. */
  #look(): void {
    const version = this.#version
    this.#seen = this.#board.changesOf(version.index)
    this.#coldUntil = 0
    for (const peer of this.all) {
      const before = peer.standing
      const after = this.#board.standingOf(peer.place)
      peer.standing = after
      peer.isUnhealthy = this.#board.isUnhealthy(peer.place.endpoint)
      if (after.is !== 'in') continue
      this.#coldUntil = Math.max(this.#coldUntil, after.since === 0 ? 0 : after.since + version.slowStartMs)
      if (before.is !== 'in' || before.since !== after.since) peer.load.forget()
    }
    this.#eligibleUntil = Number.NEGATIVE_INFINITY
  }

  /** Finds out who may be chosen, and until when that holds. */
  #sift(now: number): void {
    const { all } = this
    const least = leastEligible(all.length)
    const healthy = all.filter(({ isUnhealthy }) => !isUnhealthy)
    const trusted = healthy.length >= least ? healthy : all
    const welcome = trusted.filter(({ standing }) => isWelcome(standing, now))
    this.#eligibleUntil = Math.min(...all.map(({ standing }) => welcomeFrom(standing, now)))
    this.#eligible = welcome.length === all.length ? all : this.#enough(welcome, least)
    const isHealthIgnored = trusted.length > healthy.length
    const isWhole = this.#eligible === all && !isHealthIgnored
    this.#sieve = isWhole ? null : { eligible: this.#eligible.length, endpoints: all.length, isHealthIgnored }
  }

  #enough(welcome: readonly KnownPeer[], least: number): readonly KnownPeer[] {
    if (welcome.length >= least) return welcome
    const others = this.all.filter((peer) => !welcome.includes(peer))
    others.sort(
      (one, other) =>
        Number(one.isUnhealthy) - Number(other.isUnhealthy) || backAt(one.standing) - backAt(other.standing),
    )
    return [...welcome, ...others.slice(0, least - welcome.length)]
  }
}

/** When it is welcome again; a trial under way decides soon. */
function backAt(standing: Standing): number {
  return standing.is === 'out' ? standing.until : Number.NEGATIVE_INFINITY
}

/** When it becomes welcome without anything happening; Infinity: it is, or never. */
function welcomeFrom(standing: Standing, now: number): number {
  return standing.is === 'in' || standing.until <= now ? Number.POSITIVE_INFINITY : standing.until
}

function ownBoard({ index, firstEndpoint, endpoints }: RemoteVersion): BoardShare {
  const shape = { endpoints: firstEndpoint + endpoints.length, versions: index + 1, lanes: 1 }
  return { board: new EndpointBoard(shape), lane: 0, side: 'serving' }
}
