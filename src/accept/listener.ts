/**
 * One lane's end of the port: turns the server's callbacks into (head, body, client) and obeys
 * its lifetime rules, so that nothing behind this folder has to know them: the head is copied inside
 * the callback, the abort handler is attached before it returns, writes are corked and guarded.
 *
 * It has no socket of its own: the entrance listens, and hands it connections (entrance.ts).
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { type Fault, fault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'
import type { ServerDescriptor } from '../domain/lane-server.ts'
import type { ServerTls } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import type { MemoryBudget } from '../kernel/memory-budget.ts'
import type { Sweep } from '../kernel/sweep.ts'
import { addressOf } from './address.ts'
import { type BodyKeeping, BodySource } from './body.ts'
import { BodyPatience } from './body-patience.ts'
import { ClientResponse } from './client-response.ts'
import { Door, hasCertificate } from './door.ts'
import { type HeadRules, readHead } from './head.ts'
import type { Uws } from './load-uws.ts'
import { TrustPolicy } from './trust.ts'

export interface Incoming {
  readonly head: Head
  readonly body: BodySource
  readonly client: ClientResponse
  /** Why this request goes no further; its connection must be closed with the answer. */
  readonly refusal: Fault | null
}

export interface ListenerParts {
  readonly uws: Uws
  /** Connections of this lane; more are closed before anything is read from them. */
  readonly connectionsMax: number
  /** From the request line to the empty line; more is refused with 431. */
  readonly headerBytesMax: number
  /** Bodies without a length: read, or refused with 411. */
  readonly chunkedAccepted: boolean
  /** Ranges of server.trust. */
  readonly trust: readonly string[]
  /** Null: plain HTTP. */
  readonly tls: ServerTls | null
  readonly sweep: Sweep
  /** For bodies, of this lane. */
  readonly memory: MemoryBudget
  onRequest(incoming: Incoming): void
  /** One that is refused is closed, too. */
  onConnection?(what: ConnectionEvent): void
  /** Open now. */
  onCount?(open: number): void
  /** A connection ended before a request of it came to us; told beside `closed`. */
  onUnread?(address: string): void
}

export type ConnectionEvent = 'opened' | 'closed' | 'refused'

export class Listener {
  readonly #parts: ListenerParts
  #door: Door | undefined
  readonly #receiving: Receiving
  #open = 0
  #isClosed = false

  constructor(parts: ListenerParts) {
    this.#parts = parts
    const { sweep, headerBytesMax, chunkedAccepted, tls } = parts
    const scheme = tls === null ? 'http' : 'https'
    this.#receiving = {
      rules: { headerBytesMax, chunkedAccepted, trust: new TrustPolicy(parts.trust, scheme) },
      sweep,
      isCertificateNeeded: tls !== null && tls.clientCaFile !== null,
      keeping: { memory: parts.memory, patience: new BodyPatience(sweep) },
    }
  }

  /** To what an entrance hands connections to. Throws, with words for people, when the files of `tls` cannot be used. */
  open(): ServerDescriptor {
    const parts = this.#parts
    this.#door = new Door({
      uws: parts.uws,
      tls: parts.tls,
      onConnection: (http, change) => this.#count(http, change),
      onRequest: (http, request) => parts.onRequest(receive(http, request, this.#receiving)),
    })
    return this.#door.server
  }

  /** Open now. */
  get connections(): number {
    return this.#open
  }

  /**
   * To what connections must be handed to from now on, to get what the files of `tls` hold now. Throws when they cannot
   * be used; then nothing changes, nor does it after `close`.
   */
  renewCertificate(): ServerDescriptor {
    const door = this.#door
    assert(door !== undefined, 'a certificate is renewed after the first one')
    if (!this.#isClosed) door.renew()
    return door.server
  }

  /** Ends every connection. The thread's loop can empty afterwards. */
  close(): void {
    this.#isClosed = true
    this.#door?.close()
  }

  /** `change`: 1 for a connection that opened, -1 for one that ended, whoever ended it. */
  #count(http: HttpResponse, change: number): void {
    this.#open += change
    this.#parts.onCount?.(this.#open)
    const { connectionsMax, onConnection, onUnread } = this.#parts
    if (change < 0) return onConnection?.('closed')
    // One that was accepted just before the end may come after it.
    const isRefused = this.#open > connectionsMax || this.#isClosed
    onConnection?.(isRefused ? 'refused' : 'opened')
    if (isRefused) return void http.close()
    const address = addressOf(http)
    // The first request puts its own handler in place of this one.
    http.onAborted(() => onUnread?.(address))
  }
}

/** What every request of a listener is read with. */
interface Receiving {
  readonly rules: HeadRules
  readonly sweep: Sweep
  /** Only clients that showed a certificate are served. */
  readonly isCertificateNeeded: boolean
  readonly keeping: BodyKeeping
}

function receive(http: HttpResponse, request: HttpRequest, receiving: Receiving): Incoming {
  const { rules, sweep, keeping, isCertificateNeeded } = receiving
  const client = new ClientResponse(http, request.getCaseSensitiveMethod() === 'HEAD', sweep)
  let body: BodySource | undefined
  http.onAborted(() => {
    body?.release()
    client.leave()
  })
  const { head, framing, refusal } = readHead(request, addressOf(http), rules)
  // What follows is not taken for a request; the server's reader of chunks is lenient.
  if (framing.isLast) client.closeAfter()
  body = new BodySource(http, framing, keeping)
  const isStranger = isCertificateNeeded && !hasCertificate(http)
  return { head, body, client, refusal: isStranger ? NO_CERTIFICATE : refusal }
}

const NO_CERTIFICATE = fault(
  'client-certificate-required',
  'this gateway serves only clients that show a certificate it knows (server.tls.client_ca)',
)
