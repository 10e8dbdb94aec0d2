/**
 * A lane's server, to which the entrance hands connections: one for plain HTTP; for TLS one for each certificate that
 * still has connections. A new certificate is a new server: what is handed over from then on goes there, and what is
 * open stays where it is, so nobody notices.
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js'
import type { ServerDescriptor } from '../domain/lane-server.ts'
import type { ServerTls } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import type { Uws } from './load-uws.ts'

export interface DoorParts {
  readonly uws: Uws
  /** Null: plain HTTP. */
  readonly tls: ServerTls | null
  /** `change`: 1 for a connection that opened, -1 for one that ended, whoever ended it. */
  readonly onConnection: (http: HttpResponse, change: number) => void
  readonly onRequest: (http: HttpResponse, request: HttpRequest) => void
}

/** Forward secret and authenticated; those of TLS 1.3 are not chosen here and always are. */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20'
/**
 * The server has no switch for the oldest version. These need a secret agreed on before, and there is none:
 * no client of TLS 1.2 can be served, while TLS 1.3 is untouched. test/accept/door.test.ts proves it.
 */
const NO_CIPHERS_BEFORE_1_3 = 'PSK'

/** What the published types leave out. */
type App = TemplatedApp & { getDescriptor(): ServerDescriptor }

/** A certificate in use, and what it is used by. */
interface Room {
  readonly app: App
  open: number
}

export class Door {
  readonly #parts: DoorParts
  /** Where accepted connections go. */
  #room: Room
  /** `#room`, and every older one that still has connections. */
  readonly #rooms = new Set<Room>()

  /** Throws, with words for people, when certificate and key cannot be used. */
  constructor(parts: DoorParts) {
    this.#parts = parts
    this.#room = this.#makeRoom()
    this.#rooms.add(this.#room)
  }

  /** Of the server that gets new connections, for an entrance. */
  get server(): ServerDescriptor {
    return this.#room.app.getDescriptor()
  }

  /** Certificates that connections are open with, or come in with. */
  get rooms(): number {
    return this.#rooms.size
  }

  /** `server` holds what the files hold now. Throws like the constructor; then all stays as it is. */
  renew(): void {
    assert(this.#parts.tls !== null, 'plain HTTP has no certificate')
    const next = this.#makeRoom()
    const previous = this.#room
    this.#rooms.add(next)
    this.#room = next
    this.#leave(previous)
  }

  /** Ends every connection. */
  close(): void {
    for (const { app } of this.#rooms) app.close()
  }

  #makeRoom(): Room {
    const { uws, tls, onConnection, onRequest } = this.#parts
    const room: Room = { app: (tls === null ? uws.App() : secureApp(uws, tls)) as App, open: 0 }
    const count = (http: HttpResponse, change: number): void => {
      this.#count(room, change)
      onConnection(http, change)
    }
    room.app.filter((http, change) => count(http, Number(change)))
    room.app.any('/*', onRequest)
    return room
  }

  /** A connection handed over just before a renewal may come to a room that had been left already. */
  #count(room: Room, change: number): void {
    room.open += change
    if (change > 0) this.#rooms.add(room)
    else this.#leave(room)
  }

  #leave(room: Room): void {
    if (room.open === 0 && room !== this.#room) this.#rooms.delete(room)
  }
}

function secureApp(uws: Uws, { certFile, keyFile, clientCaFile, minVersion }: ServerTls): TemplatedApp {
  try {
    return uws.SSLApp({
      cert_file_name: certFile,
      key_file_name: keyFile,
      ssl_ciphers: minVersion === '1.3' ? NO_CIPHERS_BEFORE_1_3 : CIPHERS,
      ...(clientCaFile === null ? {} : { ca_file_name: clientCaFile }),
    })
  } catch {
    // The server says no more than that it failed.
    const files = [certFile, keyFile, ...(clientCaFile === null ? [] : [clientCaFile])].join(', ')
    throw new Error(`the files of server.tls cannot be used together: ${files}`)
  }
}

/**
 * A client that shows a certificate nobody vouches for is turned away by the server, but one that shows none
 * is not: that is found here. A build of the server that cannot tell lets nobody in.
 */
export function hasCertificate(http: HttpResponse): boolean {
  const { getX509Certificate } = http as { getX509Certificate?: () => string }
  return getX509Certificate !== undefined && getX509Certificate.call(http) !== ''
}
