/**
 * The request's whole body, copied out of the server's buffers (they are detached when the callback
 * returns) and never larger than its limit. Nothing is handed on before the last byte arrived, because
 * only then is the request's framing proven.
 */
import type { HttpResponse } from 'uWebSockets.js'
import { type Fault, fault } from '../domain/fault.ts'

export type BodyRead = (body: Uint8Array | Fault) => void

export const EMPTY_BODY: Uint8Array = new Uint8Array(0)

export class BodySource {
  readonly #http: HttpResponse
  readonly #declared: number

  /** `declared`: the checked Content-Length; -1 when there is none, which means no body. */
  constructor(http: HttpResponse, declared: number) {
    this.#http = http
    this.#declared = declared
  }

  /**
   * Calls `done` once: with the complete body, or with `body-too-large` at once when too much was
   * declared. Never called when the client leaves before the last byte. Must be called before the
   * server's request callback returns.
   */
  read(bytesMax: number, done: BodyRead): void {
    if (this.#declared > bytesMax) {
      done(tooLarge(this.#declared, bytesMax))
      return
    }
    const body = this.#declared > 0 ? Buffer.allocUnsafeSlow(this.#declared) : EMPTY_BODY
    let length = 0
    let ended = false
    this.#http.onData((chunk, isLast) => {
      // The server goes on delivering after an early answer (its issue 737).
      if (ended) return
      if (length + chunk.byteLength > body.length) {
        ended = true
        done(tooLarge(length + chunk.byteLength, body.length))
        return
      }
      if (chunk.byteLength > 0) body.set(new Uint8Array(chunk), length)
      length += chunk.byteLength
      if (!isLast) return
      ended = true
      done(body)
    })
  }
}

function tooLarge(bytes: number, bytesMax: number): Fault {
  return fault(
    'body-too-large',
    `the body has ${bytes} bytes; this gateway takes at most ${bytesMax} (server.limits.body)`,
  )
}
