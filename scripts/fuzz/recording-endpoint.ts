/**
 * The endpoint behind the gateway in the campaign of the request side: reads what arrives with the strict reader,
 * keeps of each request who sent it and its fingerprint, and answers with that fingerprint. Bytes that the strict
 * reader does not accept are problems, for the gateway wrote them.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Dialect, fingerprint } from './expected-forward.ts'
import { readRequests, type StrictRequest } from './read-requests.ts'

export interface Received {
  readonly requestId: string
  readonly fingerprint: string
  /** As if it had no body. */
  readonly headFingerprint: string
  readonly line: string
}

/** How long a request waits for its answer whose target says `slow`, in ms. */
const SLOW_MS = 15
const NOTHING = new Uint8Array(0)

export class RecordingEndpoint {
  readonly problems: string[] = []
  readonly port: number
  readonly #dialect: Dialect
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** By the address of the caller, as the gateway told it. */
  readonly #received = new Map<string, Received[]>()

  private constructor(dialect: Dialect, server: Server) {
    this.#dialect = dialect
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async start(dialect: Dialect): Promise<RecordingEndpoint> {
    const server = createServer({ noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const endpoint = new RecordingEndpoint(dialect, server)
    server.on('connection', (socket) => endpoint.#serve(socket))
    return endpoint
  }

  /** What came for this caller since it was last asked. */
  take(address: string): Received[] {
    const all = this.#received.get(address) ?? []
    this.#received.delete(address)
    return all
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(socket: Socket): void {
    let unread: Buffer = Buffer.alloc(0)
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk])
      const { requests, rest, problem, restAt } = readRequests(unread)
      for (const request of requests) this.#answer(socket, request)
      if (rest === 'doubtful')
        this.problems.push(`${problem}: ${unread.toString('latin1', restAt, restAt + 500)}`)
      unread = unread.subarray(restAt)
    })
  }

  #answer(socket: Socket, request: StrictRequest): void {
    const { method, target, headers } = request
    const headerOf = (name: string): string => {
      const at = headers.findIndex((text, index) => index % 2 === 0 && text === name)
      return at === -1 ? '' : headers[at + 1]!
    }
    const received: Received = {
      requestId: headerOf('modelgate-request-id'),
      fingerprint: fingerprint(this.#dialect, request),
      headFingerprint: fingerprint(this.#dialect, { ...request, body: NOTHING }),
      line: `${method} ${target.slice(0, 100)}`,
    }
    const address = headerOf('x-forwarded-for')
    const before = this.#received.get(address)
    if (before === undefined) this.#received.set(address, [received])
    else before.push(received)
    const body = method === 'HEAD' ? '' : '{"outputs":[],"object":"list"}'
    const status = target.includes('204') ? '204 No Content' : '200 OK'
    const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\nx-echo: ${received.fingerprint}\r\n`
    const answer = status === '200 OK' ? `${head}content-length: 30\r\n\r\n${body}` : `${head}\r\n`
    if (target.includes('slow')) setTimeout(() => socket.write(answer), SLOW_MS).unref()
    else socket.write(answer)
  }
}
