/**
 * A model server whose every answer is another, so that a test sees whether it was asked: it counts. What it is to do
 * stands in the request's `x-do` (wait, until letGo; events; large; status-404), one header of its answer in `x-say`.
 * Node's own server.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export class CountingEndpoint {
  readonly url: string
  /** Requests that came. */
  count = 0
  readonly #server: Server
  #waiting: (() => void)[] = []

  private constructor(server: Server) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(): Promise<CountingEndpoint> {
    const server = createServer((request, response) => {
      request.resume().on('end', () => endpoint.#answer(request, response))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const endpoint = new CountingEndpoint(server)
    return endpoint
  }

  get waiting(): number {
    return this.#waiting.length
  }

  letGo(): void {
    for (const answer of this.#waiting.splice(0)) answer()
  }

  async close(): Promise<void> {
    this.letGo()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.count += 1
    const what = String(request.headers['x-do'] ?? '')
    const say = String(request.headers['x-say'] ?? '')
    const [name, ...value] = say.split(': ')
    if (say !== '') response.setHeader(name!, value.join(': '))
    const send = writerOf(what, this.count, response)
    if (what === 'wait') this.#waiting.push(send)
    else send()
  }
}

function writerOf(what: string, count: number, response: ServerResponse): () => void {
  if (what === 'events') {
    return () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`data: ${count}\n\n`)
      setImmediate(() => response.end('data: end\n\n'))
    }
  }
  const body =
    what === 'large' ? Buffer.alloc(2 * 1024 * 1024, count) : JSON.stringify({ outputs: [], count })
  const status = Number(/^status-(\d+)$/.exec(what)?.[1] ?? 200)
  return () => {
    response.writeHead(status, {
      'content-type': what === 'large' ? 'application/octet-stream' : 'application/json',
      'content-length': Buffer.byteLength(body),
    })
    response.end(body)
  }
}
