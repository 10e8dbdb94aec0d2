/**
 * From an endpoint to a socket that stands: the name resolved, its addresses tried in turn, private ones
 * refused where they are denied, TLS negotiated. One dial gives one socket, or one reason why not.
 *
 * The address is checked that is connected to, not the name: what a name says may change between two
 * questions. Bytes of TCP, TLS and unix sockets all arrive in the one read buffer of the thread (`onread`;
 * TLS decrypts into it, at most a record of 16 KiB at a time). Nothing is told inside the constructor.
 */
import { connect, type Socket } from 'node:net'
import type { FaultCode } from '../domain/fault.ts'
import type { Endpoint } from '../domain/routes.ts'
import { isPrivateAddress } from '../kernel/private-address.ts'
import { readOnAfterWriteError } from './early-answer.ts'
import { TlsClient } from './endpoint-tls.ts'
import type { Name, Resolver } from './resolver.ts'
import { connectFault, describeError } from './socket-fault.ts'

const TCP_KEEP_ALIVE_MS = 15_000

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

const NOTHING = (): void => {}

export class Dial {
  readonly #destination: Destination
  readonly #readBuffer: Uint8Array
  readonly #events: DialEvents
  #addresses: readonly string[] = []
  #next = 0
  #address = ''
  #socket: Socket | undefined
  #stopWaiting: () => void = NOTHING
  #isConnected = false
  #isOver = false
  #code: FaultCode = 'connect-failed'
  readonly #problems: string[] = []

  constructor(destination: Destination, readBuffer: Uint8Array, events: DialEvents, now: number) {
    this.#destination = destination
    this.#readBuffer = readBuffer
    this.#events = events
    const { name } = destination
    if (name === null) {
      this.#addresses = ['']
      this.#tryNext()
      return
    }
    name.refresh(now)
    this.#addresses = name.candidates()
    if (this.#addresses.length > 0) this.#tryNext()
    else this.#stopWaiting = name.whenKnown((problem) => this.#resolved(name, problem), now)
  }

  /** Ends it, whatever it is doing; nothing more is told. */
  close(): void {
    if (this.#isOver) return
    // An address that kept somebody waiting until they left is not the one to begin with next time.
    if (!this.#isConnected && this.#socket !== undefined) this.#destination.name?.failed(this.#address)
    this.#isOver = true
    this.#stopWaiting()
    this.#socket?.destroy()
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
      this.#address = address
      this.#open(address)
      return
    }
    queueMicrotask(() => this.#giveUp())
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
      return this.#lost(error as Error, true)
    }
    this.#socket = socket
    let hasTcp = false
    const lost = (error: Error, isHandshake: boolean): void => {
      if (this.#isOver || this.#socket !== socket) return
      if (this.#isConnected) this.#events.broke(error)
      else this.#lost(error, isHandshake)
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

  #socketTo(address: string): Socket {
    const { endpoint, tls } = this.#destination
    const buffer = this.#readBuffer
    const callback = (length: number): boolean => {
      if (this.#isConnected) return this.#events.read(length)
      this.#socket?.destroy(new Error('bytes came before the connection stood'))
      return true
    }
    // Half-open, so that a FIN can be told from a reset (`Connection`); whoever gets `ended` ends it.
    const common = { allowHalfOpen: true, onread: { buffer, callback } }
    if (endpoint.socketPath !== null) return connect({ ...common, path: endpoint.socketPath })
    const transport = { ...common, host: address, port: endpoint.port }
    return tuned(tls === null ? connect(transport) : tls.connect(transport))
  }

  #stands(socket: Socket): void {
    if (this.#isOver || this.#socket !== socket) return
    this.#isConnected = true
    this.#destination.name?.worked(this.#address)
    this.#events.connected(socket, this.#address)
  }

  #lost(error: Error, isHandshake: boolean): void {
    const { name, tls } = this.#destination
    name?.failed(this.#address)
    tls?.forgetSession()
    this.#code = isHandshake && tls !== null ? 'tls-failed' : connectFault(error)
    const described = describeError(error)
    this.#problems.push(this.#addresses.length > 1 ? `${this.#address}: ${described}` : described)
    this.#socket?.destroy()
    this.#socket = undefined
    this.#tryNext()
  }
}

function tuned(socket: Socket): Socket {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS)
  return socket
}
