/**
 * The endpoint of every measurement, a process of its own. Answers by path: `…/bytes/N` with N bytes of a fixed
 * pattern, `…/infer` with 1 KiB of it, anything else with a stream of server-sent events in the form of chat
 * completion chunks, each carrying the time at which it was written. Reads just enough HTTP to be asked; must never
 * be what is slow.
 *
 * Events are sent on an absolute schedule of sub-millisecond precision, so that streams do not bunch up on the
 * ticks of an event loop's timers: between events the thread sleeps on a word that nobody ever wakes.
 */
import { createHash, type Hash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import {
  type FromEndpoint,
  nowNs,
  patternBytes,
  type StreamSettings,
  type ToEndpoint,
} from './rig/messages.ts'

const SLEEP_MS_MAX = 0.05
/** Of a request that asks for a stream; it arrives in one piece. */
const SMALL_BODY_BYTES = 4096
const HEAD_BYTES_MAX = 32 * 1024
const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n'

const settings = JSON.parse(process.argv[2] ?? '{}') as StreamSettings
const sleeper = new Int32Array(new SharedArrayBuffer(4))
const bodies = new Map<number, Buffer>()
const streams = new Set<EventStream>()
let connections = 0
let requests = 0
let isTicking = false

/** Streams that were asked for in one tick would go on in step: each has its own place between two events. */
const GOLDEN = 0.618034
let streamsBegun = 0

class EventStream {
  readonly #socket: Socket
  readonly #events: number
  readonly #firstAt: number
  #sent = 0

  constructor(socket: Socket, events: number) {
    this.#socket = socket
    this.#events = events
    const now = nowNs()
    streamsBegun += 1
    this.#firstAt = now + ((streamsBegun * GOLDEN) % 1) * settings.everyMs * 1e6
    socket.write(STREAM_HEAD + this.#next(now))
  }

  get dueAt(): number {
    return this.#firstAt + this.#sent * settings.everyMs * 1e6
  }

  /** Writes what is due; false when that was the last. */
  send(now: number): boolean {
    if (this.#socket.destroyed) return false
    if (now < this.dueAt) return true
    const isLast = this.#sent + 1 >= this.#events
    this.#socket.write(
      isLast ? `${this.#next(nowNs())}${chunk('data: [DONE]\n\n')}0\r\n\r\n` : this.#next(nowNs()),
    )
    return !isLast
  }

  #next(now: number): string {
    this.#sent += 1
    const before = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,"delta":{"content":"sent:${String(now).padStart(16, '0')} `
    const after = '"},"finish_reason":null}]}\n\n'
    return chunk(before + '.'.repeat(Math.max(0, settings.eventBytes - before.length - after.length)) + after)
  }
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`
}

function tick(): void {
  let next = nowNs() + SLEEP_MS_MAX * 1e6
  for (const stream of streams) {
    if (!stream.send(nowNs())) streams.delete(stream)
    else if (stream.dueAt < next) next = stream.dueAt
  }
  isTicking = streams.size > 0
  if (!isTicking) return
  const waitMs = (next - nowNs()) / 1e6
  if (waitMs > 0) Atomics.wait(sleeper, 0, 0, waitMs)
  setImmediate(tick)
}

/** One connection: a request at a time, its body counted and, when asked, hashed. */
class Visitor {
  readonly #socket: Socket
  #head = ''
  #left = 0
  #events = 0
  #path = ''
  #hash: Hash | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => this.#read(bytes))
    socket.on('error', () => socket.destroy())
  }

  #read(bytes: Buffer): void {
    let body = bytes
    if (this.#path === '') {
      const before = this.#head.length
      this.#head += bytes.toString('latin1', 0, HEAD_BYTES_MAX)
      const end = this.#head.indexOf('\r\n\r\n')
      if (end === -1) return
      this.#begin(this.#head.slice(0, end + 2))
      this.#head = ''
      body = bytes.subarray(end + 4 - before)
    }
    this.#hash?.update(body)
    if (this.#left < SMALL_BODY_BYTES) this.#events = eventsOf(body.toString('latin1'))
    this.#left -= body.length
    if (this.#left <= 0) this.#answer()
  }

  #begin(head: string): void {
    requests += 1
    this.#path = head.slice(head.indexOf(' ') + 1, head.indexOf(' HTTP/'))
    this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    this.#hash = /\r\nx-verify:/i.test(head) ? createHash('sha256') : undefined
  }

  #answer(): void {
    const length = this.#path.endsWith('/infer') ? '1024' : /\/bytes\/(\d+)$/.exec(this.#path)?.[1]
    const digest = this.#hash?.digest('hex')
    this.#path = ''
    this.#hash = undefined
    if (length === undefined) {
      streams.add(new EventStream(this.#socket, this.#events))
      if (!isTicking) setImmediate(tick)
      isTicking = true
      return
    }
    const told = digest === undefined ? '' : `x-digest: ${digest}\r\n`
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n${told}content-length: ${length}\r\n\r\n`
    this.#socket.cork()
    this.#socket.write(head, 'latin1')
    this.#socket.write(bodyOf(Number(length)))
    this.#socket.uncork()
  }
}

/** A caller may ask for a shorter stream. */
function eventsOf(body: string): number {
  return Number(/"max_tokens":(\d+)/.exec(body)?.[1] ?? settings.events)
}

function bodyOf(length: number): Buffer {
  const known = bodies.get(length)
  if (known !== undefined) return known
  const body = patternBytes(length)
  bodies.set(length, body)
  return body
}

const tell = (message: FromEndpoint): void => void process.send?.(message)

const server = createServer({ noDelay: true }, (socket) => {
  connections += 1
  new Visitor(socket)
})
server.listen(0, '127.0.0.1', 1024, () => {
  const address = server.address()
  tell({ kind: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 })
})
process.on('message', (message: ToEndpoint) => {
  if (message.kind !== 'count') return
  tell({ kind: 'counted', connections, requests })
  connections = 0
  requests = 0
})
// Nobody is left to ask: the conductor ended.
process.on('disconnect', () => process.exit(0))
