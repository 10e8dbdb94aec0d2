/**
 * Endpoints for shadows, well-behaved and bad, a port for each, in a process of their own: what they do must not
 * be what the request's own endpoint has no time for. Says at its start which port behaves in which manner.
 *
 * Reads of a request only as much as it needs to know that one came: each is small and arrives in one piece.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { type FromShadows, patternBytes, SHADOW_MANNERS, type ShadowManner } from './rig/messages.ts'

const ANSWER_BYTES = 1024
const GIBIBYTE = 2 ** 30
const PIECE = patternBytes(64 * 1024)
const FLOOD_ANSWERS = 1024
const SMALL_CHUNK = Buffer.from(`10\r\n${'.'.repeat(16)}\r\n`)

const head = (framing: string): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`
const answer = Buffer.concat([
  Buffer.from(head(`content-length: ${ANSWER_BYTES}`), 'latin1'),
  patternBytes(ANSWER_BYTES),
])
const flood = Buffer.concat(Array.from({ length: FLOOD_ANSWERS }, () => answer))
const smallChunks = Buffer.concat(Array.from({ length: 3_000 }, () => SMALL_CHUNK))
const largeChunk = Buffer.concat([
  Buffer.from(`${PIECE.length.toString(16)}\r\n`),
  PIECE,
  Buffer.from('\r\n'),
])

/** As fast as the other side takes it, until it is all said or the other side is gone. */
function pour(socket: Socket, piece: Buffer, total: number): void {
  let said = 0
  const more = (): void => {
    while (said < total && !socket.destroyed) {
      said += piece.length
      if (!socket.write(piece)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

function pourBehind(framing: string, piece: Buffer): (socket: Socket) => void {
  return (socket) => {
    socket.write(head(framing))
    pour(socket, piece, GIBIBYTE)
  }
}

const MANNERS: Readonly<Record<Exclude<ShadowManner, 'refuses'>, (socket: Socket) => void>> = {
  well: (socket) => void socket.write(answer),
  hangs: () => {},
  floods: (socket) => void socket.write(flood),
  'announces 1 GiB': pourBehind(`content-length: ${GIBIBYTE}`, PIECE),
  '1 GiB in chunks': pourBehind('transfer-encoding: chunked', largeChunk),
  '1 GiB in chunks of 16 B': pourBehind('transfer-encoding: chunked', smallChunks),
  '1 GiB until close': pourBehind('connection: close', PIECE),
  resets: (socket) => void socket.resetAndDestroy(),
}

function listening(manner: ShadowManner): Promise<readonly [ShadowManner, number]> {
  const behave = manner === 'refuses' ? (): void => {} : MANNERS[manner]
  const server: Server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => behave(socket))
    socket.on('error', () => socket.destroy())
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', 1024, () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      if (manner !== 'refuses') resolve([manner, port])
      else server.close(() => resolve([manner, port]))
    })
  })
}

const ports = await Promise.all(SHADOW_MANNERS.map(listening))
const told: FromShadows = { kind: 'shadows', ports }
process.send?.(told)
// Nobody is left to ask: the conductor ended.
process.on('disconnect', () => process.exit(0))
