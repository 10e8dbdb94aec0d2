import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/start-gateway.ts'

/** All bytes of a body are its number, so that one byte of another is seen wherever it is read. */
const mixed: string[] = []
let received = 0

/** Longer than what the kernel takes of a body that nobody reads. */
const LONG_MS = 150
const LARGE_BYTES = 4_000_000

async function read(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  if (message.headers['modelgate-shadow'] !== undefined) await pause(LONG_MS)
  for await (const chunk of message) {
    chunks.push(chunk as Buffer)
    // An endpoint that takes its time keeps the request's memory in use.
    if (chunks.length % 3 === 0) await pause(1)
  }
  const body = Buffer.concat(chunks)
  if (message.url!.endsWith('/infer')) inferred(body)
  else if (body.some((byte) => byte !== body[0])) mixed.push(`${message.url}: ${body[0]} and others`)
  received += 1
  return body
}

function inferred(body: Buffer): void {
  const value = /"data":\["(.*)"\]/.exec(body.toString('latin1'))?.[1] ?? ''
  if (value.length !== LARGE_BYTES || value !== value[0]!.repeat(LARGE_BYTES))
    mixed.push(`infer: ${value[0]}`)
}

async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
  if (message.url === '/early') {
    response.writeHead(413, { 'content-length': 4 }).end('much')
    return
  }
  const body = await read(message)
  if (message.url!.endsWith('/infer'))
    response.setHeader('content-type', 'application/json').end('{"outputs":[]}')
  else if (message.url === '/fails') response.writeHead(500).end()
  else if (message.url === '/late') setTimeout(() => response.end(body), 40)
  else response.writeHead(200, { 'content-length': body.length }).end(body)
}

const endpoint = createServer((message, response) => {
  answer(message, response).catch(() => response.destroy())
})
endpoint.listen(0, '127.0.0.1')
await once(endpoint, 'listening')
t.teardown(() => {
  endpoint.closeAllConnections()
  endpoint.close()
})
const { port } = endpoint.address() as AddressInfo

const model = (name: string, more: string, route = '', protocol = 'raw'): string => `
[models.${name}]
protocol = "${protocol}"
timeouts = { queue = "30s", connect = "30s", first_byte = "30s", total = "60s" }
[models.${name}.versions.v1]
endpoints = ["http://127.0.0.1:${port}"]
${more}
[models.${name}.versions.v2]
endpoints = ["http://127.0.0.1:${port}"]
[models.${name}.route]
primary = "v1"
${route}
`

/** The client leaves as soon as a part of its body is sent, or a part of its answer has come. */
function leaveEarly(gateway: number, path: string, body: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const headers = { 'content-length': body.length }
    const sent = request({ host: '127.0.0.1', port: gateway, path, method: 'POST', headers, agent: false })
    sent.on('error', () => resolve())
    sent.on('close', () => resolve())
    sent.on('response', (response) => response.once('data', () => sent.destroy()))
    if (body[0]! % 2 === 0) sent.write(body.subarray(0, body.length / 2), () => sent.destroy())
    else sent.end(body)
  })
}

const SHADOWS = 'shadows = [{ version = "v2", percent = 100, max_concurrent = 8, timeout = "30s" }]'

t.test('a shadow that is still being sent when its request is over keeps the memory', async (t) => {
  const gateway = await startTestGateway(t, { toml: model('shadowed', '', SHADOWS, 'open-inference') })
  for (const letter of ['a', 'b', 'c', 'd']) {
    const tensor = `{"name":"x","datatype":"BYTES","shape":[1],"data":["${letter.repeat(LARGE_BYTES)}"]}`
    const told = await gateway.infer('shadowed', `{"inputs":[${tensor}]}`)
    t.equal(told.status, 200, told.text)
  }
  await eventually(() => received === 8, { withinMs: 30_000, until: 'each came twice' })
  t.same(mixed, [])
  received = 0
})

t.test('memory that is used again never shows one request to another', async (t) => {
  const toml = [
    model('plain', ''),
    model('lined', 'pipeline = 4'),
    model('mended', '', '[models.mended.on_failure]\nerror = ["version:v2", "fail"]'),
  ].join('')
  const gateway = await startTestGateway(t, { toml })
  const paths = ['/ok', '/ok', '/late', '/fails', '/early']
  const models = ['plain', 'plain', 'lined', 'mended']
  let number = 0
  const worker = async (): Promise<void> => {
    while (number < 96) {
      number += 1
      const mine = number
      const body = Buffer.alloc(80_000 + ((mine * 7919) % 40) * 40_000, mine)
      const path = `/models/${models[mine % models.length]}${paths[(mine >> 2) % paths.length]}`
      if (mine % 6 === 0) {
        await leaveEarly(gateway.port, path, body)
        continue
      }
      const told = await ask(gateway.port, path, { body }).catch((error: Error) => error)
      // An early answer may meet a client that is still sending.
      if (told instanceof Error) t.match(path, /early/, told.message)
      else if (/ok|late/.test(path) && told.status === 200) t.ok(told.body.equals(body), `${path} ${mine}`)
    }
  }
  await Promise.all(Array.from({ length: 10 }, worker))
  t.same(mixed, [])
  t.ok(received > 48, `${received} bodies came whole`)
})
