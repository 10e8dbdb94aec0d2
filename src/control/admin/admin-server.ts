/**
 * The admin HTTP server of the control thread: health, metrics, and what the gateway knows of itself.
 * Reads only; the data plane is never asked and never waits.
 *
 * Answers only hosts that cannot be rebound (host-check.ts), takes no bodies, keeps few and short
 * connections, and lets nothing be cached or framed. Every refusal is problem+json.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { assert } from '../../kernel/assert.ts'
import { isHostAllowed } from './host-check.ts'
import { problem } from './reply.ts'
import type { AdminParts, Reply } from './resource.ts'
import { resources } from './resources.ts'
import { Router } from './router.ts'

export const ADMIN_LIMITS = {
  connections: 256,
  headerBytes: 8192,
  targetCharacters: 2048,
  /** For a head to arrive, in ms. */
  headMs: 5000,
  /** Between requests of a connection, in ms. */
  idleMs: 5000,
  /** What replies under way get when the server is closed, in ms. */
  closeMs: 1000,
} as const

const ALLOWED = 'GET, HEAD'

/** On every reply. */
const STANDING_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

export class AdminServer {
  readonly #parts: AdminParts
  readonly #router: Router
  readonly #server: Server
  #host = 'localhost'

  constructor(parts: AdminParts) {
    this.#parts = parts
    this.#router = new Router(resources(parts))
    this.#server = createServer(
      {
        maxHeaderSize: ADMIN_LIMITS.headerBytes,
        headersTimeout: ADMIN_LIMITS.headMs,
        requestTimeout: ADMIN_LIMITS.headMs,
        keepAliveTimeout: ADMIN_LIMITS.idleMs,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => void this.#serve(request, response),
    )
    this.#server.maxConnections = parts.connectionsMax ?? ADMIN_LIMITS.connections
  }

  /** `port` 0: any free one; resolves to the one taken. Rejects with the system's error when it cannot listen. */
  async listen(host: string, port: number): Promise<{ readonly port: number }> {
    this.#host = host
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    const address = this.#server.address()
    assert(address !== null && typeof address === 'object', 'a listening server has an address')
    return { port: address.port }
  }

  /** Takes no new connections; ends those between two requests at once and all others after `closeMs`. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const late = setTimeout(() => this.#server.closeAllConnections(), ADMIN_LIMITS.closeMs)
    await closed
    clearTimeout(late)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let reply: Reply
    try {
      reply = await this.#answer(request)
    } catch (error) {
      this.#parts.onBug?.(error)
      reply = problem(500, 'the gateway could not answer because of a bug in it')
    }
    send(request, response, reply)
  }

  async #answer(request: IncomingMessage): Promise<Reply> {
    if (!isHostAllowed(request.headers.host, this.#host)) {
      return problem(421, 'the Host header names none of this server’s own addresses')
    }
    const target = request.url ?? ''
    if (target.length > ADMIN_LIMITS.targetCharacters) return problem(414, 'the target is too long')
    if (!target.startsWith('/')) return problem(400, 'the target is not a path')
    const [path, ...query] = target.split('?')
    const match = this.#router.find(path!)
    if (match === null) return problem(404, 'there is nothing at this path; the list is at /')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return problem(405, `this resource answers ${ALLOWED}`, { allow: ALLOWED })
    }
    if (hasBody(request)) return problem(413, 'this resource takes no request body')
    return match.resource.get({
      parameters: match.parameters,
      query: new URLSearchParams(query.join('?')),
      accept: request.headers.accept ?? '',
      client: request.socket.remoteAddress ?? '',
    })
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
  response.writeHead(reply.status, {
    ...STANDING_HEADERS,
    'content-type': reply.contentType,
    'content-length': body.length,
    ...(hasBody(request) ? { connection: 'close' } : {}),
    ...reply.headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
