/**
 * What Node's own HTTP client makes of some bytes: the other reader of the differential campaign. It shares
 * no code with ours. No socket: the bytes are handed to the client's parser by the event a socket would
 * emit, so a reading takes about 60 µs and is over in the turn that began it.
 */
import type { Buffer } from 'node:buffer'
import { type IncomingMessage, request } from 'node:http'
import { Duplex } from 'node:stream'

export interface NodeReading {
  /** The answer is complete; only then the rest means something. */
  readonly isComplete: boolean
  /** An error, a refusal, or an end before the answer's. */
  readonly hasFailed: boolean
  readonly status: number
  /** name, value, …; lower-case names, otherwise as they came. */
  readonly headers: readonly string[]
  readonly interims: number
  readonly body: string
  readonly keepsAlive: boolean
}

/** Ours are up to 64 KiB; the other reader must not stop before. */
const HEADER_BYTES_MAX = 256 * 1024

/** Reads `bytes`, and then the end of the connection if `isFinished`. */
export async function nodeReads(bytes: Buffer, method: string, isFinished: boolean): Promise<NodeReading> {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  let answer: IncomingMessage | undefined
  let interims = 0
  let hasFailed = false
  const failed = () => {
    hasFailed = true
  }
  const outgoing = request({
    method,
    host: 'x',
    headers: { connection: 'keep-alive' },
    maxHeaderSize: HEADER_BYTES_MAX,
    createConnection: () => socket,
  })
  outgoing.on('response', (message) => {
    answer = message
    message.on('error', failed)
  })
  outgoing.on('information', () => {
    interims += 1
  })
  outgoing.on('error', failed)
  outgoing.on('upgrade', failed)
  outgoing.end()
  // The client takes its socket in the next turn of the microtask queue.
  await new Promise<void>((resolve) => process.nextTick(() => process.nextTick(resolve)))
  socket.emit('data', bytes)
  if (isFinished && !hasFailed) socket.emit('end')
  const isComplete = !hasFailed && answer?.complete === true
  const reading = {
    isComplete,
    hasFailed,
    status: answer?.statusCode ?? 0,
    headers: (answer?.rawHeaders ?? []).map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text)),
    interims,
    body: isComplete ? ((answer?.read() as Buffer | null)?.toString('latin1') ?? '') : '',
    keepsAlive: outgoing.shouldKeepAlive,
  }
  outgoing.destroy()
  socket.destroy()
  return reading
}
