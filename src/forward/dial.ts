/**
 * From an endpoint to a socket that stands: the name resolved, its addresses tried in turn, private ones
 * refused where they are denied, TLS negotiated. One dial gives one socket, or one reason why not. An address
 * that is silent is not waited for alone: the next one is tried beside it, and the first that stands is it.
 *
 * The address is checked that is connected to, not the name: what a name says may change between two
 * questions. Bytes of TCP, TLS and unix sockets all arrive in the one read buffer of the thread (`onread`;
 * TLS decrypts into it, at most a record of 16 KiB at a time). Nothing is told inside the constructor.
 */
import { connect, type Socket } from 'node:net'
import type { FaultCode } from '../domain/fault.ts'
import type { Endpoint } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import { isPrivateAddress } from '../kernel/private-address.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'
import { readOnAfterWriteError } from './early-answer.ts'
import { TlsClient } from './endpoint-tls.ts'
import type { Name, Resolver } from './resolver.ts'
import { connectFault, describeError } from './socket-fault.ts'

const TCP_KEEP_ALIVE_MS = 15_000
/**
 * How long an address may be silent before the next one of its name is tried beside it; RFC 8305 §5 allows 100 ms to 2 s.
 * Short, because of `timeouts.connect` (250 ms by default) something has to be left for the next one.
 */
export const NEXT_ADDRESS_MS = 100

/** What dialling an endpoint needs and keeps from one dial to the next. One for each pool. */
export interface Destination {
  readonly endpoint: Endpoint
  /** null for unix sockets. */
  readonly name: Name | null
  readonly tls: TlsClient | null
}

export function destinationOf(endpoint: Endpoint, resolver: Resolver): Destination {
  return {
    endpoint,
    name: endpoint.socketPath === null ? resolver.nameOf(endpoint.host) : null,
    tls: endpoint.tls === null ? null : new TlsClient(endpoint.tls),
  }
}

export interface DialEvents {
  /** It stands. `address`: which one it was; empty for unix sockets. */
  connected(socket: Socket, address: string): void
  /** None of the addresses could be used. The last event. */
  failed(code: FaultCode, detail: string): void
  /** So many bytes are in the read buffer. False: read no more until `resume`. Only after `connected`. */
  read(length: number): boolean
  /** FIN, or a reset that looks like one, after `connected`. The socket is still to be closed. */
  ended(): void
  /** An error, after `connected`. */
  broke(error: Error): void
}

/** What all dials of a thread share. */
export interface DialParts {
  readonly clock: Clock
  readonly sweep: Sweep
  readonly readBuffer: Uint8Array
}

const NOTHING = (): void => {}

export class Dial implements Watched {
  /** Watched: when the next address is tried beside those that have not answered yet. */
  dueAt = Number.POSITIVE_INFINITY
  slot = -1
  readonly #destination: Destination
  readonly #parts: DialParts
  readonly #events: DialEvents
  #addresses: readonly string[] = []
  #next = 0
  /** Sockets and their addresses, in the order in which they were begun; once one stands, that one alone. */
  readonly #tries = new Map<Socket, string>()
  #stopWaiting: () => void = NOTHING
  #isConnected = false
  #isOver = false
  #code: FaultCode = 'connect-failed'
  readonly #problems: string[] = []

  constructor(destination: Destination, parts: DialParts, events: DialEvents) {
    this.#destination = destination
    this.#parts = parts
    this.#events = events
    const { name } = destination
    if (name === null) {
      this.#addresses = ['']
      this.#tryNext()
      return
    }
    const now = parts.clock.now()
    name.refresh(now)
    this.#addresses = name.candidates()
    if (this.#addresses.length > 0) this.#tryNext()
    else this.#stopWaiting = name.whenKnown((problem) => this.#resolved(name, problem), now)
  }

  /** Ends it, whatever it is doing; nothing more is told. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#parts.sweep.unwatch(this)
    this.#stopWaiting()
    for (const [socket, address] of this.#tries) {
      // An address that kept somebody waiting until they left is not the one to begin with next time.
      if (!this.#isConnected) this.#destination.name?.failed(address)
      socket.destroy()
    }
  }

  /** The sweep: whoever was asked is silent, which may be all that will come of it. */
  expire(): void {
    this.#tryNext()
  }

  #resolved(name: Name, problem: string | null): void {
    if (this.#isOver) return
    this.#addresses = name.candidates()
    if (problem !== null) this.#problems.push(problem)
    this.#tryNext()
  }

  #tryNext(): void {
    const { endpoint } = this.#destination
    while (this.#next < this.#addresses.length) {
      const address = this.#addresses[this.#next]!
      this.#next += 1
      if (endpoint.denyPrivate && address !== '' && isPrivateAddress(address)) {
        this.#code = 'address-denied'
        this.#problems.push(`${address} is a private address`)
        continue
      }
      this.#open(address)
      return
    }
    if (this.#tries.size === 0) queueMicrotask(() => this.#giveUp())
  }

  #giveUp(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#events.failed(this.#code, this.#problems.join('; '))
  }

  #open(address: string): void {
    const { tls } = this.#destination
    let socket: Socket
    try {
      socket = this.#socketTo(address)
    } catch (error) {
      // A certificate that reads well may still be too weak for the TLS library, which throws.
      return this.#lost(address, error as Error, true)
    }
    this.#tries.set(socket, address)
    this.#armNext()
    let hasTcp = false
    const lost = (error: Error, isHandshake: boolean): void => {
      if (this.#isOver || !this.#tries.has(socket)) return
      if (this.#isConnected) return this.#events.broke(error)
      this.#tries.delete(socket)
      socket.destroy()
      this.#lost(address, error, isHandshake)
    }
    socket.on('connect', () => {
      hasTcp = true
      if (tls === null) this.#stands(socket)
    })
    socket.on('secureConnect', () => this.#stands(socket))
    socket.on('end', () => {
      if (this.#isConnected && !this.#isOver) this.#events.ended()
    })
    socket.on('error', (error) => lost(error, hasTcp))
    socket.on('close', () => lost(new Error('closed'), hasTcp))
    readOnAfterWriteError(socket)
  }

  #armNext(): void {
    const { clock, sweep } = this.#parts
    if (this.#next === this.#addresses.length) return sweep.unwatch(this)
    this.dueAt = clock.now() + NEXT_ADDRESS_MS
    sweep.watch(this)
  }

  #socketTo(address: string): Socket {
    const { endpoint, tls } = this.#destination
    const callback = (length: number): boolean => {
      if (this.#isConnected) return this.#events.read(length)
      socket.destroy(new Error('bytes came before the connection stood'))
      return true
    }
    // Half-open, so that a FIN can be told from a reset (`Connection`); whoever gets `ended` ends it.
    const common = { allowHalfOpen: true, onread: { buffer: this.#parts.readBuffer, callback } }
    const transport = { ...common, host: address, port: endpoint.port }
    const socket: Socket =
      endpoint.socketPath !== null
        ? connect({ ...common, path: endpoint.socketPath })
        : tuned(tls === null ? connect(transport) : tls.connect(transport))
    return socket
  }

  /** The first that stands. Those begun before it were slower, and are not the ones to begin with next time. */
  #stands(socket: Socket): void {
    const address = this.#tries.get(socket)
    if (this.#isOver || this.#isConnected || address === undefined) return
    this.#isConnected = true
    this.#parts.sweep.unwatch(this)
    const { name } = this.#destination
    let isBefore = true
    for (const [other, itsAddress] of this.#tries) {
      if (other === socket) {
        isBefore = false
        continue
      }
      if (isBefore) name?.failed(itsAddress)
      this.#tries.delete(other)
      other.destroy()
    }
    name?.worked(address)
    this.#events.connected(socket, address)
  }

  #lost(address: string, error: Error, isHandshake: boolean): void {
    const { name, tls } = this.#destination
    name?.failed(address)
    tls?.forgetSession()
    this.#code = isHandshake && tls !== null ? 'tls-failed' : connectFault(error)
    const described = describeError(error)
    this.#problems.push(this.#addresses.length > 1 ? `${address}: ${described}` : described)
    this.#tryNext()
  }
}

function tuned(socket: Socket): Socket {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS)
  return socket
}
