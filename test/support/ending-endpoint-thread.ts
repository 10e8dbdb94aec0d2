/**
 * An endpoint on a thread of its own, so that what it sends and how it ends arrive together. By path:
 * /finish and /reset answer without a length and end by FIN or RST; /late does so by FIN after LATE_MS; /early refuses a body it has not read
 * and closes at once. Any message ends it.
 */
import { type AddressInfo, createServer } from 'node:net'
import { parentPort } from 'node:worker_threads'

const port = parentPort!
const UNTIL_CLOSE = 'HTTP/1.1 200 OK\r\n\r\nuntil the end'
/** Long enough for whoever asked to have gone on to something else. */
const LATE_MS = 60
const EARLY = 'HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large'

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', (bytes: Buffer) => {
    const path = bytes.toString('latin1').split(' ')[1]
    if (path === '/finish') socket.end(UNTIL_CLOSE)
    else if (path === '/late') setTimeout(() => socket.end(UNTIL_CLOSE), LATE_MS)
    else if (path === '/reset') socket.write(UNTIL_CLOSE, () => socket.resetAndDestroy())
    else {
      socket.write(EARLY)
      socket.destroySoon()
    }
  })
})
server.listen(0, '127.0.0.1', () => port.postMessage((server.address() as AddressInfo).port))
port.once('message', () => {
  server.close()
  port.close()
})
