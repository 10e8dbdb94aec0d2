/**
 * A client that sends exactly the bytes it is given, right or wrong, and shows exactly what came back.
 * It parses answers with a few lines of its own (Content-Length, chunked, until close) so that no test
 * of the gateway judges the gateway's codec by itself.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { resetSocket } from './reset-socket.ts'

export interface RawAnswer {
  /** Everything received up to here, interim answers included. */
  readonly raw: Buffer
  /** 0 when nothing that looks like an answer came. */
  readonly status: number
  /** Lower-case names; repeated fields joined with ", ". */
  readonly headers: ReadonlyMap<string, string>
  /** Decoded from chunks where need be. */
  readonly body: Buffer
  /** False when the connection or the patience ended before the answer did. */
  readonly complete: boolean
  /** The other side ended the connection (seen by the time of the answer). */
  readonly closed: boolean
}

export interface RawOptions {
  readonly timeoutMs?: number
  readonly host?: string
  /** Between two chunks. */
  readonly pauseMs?: number
}

/** Opens, sends the bytes (or chunks), reads one answer, closes. Without an answer: after `timeoutMs` or close. */
export async function rawRequest(
  port: number,
  bytes: string | Uint8Array | readonly (string | Uint8Array)[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  const client = await RawClient.open(port, options.host)
  const chunks = typeof bytes === 'string' || bytes instanceof Uint8Array ? [bytes] : bytes
  try {
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0) await delay(options.pauseMs ?? 1)
      client.send(chunk)
    }
    return await client.answer(options.timeoutMs)
  } finally {
    client.close()
  }
}

/** One connection that stays open over several requests. */
export class RawClient {
  readonly socket: Socket
  #received: Buffer = Buffer.alloc(0)
  /** What came since, joined when there is enough of it to read on. */
  #pieces: Buffer[] = []
  #ended = false
  #wake: () => void = () => {}
  /** Methods of requests sent and not yet answered: an answer to HEAD has no body. */
  readonly #methods: string[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#pieces.push(chunk)
      this.#wake()
    })
    const ended = () => {
      this.#ended = true
      this.#wake()
    }
    socket.on('end', ended)
    socket.on('close', ended)
    socket.on('error', ended)
  }

  static async open(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({ host, port, noDelay: true, allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  get isClosed(): boolean {
    return this.#ended
  }

  send(bytes: string | Uint8Array): void {
    const start = Buffer.from(bytes as Uint8Array).toString('latin1', 0, 16)
    const method = /^([A-Z]+) /.exec(start)?.[1]
    if (method !== undefined) this.#methods.push(method)
    if (this.socket.writable) this.socket.write(bytes)
  }

  /** The next answer; bytes after it stay for the one after. */
  async answer(timeoutMs = 20_000): Promise<RawAnswer> {
    const until = performance.now() + timeoutMs
    const method = this.#methods.shift() ?? 'GET'
    for (;;) {
      const late = performance.now() >= until
      this.#received = Buffer.concat([this.#received, ...this.#pieces.splice(0)])
      const parsed = parseAnswer(this.#received, method, this.#ended)
      if (parsed.complete || this.#ended || late) {
        const raw = this.#received.subarray(0, parsed.length)
        this.#received = this.#received.subarray(parsed.length)
        return { raw, ...parsed, closed: this.#ended }
      }
      let missing = parsed.needed - this.#received.length
      do {
        await this.#change(until - performance.now())
        if (this.#ended || performance.now() >= until) break
        missing = parsed.needed - this.#received.length - sizeOf(this.#pieces)
      } while (missing > 0)
    }
  }

  /** Resolves true once the other side ended the connection, false when it has not by then. */
  async closed(timeoutMs = 20_000): Promise<boolean> {
    const until = performance.now() + timeoutMs
    while (!this.#ended && performance.now() < until) await this.#change(until - performance.now())
    return this.#ended
  }

  /** RST instead of FIN. */
  reset(): void {
    resetSocket(this.socket)
  }

  close(): void {
    this.socket.destroy()
  }

  async #change(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, ms))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

type ParsedAnswer = Omit<RawAnswer, 'raw' | 'closed'> & {
  readonly length: number
  /** With fewer bytes than so many there is no more to be read out of them. */
  readonly needed: number
}

function sizeOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((total, { length }) => total + length, 0)
}

function parseAnswer(bytes: Buffer, method: string, ended: boolean): ParsedAnswer {
  let at = 0
  for (;;) {
    const headEnd = bytes.indexOf('\r\n\r\n', at)
    if (headEnd === -1) return unfinished(bytes)
    const { status, headers } = parseHead(bytes.toString('utf8', at, headEnd))
    at = headEnd + 4
    if (status >= 100 && status < 200 && status !== 101) continue
    const body = parseBody(bytes.subarray(at), { method, status, headers, ended })
    return {
      status,
      headers,
      body: body.bytes,
      complete: body.complete,
      length: body.complete ? at + body.length : bytes.length,
      needed: at + body.needed,
    }
  }
}

function unfinished(bytes: Buffer): ParsedAnswer {
  const { length } = bytes
  return { status: 0, headers: new Map(), body: Buffer.alloc(0), complete: false, length, needed: length + 1 }
}

function parseHead(text: string): { status: number; headers: Map<string, string> } {
  const [statusLine = '', ...lines] = text.split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1] ?? 0), headers }
}

interface BodyContext {
  readonly method: string
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly ended: boolean
}

interface ParsedBody {
  readonly bytes: Buffer
  readonly length: number
  readonly complete: boolean
  readonly needed: number
}

function parseBody(bytes: Buffer, context: BodyContext): ParsedBody {
  const { method, status, headers, ended } = context
  if (method === 'HEAD' || status === 204 || status === 304 || status === 101) {
    return { bytes: Buffer.alloc(0), length: 0, complete: true, needed: 0 }
  }
  if (headers.get('transfer-encoding')?.toLowerCase() === 'chunked') return parseChunks(bytes)
  const declared = headers.get('content-length')
  if (declared === undefined) return { bytes, length: bytes.length, complete: ended, needed: Infinity }
  const length = Number(declared)
  return { bytes: bytes.subarray(0, length), length, complete: bytes.length >= length, needed: length }
}

function parseChunks(bytes: Buffer): ParsedBody {
  const parts: Buffer[] = []
  let at = 0
  let needed = bytes.length + 1
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) break
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (size === 0) {
      const trailersEnd = bytes.indexOf('\r\n\r\n', lineEnd)
      if (trailersEnd === -1) break
      return { bytes: Buffer.concat(parts), length: trailersEnd + 4, complete: true, needed: 0 }
    }
    const dataEnd = lineEnd + 2 + size
    parts.push(bytes.subarray(lineEnd + 2, dataEnd))
    if (!(bytes.length >= dataEnd + 2)) {
      needed = Math.max(needed, dataEnd + 2)
      break
    }
    at = dataEnd + 2
  }
  return { bytes: Buffer.concat(parts), length: bytes.length, complete: false, needed }
}
