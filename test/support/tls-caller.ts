/**
 * A caller over TLS that verifies what it is shown: one request on a connection of its own, or many on one
 * that stays open. Tells which certificate it met, so that a test knows which of two pairs was in use.
 */
import { Agent, request } from 'node:https'
import type { ConnectionOptions, TLSSocket } from 'node:tls'

export interface SecureTold {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Serial number of the server's certificate. */
  readonly serial: string
  readonly protocol: string
  readonly isResumed: boolean
}

export interface SecureAsked {
  readonly port: number
  readonly path?: string
  readonly method?: string
  readonly body?: string
  /** `ca` at least. With `servername: ''` nothing is said about the name (no SNI). */
  readonly tls: ConnectionOptions
  /** The connection stays the caller's; otherwise the request has one of its own. */
  readonly agent?: Agent
}

export function askSecurely({
  port,
  path = '/',
  method,
  body,
  tls,
  agent,
}: SecureAsked): Promise<SecureTold> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: body === undefined ? {} : { 'content-length': Buffer.byteLength(body) },
        agent: agent ?? false,
        ...tls,
      },
      (response) => {
        const socket = response.socket as TLSSocket
        const { serialNumber: serial } = socket.getPeerCertificate()
        const [protocol, isResumed] = [socket.getProtocol() ?? '', socket.isSessionReused()]
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          if (!response.complete) return reject(new Error('the answer was cut short'))
          const { statusCode: status = 0, headers } = response
          resolve({ status, text: Buffer.concat(chunks).toString(), headers, serial, protocol, isResumed })
        })
      },
    )
    sent.setTimeout(30_000, () => sent.destroy(new Error(`no answer to ${path} within 30 s`)))
    sent.on('error', reject)
    sent.end(body)
  })
}

/** One connection that is used again and again. */
export function oneConnection(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

/** A client that says which name it wants, and one that does not. Both verify. */
export const withName = (ca: string): ConnectionOptions => ({ ca, servername: 'localhost' })
export const withoutName = (ca: string): ConnectionOptions => ({ ca, servername: '' })
