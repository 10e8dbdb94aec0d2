/**
 * A port on which no connection is ever established: it listens, its accept queue is full, and its thread is
 * blocked, so the kernel drops every further SYN.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { eventually } from './eventually.ts'

const BLOCKED = `
const { parentPort, workerData } = require('node:worker_threads')
const server = require('node:net').createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  setImmediate(() => {
    Atomics.store(workerData, 1, 1)
    Atomics.wait(workerData, 0, 0)
  })
})
`
const SYN_SENT = '02'
const FILLERS_MAX = 16

export class DeafPort {
  readonly port: number
  readonly #worker: Worker
  readonly #flag: Int32Array
  readonly #fillers: readonly Socket[]

  private constructor(port: number, parts: { worker: Worker; flag: Int32Array; fillers: readonly Socket[] }) {
    this.port = port
    this.#worker = parts.worker
    this.#flag = parts.flag
    this.#fillers = parts.fillers
  }

  static async open(): Promise<DeafPort> {
    const flag = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(BLOCKED, { eval: true, workerData: flag })
    const [port] = (await once(worker, 'message')) as [number]
    // From then on it accepts nothing.
    await eventually(() => Atomics.load(flag, 1) === 1)
    const fillers: Socket[] = []
    const deaf = new DeafPort(port, { worker, flag, fillers })
    while (deaf.knocking === 0) {
      if (fillers.length === FILLERS_MAX) throw new Error('the accept queue is not full')
      fillers.push(connect(port, '127.0.0.1').on('error', () => {}))
      await pause(20)
    }
    for (const filler of fillers) if (filler.connecting) filler.destroy()
    return deaf
  }

  /** Sockets of this machine that wait to be connected to it (Linux). */
  get knocking(): number {
    const hex = this.port.toString(16).toUpperCase().padStart(4, '0')
    return readFileSync('/proc/net/tcp', 'latin1')
      .split('\n')
      .filter((line) => new RegExp(`^ *\\d+: \\S+ 0100007F:${hex} ${SYN_SENT} `).test(line)).length
  }

  async close(): Promise<void> {
    for (const filler of this.#fillers) filler.destroy()
    Atomics.store(this.#flag, 0, 1)
    Atomics.notify(this.#flag, 0)
    await this.#worker.terminate()
  }
}
