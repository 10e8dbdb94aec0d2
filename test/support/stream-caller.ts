/**
 * A caller that reads one answer as it comes, by the letter of RFC 9112: whatever is not exactly one message,
 * complete, is told as cut or malformed. Shares no code with the gateway. Counts and hashes what it reads, so that
 * an answer of any size costs no memory, and reads as slowly as it is told to.
 */
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { resetSocket } from './reset-socket.ts'

export interface Told {
  /** `cut`: the connection ended before the message did. `malformed`: it is no HTTP message. */
  readonly end: 'complete' | 'cut' | 'malformed'
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly bodyBytes: number
  readonly sha256: string
  /** The first KEPT_BYTES_MAX bytes. */
  readonly body: Buffer
  /** Of malformed ones. */
  readonly problem: string
}

/** What came of the body at one read. */
export interface Piece {
  readonly at: number
  readonly text: string
}

const KEPT_BYTES_MAX = 256 * 1024

type State = 'head' | 'length' | 'chunk-line' | 'chunk-data' | 'chunk-end' | 'trailers' | 'over'

class Malformed extends Error {}

export class StreamCaller {
  readonly socket: Socket
  readonly pieces: Piece[] = []
  /** Resolves when the message is complete or malformed, or the connection ended. */
  readonly told: Promise<Told>
  /** Resolves when there is a head. */
  readonly opened: Promise<ReadonlyMap<string, string>>
  status = 0
  headers: ReadonlyMap<string, string> = new Map()
  bodyBytes = 0
  #state: State = 'head'
  #unread: Buffer = Buffer.alloc(0)
  #left = 0
  #pauseAt = Number.POSITIVE_INFINITY
  readonly #hash = createHash('sha256')
  readonly #kept: Buffer[] = []
  #keptBytes = 0
  #tell: (told: Told) => void = () => {}
  #open: (headers: ReadonlyMap<string, string>) => void = () => {}

  private constructor(socket: Socket, readsAtOnce: boolean) {
    this.socket = socket
    this.told = new Promise((resolve) => {
      this.#tell = resolve
    })
    this.opened = new Promise((resolve) => {
      this.#open = resolve
    })
    socket.on('data', (bytes: Buffer) => {
      this.#take(bytes)
      if (this.bodyBytes >= this.#pauseAt) socket.pause()
    })
    if (!readsAtOnce) socket.pause()
    socket.on('error', () => {})
    socket.on('close', () => this.#end('cut'))
    socket.on('end', () => this.#end('cut'))
  }

  /** Sends `request` and begins to read; with `readsAtOnce: false` only from `socket.resume()` on. */
  static async ask(port: number, request: string | Uint8Array, readsAtOnce = true): Promise<StreamCaller> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const caller = new StreamCaller(socket, readsAtOnce)
    socket.write(request)
    return caller
  }

  get text(): string {
    return Buffer.concat(this.#kept).toString('latin1')
  }

  /** Reads in steps: about `bytesPerSecond`, from now on. */
  throttle(bytesPerSecond: number): void {
    const STEP_MS = 20
    this.socket.pause()
    const timer = setInterval(() => {
      this.#pauseAt = this.bodyBytes + (bytesPerSecond * STEP_MS) / 1000
      this.socket.resume()
    }, STEP_MS)
    this.socket.on('close', () => clearInterval(timer))
  }

  leave(how: 'fin' | 'reset' = 'reset'): void {
    if (how === 'reset') resetSocket(this.socket)
    else this.socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes])
    try {
      while (this.#step()) {}
    } catch (problem) {
      if (!(problem instanceof Malformed)) throw problem
      this.#end('malformed', problem.message)
    }
  }

  /** False: more bytes are needed. */
  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#readHead()
      case 'length':
        if (!this.#readData()) return false
        this.#complete()
        return true
      case 'chunk-data':
        if (!this.#readData()) return false
        this.#state = 'chunk-end'
        return true
      case 'chunk-line':
        return this.#readChunkLine()
      case 'chunk-end':
        if (this.#readLine() === undefined) return false
        this.#state = 'chunk-line'
        return true
      case 'trailers':
        return this.#readTrailers()
      case 'over':
        if (this.#unread.length > 0) throw new Malformed('bytes after the message')
        return false
    }
  }

  #readHead(): boolean {
    const end = this.#unread.indexOf('\r\n\r\n')
    if (end === -1) return false
    const [statusLine = '', ...lines] = this.#unread.toString('latin1', 0, end).split('\r\n')
    this.#unread = this.#unread.subarray(end + 4)
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]
    if (status === undefined) throw new Malformed(`no status line: ${statusLine}`)
    this.status = Number(status)
    const headers = new Map<string, string>()
    for (const line of lines) {
      const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line)
      if (field === null) throw new Malformed(`no header line: ${line}`)
      const name = field[1]!.toLowerCase()
      if (headers.has(name)) throw new Malformed(`${name} twice`)
      headers.set(name, field[2]!.trimEnd())
    }
    this.headers = headers
    this.#frame(headers)
    this.#open(headers)
    return true
  }

  #frame(headers: ReadonlyMap<string, string>): void {
    const length = headers.get('content-length')
    const coding = headers.get('transfer-encoding')
    if (length !== undefined && coding !== undefined) throw new Malformed('two framings')
    if (coding === 'chunked') this.#state = 'chunk-line'
    else if (length !== undefined && /^\d+$/.test(length)) {
      this.#left = Number(length)
      this.#state = 'length'
    } else throw new Malformed('no framing')
  }

  #readChunkLine(): boolean {
    const line = this.#readLine('size')
    if (line === undefined) return false
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) throw new Malformed(`no chunk size: ${line}`)
    this.#left = Number.parseInt(line, 16)
    this.#state = this.#left === 0 ? 'trailers' : 'chunk-data'
    return true
  }

  #readTrailers(): boolean {
    if (this.#readLine() === undefined) return false
    this.#complete()
    return true
  }

  /** A line of its own; `empty` ones have nothing in them. */
  #readLine(what: 'size' | 'empty' = 'empty'): string | undefined {
    const end = this.#unread.indexOf('\r\n')
    if (end === -1) {
      if (this.#unread.length > 32) throw new Malformed('a line without an end')
      return undefined
    }
    const line = this.#unread.toString('latin1', 0, end)
    if (what === 'empty' && line !== '') throw new Malformed(`bytes where a chunk has to end: ${line}`)
    this.#unread = this.#unread.subarray(end + 2)
    return line
  }

  /** True once all that is announced is there. */
  #readData(): boolean {
    const bytes = this.#unread.subarray(0, this.#left)
    this.#unread = this.#unread.subarray(bytes.length)
    this.#left -= bytes.length
    this.bodyBytes += bytes.length
    this.#hash.update(bytes)
    if (bytes.length > 0 && this.#keptBytes < KEPT_BYTES_MAX) {
      this.#kept.push(Buffer.from(bytes))
      this.#keptBytes += bytes.length
      this.pieces.push({ at: performance.now(), text: bytes.toString('latin1') })
    }
    return this.#left === 0
  }

  #complete(): void {
    this.#state = 'over'
    if (this.#unread.length > 0) throw new Malformed('bytes after the message')
    this.#end('complete')
  }

  #end(end: Told['end'], problem = ''): void {
    this.#open(this.headers)
    const { status, headers, bodyBytes } = this
    const sha256 = end === 'complete' ? this.#hash.copy().digest('hex') : ''
    this.#tell({ end, status, headers, bodyBytes, sha256, body: Buffer.concat(this.#kept), problem })
  }
}

/** A GET below a raw model. */
export function rawGet(model: string, rest = '', headers: readonly string[] = []): string {
  return `GET /models/${model}/${rest} HTTP/1.1\r\nhost: a\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`
}
