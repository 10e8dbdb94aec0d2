/**
 * One kept connection of the client that asks the same request again and again and counts the bytes of each
 * answer. Reads into one buffer that all connections share and keeps nothing of it. An answer that is not 200,
 * has no length or another one than expected ends the measurement.
 */
import { createHash, type Hash } from 'node:crypto'
import { connect, type Socket } from 'node:net'

const READ_BYTES = 1024 * 1024
const shared = Buffer.allocUnsafeSlow(READ_BYTES)

export interface VisitOptions {
  readonly port: number
  readonly isVerified: boolean
  answered(visit: RequestVisit): void
  failed(problem: string): void
}

export class RequestVisit {
  /** When the request that is under way was, or should have been, sent; ns. */
  startedAt = 0
  /** Of the last answer. */
  bodyBytes = 0
  digest = ''
  readonly #options: VisitOptions
  readonly #socket: Socket
  #head = ''
  #left = -1
  #hash: Hash | undefined
  #isEnding = false

  constructor(options: VisitOptions, ready: () => void) {
    this.#options = options
    const callback = (length: number): boolean => {
      this.#read(shared.subarray(0, length))
      return true
    }
    const onread = { buffer: shared, callback }
    this.#socket = connect({ host: '127.0.0.1', port: options.port, noDelay: true, onread }, ready)
    this.#socket.on('error', (error) => this.#fail(error.message))
    this.#socket.on('close', () => this.#fail('the connection was closed'))
  }

  /** `body`: undefined when the head is all of it. */
  ask(head: Buffer, body: Buffer | undefined): void {
    if (body === undefined) {
      this.#socket.write(head)
      return
    }
    this.#socket.cork()
    this.#socket.write(head)
    this.#socket.write(body)
    this.#socket.uncork()
  }

  end(): void {
    this.#isEnding = true
    this.#socket.destroy()
  }

  #fail(problem: string): void {
    if (!this.#isEnding) this.#options.failed(problem)
  }

  #read(bytes: Buffer): void {
    let body = bytes
    if (this.#left === -1) {
      const before = this.#head.length
      this.#head += bytes.toString('latin1', 0, 4096)
      const end = this.#head.indexOf('\r\n\r\n')
      if (end === -1) return
      body = bytes.subarray(end + 4 - before)
      this.#begin(this.#head.slice(0, end + 2))
      this.#head = ''
    }
    this.#hash?.update(body)
    this.#left -= body.length
    if (this.#left > 0) return
    if (this.#left < 0) return this.#fail('bytes came behind an answer')
    this.#left = -1
    if (this.#hash !== undefined) this.digest = `${this.digest} ${this.#hash.digest('hex')}`
    this.#options.answered(this)
  }

  #begin(head: string): void {
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1]
    if (!head.startsWith('HTTP/1.1 200') || length === undefined) this.#fail(head.slice(0, 300))
    this.bodyBytes = Number(length)
    this.#left = this.bodyBytes
    if (!this.#options.isVerified) return
    this.digest = /\r\nx-digest: *(\w+)/i.exec(head)?.[1] ?? ''
    this.#hash = createHash('sha256')
  }
}
