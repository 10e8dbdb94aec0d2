/**
 * What a gateway holds of streams whose callers read nothing. Streams of every framing stand still in one process: what
 * stands in the kernel's buffers for so many of them is a lot already, and one way that is not held back shows in the mean.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask } from '../support/ask.ts'
import { eventually } from '../support/eventually.ts'
import { Metrics } from '../support/read-metrics.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { serve, writeSetup } from '../support/serve-process.ts'
import { rawGet, StreamCaller } from '../support/stream-caller.ts'

const KIB = 1024
/** What is promised of each stream. */
const HELD_KIB_MAX = 256
/** Enough that what a process grows by once, its young heap for one, is told apart from what each of them holds. */
const FEW = 32
const MANY = 128
const BLOCK = Buffer.alloc(64 * KIB, 'data: x\n\n')
const CHUNK = Buffer.concat([Buffer.from('10000\r\n'), BLOCK, Buffer.from('\r\n')])

/** Heads, and what follows them without an end. */
const WAYS: Readonly<Record<string, readonly [head: string, piece: Buffer]>> = {
  length: ['content-length: 999999999999', BLOCK],
  chunks: ['transfer-encoding: chunked', CHUNK],
  close: ['connection: close', BLOCK],
  events: ['content-type: text/event-stream\r\ntransfer-encoding: chunked', CHUNK],
}

/** An endpoint that sends for as long as anybody takes it. */
async function endless(t: Test) {
  const upstream = await ScriptedUpstream.start(async (connection) => {
    const { socket, closed } = connection
    const [head, piece] = WAYS[(await connection.request()).target.slice(1)]!
    socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`)
    while (!connection.isClosed) {
      if (!socket.write(piece)) {
        await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
      }
    }
  })
  t.teardown(() => upstream.close())
  const sent = () => upstream.connections.reduce((sum, { socket }) => sum + socket.bytesWritten, 0)
  return { upstream, sent }
}

/** Once hardly anything more was taken for a while: kernels short of memory for sockets go on in drops. */
async function stalled(sent: () => number): Promise<void> {
  for (let before = -Infinity; sent() - before > 256 * KIB; await pause(300)) before = sent()
}

t.test('a stream whose caller reads nothing holds at most 256 KiB, however it is framed', async (t) => {
  const { upstream, sent } = await endless(t)
  const { configFile } = writeSetup(
    t,
    `[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
lanes = 1
[models.m]
protocol = "raw"
timeouts = { connect = "60s", first_byte = "60s", idle = "60s", total = "60s" }
[models.m.versions.v1]
endpoints = ["${upstream.url}"]
`,
  )
  const gateway = serve(t, configFile)
  const { port, adminPort } = await gateway.ports()
  const memory = async () => {
    const page = new Metrics((await ask(adminPort, '/metrics')).text)
    return page.value('modelgate_process_resident_memory_bytes')
  }
  const ways = Object.keys(WAYS)
  const callers: StreamCaller[] = []
  const still = async (count: number) => {
    while (callers.length < count) {
      const way = ways[callers.length % ways.length]!
      callers.push(await StreamCaller.ask(port, rawGet('m', way), false))
    }
    await eventually(() => upstream.connectionCount === count, { until: 'each has its stream' })
    await stalled(sent)
    return memory()
  }
  const few = await still(FEW)
  const grown = ((await still(MANY)) - few) / KIB / (MANY - FEW)
  t.ok(grown <= HELD_KIB_MAX, `${Math.round(grown)} KiB for each stream that stands still`)
  t.comment(`${Math.round(grown)} KiB`)
  for (const [index, way] of ways.entries()) {
    const { socket } = callers[index]!
    const before = sent()
    socket
      .removeAllListeners('data')
      .on('data', () => {})
      .resume()
    await eventually(() => sent() > before + 1024 * KIB, {
      until: `${way}: it goes on as soon as its caller reads`,
    })
    socket.pause()
  }
  for (const caller of callers) caller.leave()
  await eventually(() => upstream.openCount === 0, { until: 'all are let go' })
  await gateway.kill()
})
