/**
 * A thread that loads the server as a lane does, says on which port it listens, and answers with the
 * length of the `x-big` header. Any message ends it: it closes its app and lets its loop run empty.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { loadUws } from '../../src/accept/load-uws.ts'

const { headerBytesMax } = workerData as { headerBytesMax: number }
const port = parentPort!
const loaded = await loadUws(headerBytesMax)
if (loaded.kind === 'problem') throw new Error(loaded.message)

const { App, us_socket_local_port } = loaded.uws
const app = App()
app.get('/*', (response, request) => {
  response.end(String(request.getHeader('x-big').length))
})
app.listen('127.0.0.1', 0, (socket) => {
  port.postMessage({ build: loaded.build, port: socket ? us_socket_local_port(socket) : 0 })
})
port.once('message', () => {
  app.close()
  port.close()
})
