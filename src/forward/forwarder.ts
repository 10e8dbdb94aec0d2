/**
 * Carries requests to the endpoints of remote versions and hands their answers over as they come: the only
 * owner of connections to endpoints. One per lane; lanes share nothing here.
 *
 * A 5xx answer is an answer: what it means is decided elsewhere. What breaks HTTP, stops, is too large or
 * too late is a Fault, and its connection is closed. Knows versions only by what a request holds, so a
 * new configuration needs no word to it: connections nobody asks for any more retire by themselves.
 */
import { Buffer } from 'node:buffer'
import type { Endpoint, RemoteVersion } from '../domain/routes.ts'
import type { AttemptLimits, InProgress, OutboundRequest, Receiver } from '../domain/wire.ts'
import { assert } from '../kernel/assert.ts'
import { type Chance, systemChance } from '../kernel/chance.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Sweep } from '../kernel/sweep.ts'
import { type BoardShare, Peers, type PeersParts, type StandingChange } from './balance/peers.ts'
import { HedgedAttempt } from './hedge.ts'
import { writeHead } from './http1/request-writer.ts'
import { InFlight } from './in-flight.ts'
import { sentLater } from './outbound-headers.ts'
import { POOL_LIMITS, Pool, type PoolLimits, type PoolParts } from './pool.ts'
import { Resolver } from './resolver.ts'
import { SocketBudget } from './socket-budget.ts'

/** So that what one stream holds stays within 256 KiB: one read, and 64 KiB that its intake or its reply held. */
const READ_BUFFER_BYTES = 192 * 1024
const NONE: readonly string[] = []

export interface ForwarderParts {
  readonly clock: Clock
  readonly sweep: Sweep
  /** Default: the system's. */
  readonly chance?: Chance
  /** What all lanes know of endpoints; default: this forwarder keeps it to itself. */
  readonly endpoints?: BoardShare
  /** An endpoint is passed over from now on, or used again. */
  readonly onStanding?: (change: StandingChange) => void
  /** For each endpoint; default POOL_LIMITS. */
  readonly poolLimits?: Partial<PoolLimits>
  /** Of all connections, over all endpoints, and of other forwarders that share it. Default: no limit. */
  readonly sockets?: SocketBudget
  /** Default: one of its own, over the system's resolver. */
  readonly resolver?: Resolver
  /** Default READ_BUFFER_BYTES. A smaller one lets others have their turn sooner. */
  readonly readBufferBytes?: number
}

interface Launch {
  readonly receiver: Receiver
  readonly sinceMs: number
  /** Present for one of two copies: its connection is its own, so that giving it up ends nothing else. */
  readonly avoid?: readonly string[]
}

export interface ConnectionCounts {
  readonly open: number
  readonly idle: number
  /** Requests waiting because an endpoint's connections are all in use. */
  readonly waiting: number
}

export class Forwarder {
  readonly #parts: PoolParts
  /** By the endpoint’s key. Empty ones are forgotten when a new endpoint comes, so reloads leave nothing. */
  readonly #pools = new Map<string, Pool>()
  /** What is known of each version's endpoints. */
  readonly #peers = new WeakMap<RemoteVersion, Peers>()
  readonly #peersParts: PeersParts
  #isClosed = false

  constructor(parts: ForwarderParts) {
    const { clock, sweep, poolLimits = {}, resolver = new Resolver({ clock }) } = parts
    const readBuffer = Buffer.allocUnsafeSlow(parts.readBufferBytes ?? READ_BUFFER_BYTES)
    const { chance = systemChance, endpoints: share, onStanding } = parts
    this.#peersParts = { chance, share, onStanding }
    const sockets = parts.sockets ?? new SocketBudget(Number.POSITIVE_INFINITY)
    this.#parts = { clock, sweep, resolver, readBuffer, sockets, limits: { ...POOL_LIMITS, ...poolLimits } }
  }

  /** Tells `receiver` nothing inside this call; `done` exactly once unless cancelled. */
  send(
    version: RemoteVersion,
    request: OutboundRequest,
    limits: AttemptLimits,
    receiver: Receiver,
  ): InProgress {
    const { hedge } = limits
    if (hedge === undefined) return this.#launch(version, request, limits, { receiver, sinceMs: 0 })
    return new HedgedAttempt(hedge, {
      clock: this.#parts.clock,
      sweep: this.#parts.sweep,
      limits,
      receiver,
      isOnly: version.endpoints.length === 1,
      launch: (copy, avoid, sinceMs) =>
        this.#launch(version, sinceMs === 0 ? request : sentLater(request, sinceMs), limits, {
          receiver: copy,
          sinceMs,
          avoid,
        }),
    })
  }

  #launch(version: RemoteVersion, request: OutboundRequest, limits: AttemptLimits, how: Launch): InFlight {
    const { clock, sweep } = this.#parts
    const { receiver, sinceMs, avoid } = how
    const peers = this.#peersOf(version)
    const wish = { key: limits.key ?? '', avoid: avoid ?? limits.avoid ?? NONE }
    const peer = peers.choose(wish, clock.now())
    const { endpoint } = peer
    const head = writeHead(request, endpoint.authority)
    const isWritten = typeof head === 'string'
    const inFlight = new InFlight(
      {
        version,
        peers,
        peer,
        request,
        head: isWritten ? head : '',
        limits,
        receiver,
        sinceMs,
        isAlone: avoid !== undefined,
      },
      clock,
      sweep,
    )
    if (this.#isClosed) inFlight.failSoon('draining', 'the forwarder is closed')
    else if (!isWritten) inFlight.failSoon('malformed-request', head.unwritable)
    else inFlight.start(this.#poolOf(endpoint))
    return inFlight
  }

  counts(): ConnectionCounts {
    let open = 0
    let idle = 0
    let waiting = 0
    for (const pool of this.#pools.values()) {
      open += pool.openCount
      idle += pool.idleCount
      waiting += pool.waitingCount
    }
    return { open, idle, waiting }
  }

  /** Ends every connection at once; requests still under way fail with `draining`. */
  close(): void {
    this.#isClosed = true
    for (const pool of this.#pools.values()) pool.close()
    this.#pools.clear()
  }

  #peersOf(version: RemoteVersion): Peers {
    let peers = this.#peers.get(version)
    if (peers === undefined) {
      assert(version.endpoints.length > 0, 'a remote version has at least one endpoint')
      peers = new Peers(version, this.#peersParts)
      this.#peers.set(version, peers)
    }
    return peers
  }

  #poolOf(endpoint: Endpoint): Pool {
    const { sockets } = this.#parts
    const known = this.#pools.get(endpoint.key)
    if (known !== undefined) return known
    for (const [key, pool] of this.#pools) {
      if (pool.openCount > 0 || pool.waitingCount > 0) continue
      sockets.part(pool)
      this.#pools.delete(key)
    }
    const pool = new Pool(endpoint, this.#parts)
    this.#pools.set(endpoint.key, pool)
    return pool
  }
}
