/**
 * An endpoint with answers of any size, made as they are taken, so that they cost it no memory: `/length/N`,
 * `/chunks/N` and `/close/N` (bytes) are framed as their names say. Every answer of one size is the same bytes.
 */
import { createHash } from 'node:crypto'
import { type Script, type ScriptedConnection, ScriptedUpstream } from './scripted-upstream.ts'

const BLOCK = Buffer.alloc(64 * 1024)
for (let at = 0; at < BLOCK.length; at += 4) BLOCK.writeUInt32LE((at * 2654435761) >>> 0, at)

export function sha256Of(bytes: number): string {
  const hash = createHash('sha256')
  for (let left = bytes; left > 0; left -= BLOCK.length) hash.update(BLOCK.subarray(0, left))
  return hash.digest('hex')
}

/** `dieAt`: of the body, where the connection is reset; Infinity: never. */
export async function pour(connection: ScriptedConnection, target: string, dieAt = Infinity): Promise<void> {
  const [, framing = '', size = '0'] = target.split('/')
  const bytes = Number(size)
  const { socket } = connection
  const head = framing === 'length' ? `content-length: ${bytes}` : 'transfer-encoding: chunked'
  connection.send(`HTTP/1.1 200 OK\r\n${framing === 'close' ? 'connection: close' : head}\r\n\r\n`)
  const until = Math.min(bytes, dieAt)
  for (let at = 0; at < until && !connection.isClosed; at += BLOCK.length) {
    const piece = BLOCK.subarray(0, Math.min(BLOCK.length, until - at))
    if (framing === 'chunks') connection.send(`${piece.length.toString(16)}\r\n`)
    connection.send(piece)
    if (framing === 'chunks') connection.send('\r\n')
    if (socket.writableLength > 4 * BLOCK.length) await drained(connection)
  }
  if (dieAt < bytes) {
    if (socket.writableLength > 0) await drained(connection)
    connection.reset()
  } else if (framing === 'chunks') connection.send('0\r\n\r\n')
  else if (framing === 'close') connection.finish()
}

/** All that was sent has left, or can no longer. */
async function drained({ socket, closed }: ScriptedConnection): Promise<void> {
  await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
}

export const large: Script = async (connection) => {
  for (;;) {
    const { target } = await connection.request()
    await pour(connection, target)
  }
}

export function startLarge(): Promise<ScriptedUpstream> {
  return ScriptedUpstream.start(large)
}
