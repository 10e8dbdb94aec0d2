/**
 * The one listening socket of the process, on a thread that does nothing else: connections are handed to the servers
 * of the lanes as they come, in turn. So a lane can begin and end without a socket being closed that has connections
 * in the kernel's queue (those would be reset), and a few long-lived clients are spread evenly, which the kernel's
 * choice among sockets on one port does not do: it goes by a hash.
 *
 * Taking turns is even for what comes, not for what stays. So only those lanes are in turn that have the fewest; and
 * none whose loop stands still, or it would get all of them, unless all stand still. What it costs: 10 to 15 µs of CPU for each connection, nothing for a
 * request (Node 20, 6,000 connections of one request each, beside lanes that listen themselves).
 */
import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js'
import type { Member, ServerDescriptor } from '../domain/lane-server.ts'
import type { HostPort } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import { BEAT_EVERY_MS, type ConnectionCounts } from './connection-counts.ts'
import type { Uws } from './load-uws.ts'

/** A lane whose loop did not turn for so long stands still, in ms. */
export const STILL_AFTER_MS = 10 * BEAT_EVERY_MS

/** What the published types leave out. */
interface Handing {
  addChildAppDescriptor(descriptor: ServerDescriptor): void
  removeChildAppDescriptor(descriptor: ServerDescriptor): void
}

export interface EntranceParts {
  readonly uws: Uws
  /** The lanes' servers speak TLS. */
  readonly isSecure: boolean
  readonly counts: ConnectionCounts
  readonly clock: Clock
}

export class Entrance {
  readonly #uws: Uws
  readonly #app: TemplatedApp & Handing
  readonly #counts: ConnectionCounts
  readonly #clock: Clock
  #socket: us_listen_socket | undefined
  #members: readonly Member[] = []
  /** Those whose turn may come. */
  readonly #inTurn = new Set<ServerDescriptor>()

  constructor({ uws, isSecure, counts, clock }: EntranceParts) {
    this.#uws = uws
    this.#app = (isSecure ? uws.SSLApp({}) : uws.App()) as TemplatedApp & Handing
    this.#counts = counts
    this.#clock = clock
  }

  /** Resolves to the port that was bound. `members` must have been told before, or it would answer by itself. */
  listen({ host, port }: HostPort): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#app.listen(host, port, (socket) => {
        if (socket === false) {
          reject(new Error(`cannot listen on ${host}:${port}: the address is in use or not of this machine`))
          return
        }
        this.#socket = socket
        resolve(this.#uws.us_socket_local_port(socket))
      })
    })
  }

  /** From now on connections go to these and to no others; at least one. */
  admit(members: readonly Member[]): void {
    this.#members = members
    this.balance()
  }

  /** To be called when counts have changed, and now and then. */
  balance(): void {
    const wanted = this.#wanted()
    // Added before others are removed: the entrance must never be without a server behind it.
    for (const { server } of wanted) {
      if (this.#inTurn.has(server)) continue
      this.#app.addChildAppDescriptor(server)
      this.#inTurn.add(server)
    }
    const kept = new Set(wanted.map(({ server }) => server))
    for (const server of this.#inTurn) {
      if (kept.has(server)) continue
      this.#app.removeChildAppDescriptor(server)
      this.#inTurn.delete(server)
    }
  }

  #wanted(): readonly Member[] {
    const now = this.#clock.now()
    const awake = this.#members.filter(({ seat }) => this.#counts.stillFor(seat, now) < STILL_AFTER_MS)
    const able = awake.length === 0 ? this.#members : awake
    const counts = able.map(({ seat }) => this.#counts.openIn(seat))
    const least = Math.min(...counts)
    return able.filter((_, index) => counts[index] === least)
  }

  /** Nothing is accepted any more. What the kernel has queued must have been accepted in this very turn. */
  close(): void {
    if (this.#socket !== undefined) this.#uws.us_listen_socket_close(this.#socket)
    this.#socket = undefined
    this.#app.close()
  }
}
