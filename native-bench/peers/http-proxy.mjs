/** http-proxy as its users run it behind a kept-alive agent: `node http-proxy.mjs ENDPOINT_PORT`. */
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'

const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${process.argv[2]}`,
  agent: new Agent({ keepAlive: true, maxSockets: 512 }),
  xfwd: true,
})
proxy.on('error', (error) => {
  throw error
})
const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => proxy.web(request, response))
server.listen(0, '127.0.0.1', 4096, () => console.log(`serving on http://127.0.0.1:${server.address().port}`))
