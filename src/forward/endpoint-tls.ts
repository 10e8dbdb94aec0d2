/**
 * TLS towards one endpoint: what is trusted, what is shown, and the last session, so that the next
 * connection is resumed instead of negotiated (one round trip and two signatures less).
 *
 * Certificates are verified unless the configuration says `verify = false` in so many words. The context
 * is made once: reading authorities takes milliseconds.
 */
import { isIP } from 'node:net'
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import type { EndpointTls } from '../domain/routes.ts'

/** What is not TLS's business: where to connect and where bytes go. */
export interface Transport {
  readonly host: string
  readonly port: number
  readonly allowHalfOpen: boolean
  readonly onread: { readonly buffer: Uint8Array; readonly callback: (length: number) => boolean }
}

export class TlsClient {
  readonly #settings: EndpointTls
  #context: SecureContext | undefined
  #session: Buffer | undefined

  constructor(settings: EndpointTls) {
    this.#settings = settings
  }

  /** Its `secureConnect` comes after the certificate was found good; before, `error`. */
  connect(transport: Transport): TLSSocket {
    const { verify, serverName } = this.#settings
    this.#context ??= this.#makeContext()
    const socket = connect({
      ...transport,
      secureContext: this.#context,
      // An address is no server name (RFC 6066 §3); the certificate is still held against it.
      servername: isIP(serverName) === 0 ? serverName : '',
      ALPNProtocols: ['http/1.1'],
      session: this.#session,
      rejectUnauthorized: verify,
      checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    })
    socket.on('session', (session) => {
      this.#session = session
    })
    return socket
  }

  /** A session that led to a failure is not offered again. */
  forgetSession(): void {
    this.#session = undefined
  }

  #makeContext(): SecureContext {
    const { ca, cert, key } = this.#settings
    return createSecureContext({
      ...(ca === null ? {} : { ca }),
      ...(cert === null || key === null ? {} : { cert, key }),
    })
  }
}
