/**
 * What one request costs a gateway in things that can be counted, whatever else the machine does: system calls of the lane
 * and bytes its objects take. A gateway of its own process is asked one request after another on one
 * connection, so that no two requests share a turn of the loop and every count is the largest it can be.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Probed } from './allocation-probe.ts'
import { eventually } from './eventually.ts'
import { ServeProcess, writeSetup } from './serve-process.ts'

const PROBE = join(import.meta.dirname, 'allocation-probe.js')
/** So much fits in before anything has to be collected. */
const YOUNG_MIB = 64
/** Until what runs is compiled: before, the same code allocates more, or less. */
const WARM_REQUESTS = 2400
const WARM_CONNECTIONS = 32
const WINDOW_REQUESTS = 400
/** Windows in which nothing was collected: a few, and more while what runs is not compiled yet on a busy machine. */
const WINDOWS = 3
const WINDOWS_MAX = 30
/** What a lane does twice a second, asked or not, hits few of so many short windows: the one in the middle is free of it. */
const IO_WINDOWS = 21
const IO_WINDOW_REQUESTS = 20
/** Times that all calls are counted at most: whatever else the lane did only adds. */
const TRACES_MAX = 4
const TRACE_REQUESTS = 100

export interface RequestCosts {
  /** Calls of read and of write (also writev, pwrite …) of the lane; the server's own recv and send are not among them. */
  readonly reads: number
  readonly writes: number
  readonly heapBytes: number
  readonly bufferBytes: number
  /** By name, of the lane, those that move bytes or change what is watched; undefined without strace. */
  readonly calls: ReadonlyMap<string, number> | undefined
}

/** Ports of endpoints that answer every piece they get, which here is a request. */
export async function startAnswering(t: Pick<Test, 'teardown'>, body: string): Promise<number> {
  const answer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => socket.write(answer))
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A gateway that can be counted; its port. */
export async function startCounted(t: Pick<Test, 'teardown'>, toml: string): Promise<Counted> {
  const { configFile } = writeSetup(t, toml)
  const flags = [
    `--min-semi-space-size=${YOUNG_MIB}`,
    `--max-semi-space-size=${YOUNG_MIB}`,
    '--import',
    PROBE,
  ]
  const served = new ServeProcess(configFile, { flags })
  t.teardown(() => served.kill())
  const { port } = await served.ports()
  return { served, port }
}

export interface Counted {
  readonly served: ServeProcess
  readonly port: number
}

/** With less than this nothing is looked for that may be better yet. */
export interface Enough {
  readonly heapBytes: number
  readonly bufferBytes: number
  readonly calls: number
}

export async function requestCosts(
  { served, port }: Counted,
  request: string,
  enough: Enough,
): Promise<RequestCosts> {
  const ask = (requests: number, connections: number) => askMany(port, request, { requests, connections })
  await ask(WARM_REQUESTS, WARM_CONNECTIONS)

  const start = ioOf(served.pid)
  await ask(WINDOW_REQUESTS, 1)
  const lane = busiest(start, ioOf(served.pid))
  const steady = await oneConnection(port, request)
  const io = await ioPerRequest(served.pid, lane, () => steady.ask(IO_WINDOW_REQUESTS))
  const memory = await allocated(served, enough, () => steady.ask(WINDOW_REQUESTS))
  const calls = await callsOf(lane, enough.calls, () => steady.ask(TRACE_REQUESTS))
  steady.close()
  return { ...io, ...memory, calls }
}

/** In the middle of some windows. */
async function ioPerRequest(process: number, lane: string, work: () => Promise<unknown>): Promise<ThreadIo> {
  const reads: number[] = []
  const writes: number[] = []
  for (let index = 0; index < IO_WINDOWS; index += 1) {
    const before = threadIo(process, lane)
    await work()
    const after = threadIo(process, lane)
    reads.push((after.reads - before.reads) / IO_WINDOW_REQUESTS)
    writes.push((after.writes - before.writes) / IO_WINDOW_REQUESTS)
  }
  return { reads: middleOf(reads), writes: middleOf(writes) }
}

const middleOf = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!

/** Whatever else happened in a window (a look at the log, a compilation) only adds. */
async function allocated(
  served: ServeProcess,
  enough: Enough,
  work: () => Promise<unknown>,
): Promise<Pick<RequestCosts, 'heapBytes' | 'bufferBytes'>> {
  let [heapBytes, bufferBytes] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  let windows = 0
  for (let index = 0; index < WINDOWS_MAX; index += 1) {
    const start = await probe(served)
    await work()
    const end = await probe(served)
    if (end.collections !== start.collections) continue
    windows += 1
    heapBytes = Math.min(heapBytes, (end.heapBytes - start.heapBytes) / WINDOW_REQUESTS)
    bufferBytes = Math.min(bufferBytes, (end.bufferBytes - start.bufferBytes) / WINDOW_REQUESTS)
    if (windows >= WINDOWS && heapBytes <= enough.heapBytes && bufferBytes <= enough.bufferBytes) break
  }
  if (heapBytes === Number.POSITIVE_INFINITY) throw new Error('garbage was collected in every window')
  return { heapBytes, bufferBytes }
}

interface Asking {
  readonly requests: number
  readonly connections: number
}

async function askMany(port: number, request: string, { requests, connections }: Asking): Promise<void> {
  const one = async (): Promise<void> => {
    const connection = await oneConnection(port, request)
    await connection.ask(Math.ceil(requests / connections))
    connection.close()
  }
  await Promise.all(Array.from({ length: connections }, one))
}

interface OneConnection {
  /** One request after the other. */
  ask(requests: number): Promise<void>
  close(): void
}

async function oneConnection(port: number, request: string): Promise<OneConnection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  let left = 0
  let [done, fail]: [() => void, (error: Error) => void] = [() => {}, () => {}]
  socket.on('error', (error) => fail(error))
  socket.on('close', () => fail(new Error('the connection was closed')))
  socket.on('data', (bytes: Buffer) => {
    if (!bytes.toString('latin1', 0, 15).startsWith('HTTP/1.1 200 OK')) {
      fail(new Error(bytes.toString('latin1', 0, 300)))
    }
    left -= 1
    if (left > 0) socket.write(request)
    else done()
  })
  return {
    ask: (requests) =>
      new Promise((resolve, reject) => {
        ;[done, fail] = [resolve, reject]
        left = requests
        socket.write(request)
      }),
    close: () => void socket.destroy(),
  }
}

/** Of the lane. */
async function probe(served: ServeProcess): Promise<Probed> {
  const from = served.stderr.length
  served.signal('SIGUSR2')
  const said = () =>
    served.stderr
      .slice(from)
      .split('\n')
      .slice(0, -1)
      .find((line) => line.startsWith('{"probe"'))
  const line = await eventually(said, { withinMs: 30_000, until: 'the lane says what its objects take' })
  return JSON.parse(line) as Probed
}

interface ThreadIo {
  readonly reads: number
  readonly writes: number
}

function threadIo(process: number, thread: string): ThreadIo {
  const text = readFileSync(`/proc/${process}/task/${thread}/io`, 'utf8')
  const number = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1])
  return { reads: number('syscr'), writes: number('syscw') }
}

function ioOf(process: number): ReadonlyMap<string, ThreadIo> {
  const threads = readdirSync(`/proc/${process}/task`)
  return new Map(threads.map((thread) => [thread, threadIo(process, thread)]))
}

function busiest(before: ReadonlyMap<string, ThreadIo>, after: ReadonlyMap<string, ThreadIo>): string {
  const writes = (thread: string): number => after.get(thread)!.writes - (before.get(thread)?.writes ?? 0)
  return [...after.keys()].sort((a, b) => writes(b) - writes(a))[0]!
}

/** Waiting and waking depend on how the machine shares its cores out; these do not. */
const COUNTED = /^(recv|send|read|write|pread|pwrite|readv|connect|accept|socket|close|setsockopt|epoll_ctl)/

async function callsOf(
  thread: string,
  enough: number,
  work: () => Promise<unknown>,
): Promise<RequestCosts['calls']> {
  if (!hasStrace()) return undefined
  const sumOf = (calls: ReadonlyMap<string, number>) =>
    [...calls.values()].reduce((sum, count) => sum + count, 0)
  let fewest: ReadonlyMap<string, number> | undefined
  for (let index = 0; index < TRACES_MAX; index += 1) {
    const calls = await traced(thread, work)
    if (calls === undefined) return undefined
    if (fewest === undefined || sumOf(calls) < sumOf(fewest)) fewest = calls
    if (sumOf(fewest) <= enough) break
  }
  return fewest
}

async function traced(thread: string, work: () => Promise<unknown>): Promise<RequestCosts['calls']> {
  const tracer = spawn('strace', ['-c', '-p', thread], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  tracer.stderr!.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const ended = once(tracer, 'close')
  if (!(await isTracing(tracer, thread))) return undefined
  await work()
  tracer.kill('SIGINT')
  await ended
  const calls = new Map<string, number>()
  // % time, seconds, usecs/call, calls, [errors,] name
  for (const [, count, name = ''] of said.matchAll(
    /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/gm,
  )) {
    if (COUNTED.test(name)) calls.set(name, Number(count) / TRACE_REQUESTS)
  }
  return calls
}

function hasStrace(): boolean {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Containers may forbid it. */
async function isTracing(tracer: ChildProcess, thread: string): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < 20_000 && tracer.exitCode === null; waitedMs += 20) {
    if (/^TracerPid:\t[1-9]/m.test(readFileSync(`/proc/${thread}/status`, 'utf8'))) return true
    await pause(20)
  }
  tracer.kill('SIGKILL')
  return false
}
