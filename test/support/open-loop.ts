/**
 * Callers that do not wait for each other: requests leave at a given rate, each at the time it was meant to, whether
 * earlier ones were answered or not. One connection carries one request at a time. All are open from the
 * start; a request that finds none free is not sent and counted, so that a slow machine is not made slower.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Outcome {
  readonly status: number
  /** `modelgate-error`; empty when the answer has none. */
  readonly error: string
  readonly retryAfter: string
  /** Monotonic ms at which it should have left. */
  readonly intendedAt: number
  readonly endedAt: number
}

const TICK_MS = 4
const CONNECTIONS = 256

export class OpenLoop {
  readonly outcomes: Outcome[] = []
  readonly #bytes: string
  readonly #idle: Caller[] = []
  readonly #callers = new Set<Caller>()
  readonly #timer: NodeJS.Timeout
  #perMs = 0
  #nextAt = 0
  sent = 0
  /** Should have been sent, but no connection was free. */
  unsent = 0

  /** `bytes`: one whole request. */
  private constructor(bytes: string) {
    this.#bytes = bytes
    this.#timer = setInterval(() => this.#send(), TICK_MS)
  }

  static async start(port: number, bytes: string, connections: number = CONNECTIONS): Promise<OpenLoop> {
    const loop = new OpenLoop(bytes)
    for (let count = 0; count < connections; count += 1) {
      const caller: Caller = new Caller(port, (outcome) => {
        loop.outcomes.push(outcome)
        loop.#idle.push(caller)
      })
      loop.#callers.add(caller)
      loop.#idle.push(caller)
    }
    await Promise.all(loop.#idle.map(({ connected }) => connected))
    return loop
  }

  set perSecond(rate: number) {
    this.#perMs = rate / 1000
    this.#nextAt = performance.now()
  }

  /** Nothing more is sent; resolves when all that was sent is answered. */
  async stop(): Promise<void> {
    this.#perMs = 0
    clearInterval(this.#timer)
    await Promise.all([...this.#callers].map((caller) => caller.finish()))
  }

  #send(): void {
    const now = performance.now()
    for (; this.#perMs > 0 && this.#nextAt <= now; this.#nextAt += 1 / this.#perMs) {
      // The one that rested longest: the gateway ends those that rest for 10 s.
      const caller = this.#idle.shift()
      if (caller === undefined) this.unsent += 1
      else {
        this.sent += 1
        caller.ask(this.#bytes, this.#nextAt)
      }
    }
  }
}

class Caller {
  readonly connected: Promise<unknown>
  readonly #socket: Socket
  readonly #told: (outcome: Outcome) => void
  #received = ''
  #intendedAt = 0
  #answered: (() => void) | undefined

  constructor(port: number, told: (outcome: Outcome) => void) {
    this.#told = told
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.connected = once(this.#socket, 'connect')
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text: string) => this.#read(text))
  }

  ask(bytes: string, intendedAt: number): void {
    this.#intendedAt = intendedAt
    this.#socket.write(bytes)
  }

  async finish(): Promise<void> {
    if (this.#intendedAt !== 0) {
      await new Promise<void>((resolve) => {
        this.#answered = resolve
      })
    }
    const closed = once(this.#socket, 'close')
    this.#socket.destroy()
    await closed
  }

  #read(text: string): void {
    this.#received += text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd === -1) return
    const head = this.#received.slice(0, headEnd)
    if (this.#received.length < headEnd + 4 + Number(fieldOf(head, 'content-length'))) return
    this.#received = ''
    const intendedAt = this.#intendedAt
    this.#intendedAt = 0
    this.#told({
      status: Number(head.slice(9, 12)),
      error: fieldOf(head, 'modelgate-error'),
      retryAfter: fieldOf(head, 'retry-after'),
      intendedAt,
      endedAt: performance.now(),
    })
    this.#answered?.()
  }
}

function fieldOf(head: string, name: string): string {
  return new RegExp(`\r\n${name}: ?([^\r]*)`, 'i').exec(head)?.[1] ?? ''
}
