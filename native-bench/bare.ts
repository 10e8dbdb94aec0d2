/**
 * The floor of this stack, a process of its own: the same server in front, the same kind of socket behind, and nothing
 * between them. No checks, no routing, no timers, no records, no faults: a request is collected, sent on, and what comes
 * back is passed on as it comes. It trusts everybody and is for measurements only.
 */

import uws, { type HttpResponse } from 'uWebSockets.js'
import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'

const [endpointPort = 0, readKib = 192] = process.argv.slice(2).map(Number)
const PREFIX = '/models/bench'
const NO_ANSWER = -1
const readBuffer = Buffer.allocUnsafeSlow(readKib * 1024)
const idle: EndpointConnection[] = []

class EndpointConnection {
  readonly #socket: Socket
  #client: HttpResponse | undefined
  #bodyBytes = NO_ANSWER
  #leftBytes = 0
  #isPaused = false

  constructor() {
    const callback = (length: number): boolean => this.#read(length)
    this.#socket = connect({
      host: '127.0.0.1',
      port: endpointPort,
      noDelay: true,
      onread: { buffer: readBuffer, callback },
    })
    this.#socket.on('error', (error) => {
      throw error
    })
  }

  ask(head: string, body: Uint8Array, client: HttpResponse): void {
    this.#client = client
    this.#socket.cork()
    this.#socket.write(head, 'latin1')
    this.#socket.write(body)
    this.#socket.uncork()
  }

  #read(length: number): boolean {
    let from = 0
    if (this.#bodyBytes === NO_ANSWER) {
      from = readBuffer.indexOf('\r\n\r\n') + 4
      this.#begin(readBuffer.toString('latin1', 0, from - 4).split('\r\n'))
    }
    this.#leftBytes -= length - from
    this.#pass(readBuffer.subarray(from, length))
    if (this.#leftBytes === 0 && !this.#isPaused) this.#free()
    return !this.#isPaused
  }

  #begin([, ...lines]: readonly string[]): void {
    const client = this.#client!
    client.cork(() => {
      for (const line of lines) {
        const at = line.indexOf(': ')
        const name = line.slice(0, at)
        if (name === 'content-length') this.#bodyBytes = Number(line.slice(at + 2))
        else client.writeHeader(name, line.slice(at + 2))
      }
    })
    this.#leftBytes = this.#bodyBytes
  }

  #pass(bytes: Uint8Array): void {
    const client = this.#client!
    client.cork(() => {
      const before = client.getWriteOffset()
      const [isTaken, isDone] = client.tryEnd(bytes, this.#bodyBytes)
      if (isTaken || isDone) return
      const start = client.getWriteOffset()
      const rest = Uint8Array.prototype.slice.call(bytes, start - before)
      this.#isPaused = true
      client.onWritable((offset) => {
        const [isAll, isOver] = client.tryEnd(rest.subarray(offset - start), this.#bodyBytes)
        if (isAll || isOver) this.#goOn()
        return isAll
      })
    })
  }

  #goOn(): void {
    this.#isPaused = false
    if (this.#leftBytes === 0) this.#free()
    else this.#socket.resume()
  }

  #free(): void {
    this.#client = undefined
    this.#bodyBytes = NO_ANSWER
    idle.push(this)
  }
}

uws
  .App()
  .any('/*', (client, request) => {
    const length = Number(request.getHeader('content-length'))
    let head = `${request.getCaseSensitiveMethod()} ${request.getUrl().slice(PREFIX.length)} HTTP/1.1\r\n`
    request.forEach((name, value) => {
      head += `${name}: ${value}\r\n`
    })
    head += '\r\n'
    const body = Buffer.allocUnsafe(length)
    let received = 0
    client.onAborted(() => process.exit(1))
    client.onData((chunk, isLast) => {
      body.set(new Uint8Array(chunk), received)
      received += chunk.byteLength
      if (isLast) (idle.pop() ?? new EndpointConnection()).ask(head, body, client)
    })
  })
  .listen('127.0.0.1', 0, (socket) => {
    console.log(`serving on http://127.0.0.1:${uws.us_socket_local_port(socket)}`)
  })
