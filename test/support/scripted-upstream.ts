/**
 * An endpoint that does exactly what a test tells it: a raw TCP server on a free loopback port whose
 * connections each follow a script, and which keeps every received byte. It understands only enough
 * HTTP to know where a request with Content-Length ends, and shares no code with the codec under test.
 *
 * Scripts are async functions; the n-th connection runs the n-th script, later ones repeat the last.
 * A script that waits on a connection which closes just ends; any other error is kept in `problems`
 * and thrown by `close()`, so a failed expectation inside a script is never lost.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Endpoint } from '../../src/domain/routes.ts'
import { endpointAt } from './endpoint-at.ts'
import { resetSocket } from './reset-socket.ts'

export type Script = (connection: ScriptedConnection) => Promise<void> | void

export interface ReceivedRequest {
  readonly method: string
  readonly target: string
  /** Everything up to and including the empty line, exactly as received. */
  readonly head: string
  /** First value by lower-case name. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

class ConnectionGone extends Error {}

export class ScriptedConnection {
  readonly socket: Socket
  /** 0 for the first connection. */
  readonly index: number
  /** Resolves once the other side ended or broke the connection. */
  readonly closed: Promise<void>
  received: Buffer = Buffer.alloc(0)
  #taken = 0
  #gone = false
  #wake: () => void = () => {}

  constructor(socket: Socket, index: number) {
    this.socket = socket
    this.index = index
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.#wake()
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      const gone = () => {
        this.#gone = true
        this.#wake()
        resolve()
      }
      socket.on('end', gone)
      socket.on('close', gone)
    })
  }

  get isClosed(): boolean {
    return this.#gone
  }

  /** The next whole request (head and Content-Length body). */
  async request(): Promise<ReceivedRequest> {
    const headEnd = await this.#until(() => {
      const at = this.received.indexOf('\r\n\r\n', this.#taken)
      return at === -1 ? undefined : at + 4
    })
    const head = this.received.toString('utf8', this.#taken, headEnd)
    const [requestLine = '', ...lines] = head.trimEnd().split('\r\n')
    const [method = '', target = ''] = requestLine.split(' ')
    const headers = new Map<string, string>()
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).toLowerCase()
      if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim())
    }
    const bodyEnd = headEnd + Number(headers.get('content-length') ?? 0)
    await this.#until(() => (this.received.length >= bodyEnd ? true : undefined))
    this.#taken = bodyEnd
    return { method, target, head, headers, body: this.received.subarray(headEnd, bodyEnd) }
  }

  /** Resolves once at least this many bytes came in all. */
  async bytes(count: number): Promise<void> {
    await this.#until(() => (this.received.length >= count ? true : undefined))
  }

  send(bytes: string | Uint8Array): void {
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(bytes)
  }

  /** One write for each byte or group of bytes, with a pause after each. */
  async drip(bytes: string | Uint8Array, pauseMs: number, groupBytes = 1): Promise<void> {
    const all = Buffer.from(bytes as Uint8Array)
    for (let at = 0; at < all.length && !this.#gone; at += groupBytes) {
      this.send(all.subarray(at, at + groupBytes))
      await delay(pauseMs)
    }
  }

  async pause(ms: number): Promise<void> {
    await delay(ms)
  }

  /** FIN after everything sent. */
  finish(): void {
    this.socket.end()
  }

  /** RST. */
  reset(): void {
    resetSocket(this.socket)
  }

  /** Stops taking bytes from the kernel, so that the other side's writes pile up. */
  stopReading(): void {
    this.socket.pause()
  }

  resumeReading(): void {
    this.socket.resume()
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (this.#gone) throw new ConnectionGone()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

export class ScriptedUpstream {
  readonly connections: ScriptedConnection[] = []
  readonly problems: unknown[] = []
  readonly port: number
  readonly #server: Server
  readonly #scripts: Promise<void>[] = []

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async start(...scripts: readonly Script[]): Promise<ScriptedUpstream> {
    const server = createServer({ allowHalfOpen: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const upstream = new ScriptedUpstream(server)
    server.on('connection', (socket) => upstream.#accept(socket, scripts))
    return upstream
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get endpoint(): Endpoint {
    return endpointAt('127.0.0.1', this.port)
  }

  /** Connections ever accepted. */
  get connectionCount(): number {
    return this.connections.length
  }

  /** Connections the other side still holds open. */
  get openCount(): number {
    return this.connections.filter((connection) => !connection.isClosed).length
  }

  /** Once that many connections were accepted and their scripts have run to their ends. */
  async scriptsEnded(connections = 1): Promise<void> {
    while (this.#scripts.length < connections) await delay(1)
    await Promise.all(this.#scripts)
  }

  /** Ends everything and reports the first unexpected error of a script. */
  async close(): Promise<void> {
    for (const connection of this.connections) connection.socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
    if (this.problems.length > 0) throw this.problems[0]
  }

  #accept(socket: Socket, scripts: readonly Script[]): void {
    const connection = new ScriptedConnection(socket, this.connections.length)
    this.connections.push(connection)
    const script = scripts[Math.min(connection.index, scripts.length - 1)]
    const run = async () => script?.(connection)
    const ended = run().catch((problem: unknown) => {
      if (!(problem instanceof ConnectionGone)) this.problems.push(problem)
    })
    this.#scripts.push(ended)
  }
}

/** Answers every request on every connection with the same bytes. */
export function answering(bytes: string | Uint8Array): Script {
  return async (connection) => {
    for (;;) {
      await connection.request()
      connection.send(bytes)
    }
  }
}

/** A plain answer with Content-Length; `headers` as `name: value` lines. */
export function plainAnswer(status: number, body: string, headers: readonly string[] = []): string {
  const lines = [`HTTP/1.1 ${status} Scripted`, ...headers, `content-length: ${Buffer.byteLength(body)}`]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
