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
const WARM_REQUESTS = 4800
const WARM_CONNECTIONS = 32
const WINDOW_REQUESTS = 400
/** Windows in which nothing was collected. */
const WINDOWS = 3
const WINDOWS_MAX = 12

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

export async function requestCosts({ served, port }: Counted, request: string): Promise<RequestCosts> {
  const ask = (requests: number, connections: number) => askMany(port, request, { requests, connections })
  await ask(WARM_REQUESTS, WARM_CONNECTIONS)

  const before = ioOf(served.pid)
  await ask(WINDOW_REQUESTS, 1)
  const after = ioOf(served.pid)
  const lane = busiest(before, after)
  const heap: number[] = []
  const buffers: number[] = []
  for (let index = 0; index < WINDOWS_MAX && heap.length < WINDOWS; index += 1) {
    const start = await probe(served)
    await ask(WINDOW_REQUESTS, 1)
    const end = await probe(served)
    if (end.collections !== start.collections) continue
    heap.push((end.heapBytes - start.heapBytes) / WINDOW_REQUESTS)
    buffers.push((end.bufferBytes - start.bufferBytes) / WINDOW_REQUESTS)
  }
  if (heap.length === 0) throw new Error('garbage was collected in every window')
  return {
    reads: (after.get(lane)!.reads - before.get(lane)!.reads) / WINDOW_REQUESTS,
    writes: (after.get(lane)!.writes - before.get(lane)!.writes) / WINDOW_REQUESTS,
    // Whatever else happened in a window (a look at the log, a compilation) only adds.
    heapBytes: Math.min(...heap),
    bufferBytes: Math.min(...buffers),
    calls: await callsOf(lane, () => ask(WINDOW_REQUESTS, 1)),
  }
}

interface Asking {
  readonly requests: number
  readonly connections: number
}

function askMany(port: number, request: string, { requests, connections }: Asking): Promise<unknown> {
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let left = Math.ceil(requests / connections)
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(request))
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('the connection was closed')))
      socket.on('data', (bytes: Buffer) => {
        if (!bytes.toString('latin1', 0, 15).startsWith('HTTP/1.1 200 OK')) {
          reject(new Error(bytes.toString('latin1', 0, 300)))
        }
        left -= 1
        if (left > 0) socket.write(request)
        else {
          socket.destroy()
          resolve()
        }
      })
    })
  return Promise.all(Array.from({ length: connections }, one))
}

/** Of the lane: the thread that allocates. */
async function probe(served: ServeProcess): Promise<Probed> {
  const from = served.stderr.length
  served.signal('SIGUSR2')
  const isProbe = (line: string): boolean => line.startsWith('{"probe"')
  const said = (): Probed[] =>
    served.stderr
      .slice(from)
      .split('\n')
      .slice(0, -1)
      .filter(isProbe)
      .map((line) => JSON.parse(line) as Probed)
  return eventually(() => said()[0], { withinMs: 5000, until: 'the lane says what its objects take' })
}

interface ThreadIo {
  readonly reads: number
  readonly writes: number
}

function ioOf(process: number): ReadonlyMap<string, ThreadIo> {
  const of = (thread: string): ThreadIo => {
    const text = readFileSync(`/proc/${process}/task/${thread}/io`, 'utf8')
    const number = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1])
    return { reads: number('syscr'), writes: number('syscw') }
  }
  return new Map(readdirSync(`/proc/${process}/task`).map((thread) => [thread, of(thread)]))
}

function busiest(before: ReadonlyMap<string, ThreadIo>, after: ReadonlyMap<string, ThreadIo>): string {
  const writes = (thread: string): number => after.get(thread)!.writes - (before.get(thread)?.writes ?? 0)
  return [...after.keys()].sort((a, b) => writes(b) - writes(a))[0]!
}

/** Waiting and waking depend on how the machine shares its cores out; these do not. */
const COUNTED = /^(recv|send|read|write|pread|pwrite|readv|connect|accept|socket|close|setsockopt|epoll_ctl)/

async function callsOf(thread: string, work: () => Promise<unknown>): Promise<RequestCosts['calls']> {
  if (!hasStrace()) return undefined
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
    if (COUNTED.test(name)) calls.set(name, Number(count) / WINDOW_REQUESTS)
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
  for (let waitedMs = 0; waitedMs < 3000 && tracer.exitCode === null; waitedMs += 20) {
    if (/^TracerPid:\t[1-9]/m.test(readFileSync(`/proc/${thread}/status`, 'utf8'))) return true
    await pause(20)
  }
  tracer.kill('SIGKILL')
  return false
}
