/**
 * The connections to one endpoint: who gets which, how many there may be, when an idle one is let go.
 *
 * Where the version allows pipelining, a request that may be repeated goes behind others: first on a
 * connection that is written to in this turn anyway, then on an idle one, then where the fewest wait and no
 * answer has begun; only then is a connection opened.
 *
 * The last one used is used first, so that a quiet pool shrinks from its old end and what is handed out
 * is the least likely to have been closed by the other side. Everything is bounded: connections, idle
 * ones, requests waiting. A request keeps the connection it opened; nobody else's takes it away.
 */
import type { Endpoint } from '../domain/routes.ts'
import type { Watched } from '../kernel/sweep.ts'
import type { Carried } from './carried.ts'
import { Connection, type ConnectionOwner, type ConnectionParts } from './connection.ts'
import { type Destination, destinationOf } from './dial.ts'
import type { Resolver } from './resolver.ts'
import type { SocketBudget, SocketUser } from './socket-budget.ts'

export const CONNECTIONS_MAX = 256
/** As many as there may be: with fewer, a load that needs more would close and open connections all the time. */
export const IDLE_CONNECTIONS_MAX = CONNECTIONS_MAX
export const WAITING_MAX = 1_024
/** An idle connection is closed after this long, or a second before the endpoint said it would. */
export const IDLE_MS_MAX = 30_000
/** No pipelining for so long after the endpoint closed a connection with requests waiting on it. */
export const UNSHARED_MS = 10_000
const KEEP_ALIVE_GUARD_MS = 1_000

export interface PoolLimits {
  readonly connectionsMax: number
  readonly idleMax: number
  readonly waitingMax: number
  readonly idleMsMax: number
}

export const POOL_LIMITS: PoolLimits = {
  connectionsMax: CONNECTIONS_MAX,
  idleMax: IDLE_CONNECTIONS_MAX,
  waitingMax: WAITING_MAX,
  idleMsMax: IDLE_MS_MAX,
}

/** A request that needs a connection. */
export interface Taker extends Carried {
  /** `connection` is this taker's now: idle, or still connecting and then `connected` follows. */
  granted(connection: Connection, now: number): void
  /** The pool closes; it was still waiting. */
  refused(): void
}

export interface PoolParts extends ConnectionParts {
  readonly resolver: Resolver
  readonly limits: PoolLimits
  /** Shared by all pools of a lane. */
  readonly sockets: SocketBudget
}

export class Pool implements ConnectionOwner, SocketUser, Watched {
  /** Watched: when the first idle connection has to go. */
  dueAt = Number.POSITIVE_INFINITY
  slot = -1
  readonly #destination: Destination
  readonly #parts: PoolParts
  readonly #all = new Set<Connection>()
  /** The last one is handed out next. */
  readonly #idle: Connection[] = []
  /** First in, first out; a Set, because those who stop waiting leave from the middle. */
  readonly #waiting = new Set<Taker>()
  readonly #pipelines: boolean
  /** Monotonic ms before which each request has a connection to itself. */
  #sharesFrom = Number.NEGATIVE_INFINITY
  /** The last one that was given a request. */
  #latest: Connection | undefined
  #isClosed = false

  constructor(endpoint: Endpoint, parts: PoolParts) {
    this.#destination = destinationOf(endpoint, parts.resolver)
    this.#parts = parts
    this.#pipelines = endpoint.pipeline > 1
    parts.sockets.join(this)
  }

  get openCount(): number {
    return this.#all.size
  }

  get idleCount(): number {
    return this.#idle.length
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  /** Grants at once, or later ('waiting'), or never ('full'). */
  acquire(taker: Taker, now: number): 'granted' | 'waiting' | 'full' {
    this.#destination.name?.refresh(now)
    const isShared = this.#mayShare(taker, now)
    const connection =
      (isShared ? this.#gathering() : undefined) ??
      this.#takeIdle(now) ??
      (isShared ? this.#roomiest() : undefined)
    if (connection !== undefined) {
      this.#grant(connection, taker, now)
      return 'granted'
    }
    if (this.#mayOpen()) {
      this.#open(taker, now)
      return 'granted'
    }
    if (this.#waiting.size >= this.#parts.limits.waitingMax) return 'full'
    this.#waiting.add(taker)
    return 'waiting'
  }

  /** For a request whose connection was dead: one that was never used, as soon as there may be one. */
  again(taker: Taker, now: number): void {
    if (this.#isClosed) taker.refused()
    else if (this.#mayOpen()) this.#open(taker, now)
    else this.#waiting.add(taker)
  }

  /** Counts it; `#open` follows. */
  #mayOpen(): boolean {
    const { limits, sockets } = this.#parts
    return this.#all.size < limits.connectionsMax && sockets.take()
  }

  #open(taker: Taker, now: number): void {
    const connection = new Connection(this.#destination, this.#parts, this)
    this.#all.add(connection)
    this.#grant(connection, taker, now)
  }

  stopWaiting(taker: Taker): void {
    this.#waiting.delete(taker)
  }

  released(connection: Connection, now: number): void {
    const { limits, sweep } = this.#parts
    const keptMs = Math.min(limits.idleMsMax, connection.keepAliveMs - KEEP_ALIVE_GUARD_MS)
    if (keptMs <= 0 || !connection.isIdle || this.#isElsewhere(connection)) {
      connection.close()
      return
    }
    const waiting = this.#nextWaiting()
    if (waiting !== undefined) {
      this.#grant(connection, waiting, now)
      return
    }
    if (this.#idle.length >= limits.idleMax) {
      connection.close()
      return
    }
    connection.retireAt = now + keptMs
    this.#idle.push(connection)
    if (connection.retireAt < this.dueAt) this.dueAt = connection.retireAt
    sweep.watch(this)
  }

  declined(now: number): void {
    this.#sharesFrom = now + UNSHARED_MS
  }

  eased(connection: Connection, now: number): void {
    for (const taker of this.#waiting) {
      if (!connection.hasRoom || !this.#mayShare(taker, now)) return
      this.#waiting.delete(taker)
      this.#grant(connection, taker, now)
    }
  }

  closed(connection: Connection): void {
    if (this.#latest === connection) this.#latest = undefined
    if (this.#all.delete(connection)) this.#parts.sockets.giveBack(this.#parts.clock.now())
    const index = this.#idle.lastIndexOf(connection)
    if (index !== -1) this.#idle.splice(index, 1)
  }

  retireIdle(): boolean {
    const oldest = this.#idle[0]
    oldest?.close()
    return oldest !== undefined
  }

  vacated(now: number): void {
    if (this.#isClosed) return
    while (this.#waiting.size > 0 && this.#mayOpen()) this.#open(this.#nextWaiting()!, now)
    if (this.#all.size === 0) this.#parts.sweep.unwatch(this)
  }

  /** The sweep: retires what is due and finds out what is due next. */
  expire(now: number): void {
    const due = this.#idle.filter((connection) => connection.retireAt <= now)
    for (const connection of due) connection.close()
    this.dueAt = Number.POSITIVE_INFINITY
    for (const { retireAt } of this.#idle) if (retireAt < this.dueAt) this.dueAt = retireAt
    if (this.#idle.length > 0) this.#parts.sweep.watch(this)
  }

  /** Ends every connection; what they carry and what waits is told that the gateway stops. */
  close(): void {
    this.#isClosed = true
    this.#parts.sockets.part(this)
    this.#parts.sweep.unwatch(this)
    for (const connection of [...this.#all]) connection.fail('draining', 'the forwarder was closed')
    for (const taker of [...this.#waiting]) taker.refused()
    this.#waiting.clear()
  }

  #grant(connection: Connection, taker: Taker, now: number): void {
    if (this.#pipelines) this.#latest = connection
    connection.take(taker)
    taker.granted(connection, now)
  }

  /** Skips, and ends, those that died or are due while nobody looked. */
  #takeIdle(now: number): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined) return undefined
      if (connection.isIdle && connection.retireAt > now) return connection
      connection.close()
    }
  }

  #mayShare(taker: Taker, now: number): boolean {
    return this.#pipelines && now >= this.#sharesFrom && taker.isRepeatable
  }

  /** One that is written to at the end of this turn anyway. */
  #gathering(): Connection | undefined {
    const latest = this.#latest
    return latest?.isGathering === true && latest.hasRoom ? latest : undefined
  }

  /** Where the fewest are carried. With pipelining there are few connections. */
  #roomiest(): Connection | undefined {
    let found: Connection | undefined
    for (const connection of this.#all) {
      if (connection.hasRoom && connection.carriedCount < (found?.carriedCount ?? Number.POSITIVE_INFINITY)) {
        found = connection
      }
    }
    return found
  }

  /** Its address is no longer one of the endpoint's: the name says so now. */
  #isElsewhere({ address }: Connection): boolean {
    const { name } = this.#destination
    return name !== null && !name.has(address)
  }

  #nextWaiting(): Taker | undefined {
    for (const taker of this.#waiting) {
      this.#waiting.delete(taker)
      return taker
    }
    return undefined
  }
}
