/**
 * An endpoint that keeps every byte it gets and answers each whole request: 204 where the target says so, otherwise
 * 200 with two bytes. Where requests end it knows from a strict reader that shares no code with the gateway.
 */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { readRequests } from '../../scripts/fuzz/read-requests.ts'

export class ExactEndpoint {
  readonly authority: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #received: Buffer[] = []

  private constructor(server: Server) {
    this.#server = server
    this.authority = `127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(): Promise<ExactEndpoint> {
    const server = createServer({ noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const endpoint = new ExactEndpoint(server)
    server.on('connection', (socket) => endpoint.#serve(socket))
    return endpoint
  }

  /** Every byte that came since it was last asked. */
  take(): Buffer {
    const all = Buffer.concat(this.#received)
    this.#received = []
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
    socket.on('data', (bytes: Buffer) => {
      this.#received.push(bytes)
      unread = Buffer.concat([unread, bytes])
      const { requests, restAt } = readRequests(unread)
      unread = unread.subarray(restAt)
      for (const { method, target } of requests) {
        if (target.includes('204')) socket.write('HTTP/1.1 204 No Content\r\n\r\n')
        else socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${method === 'HEAD' ? '' : 'ok'}`)
      }
    })
  }
}
