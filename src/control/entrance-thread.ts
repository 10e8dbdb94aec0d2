/** The control thread's handle on the entrance: tells it where to listen and to whom connections go. */
import { Worker } from 'node:worker_threads'
import type { Member } from '../domain/lane-server.ts'
import type { HostPort } from '../domain/routes.ts'
import type { EntranceStart, FromEntrance, ToEntrance } from '../entrance-messages.ts'
import { entryBeside } from '../kernel/entry.ts'

export class EntranceThread {
  readonly #worker: Worker
  readonly #ended: Promise<void>
  readonly #waiting: {
    readonly resolve: (told: FromEntrance) => void
    readonly reject: (error: Error) => void
  }[] = []
  #isClosing = false

  /** `onFailure`: it ended although nobody asked. */
  constructor(start: EntranceStart, onFailure: (error: Error) => void) {
    this.#worker = new Worker(entryBeside(import.meta.url, '../entrance'), {
      workerData: start,
      name: 'entrance',
    })
    this.#worker.on('message', (told: FromEntrance) => this.#receive(told))
    const fail = (error: Error) => {
      if (!this.#isClosing) onFailure(error)
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    }
    this.#worker.on('error', (error) => fail(error as Error))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        fail(new Error('the thread that listens has ended'))
        resolve()
      })
    })
  }

  /** Resolves when others than these get no new connection any more. */
  async admit(members: readonly Member[]): Promise<void> {
    if (!this.#isClosing) await this.#ask({ kind: 'admit', members })
  }

  /** Resolves to the port. After the first `admit`. */
  async listen(at: HostPort): Promise<number> {
    const told = await this.#ask({ kind: 'listen', at })
    return told.kind === 'listening' ? told.port : 0
  }

  /** Resolves when nothing is accepted any more and the thread has ended. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#worker.postMessage({ kind: 'close' } satisfies ToEntrance)
    await this.#ended
  }

  /** Answers come in the order of the questions. */
  #ask(message: ToEntrance): Promise<FromEntrance> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(message)
    })
  }

  #receive(told: FromEntrance): void {
    const first = this.#waiting.shift()
    if (told.kind === 'cannot-listen') first?.reject(new Error(told.problem))
    else first?.resolve(told)
  }
}
