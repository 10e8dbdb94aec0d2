/** Callers of all kinds, each asking one thing after the other until the gateway is gone, and noting what was answered. */
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { inferBytes } from '../../test/support/infer-bytes.ts'
import type { Draw } from '../fuzz/draw.ts'
import { MOODS } from './endpoint.ts'

const BODY = inferBytes('m').split('\r\n\r\n')[1]!
/** A caller that is not answered leaves after this. */
const PATIENCE_MS = 1500

export interface Answered {
  readonly id: string
  readonly model: string
  /** Empty but in durable mode. */
  readonly receipt: string
}

export interface Load {
  readonly port: number
  readonly callers: number
  /** Names of the models that reach the endpoint. */
  readonly remote: readonly string[]
  /** Name of the one that runs here. */
  readonly local: string
}

/** Of what was given up or cut, nothing is known. */
export class Callers {
  readonly answered: Answered[] = []
  readonly #draw: Draw
  #isOver = false

  constructor(draw: Draw) {
    this.#draw = draw
  }

  /** Resolves when all of them have noticed that the gateway is gone; `stop` makes them look. */
  async ask(load: Load): Promise<void> {
    await Promise.all(Array.from({ length: load.callers }, () => this.#keepAsking(load)))
  }

  stop(): void {
    this.#isOver = true
  }

  async #keepAsking(load: Load): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!this.#isOver) {
      const isLocal = this.#draw.happens(0.3)
      const model = isLocal ? load.local : this.#draw.one(load.remote)
      // What follows `/models/NAME` is what the endpoint sees.
      const asked = `${model}/${this.#draw.one(MOODS)}`
      const path = isLocal ? `/v2/models/${model}/infer` : `/models/${model}/${asked}`
      const found = await this.#one({ agent, port: load.port, path, method: 'POST' }, model)
      if (!found) await pause(5)
    }
    agent.destroy()
  }

  /** False when no answer came whole. */
  async #one(options: object, model: string): Promise<boolean> {
    const patienceMs = Math.ceil(PATIENCE_MS * (0.1 + this.#draw.next()))
    const headers = { 'content-type': 'application/json', 'content-length': BODY.length }
    const asking = request({ ...options, headers, signal: AbortSignal.timeout(patienceMs) })
    try {
      asking.on('error', () => {}).end(BODY)
      const [answer] = (await once(asking, 'response')) as [IncomingMessage]
      answer.on('error', () => {}).resume()
      // The head alone says that there was a record: it leaves after it.
      this.#note(answer, model)
      await once(answer, 'end')
      return true
    } catch {
      return false
    }
  }

  #note({ headers, statusCode }: IncomingMessage, model: string): void {
    const id = String(headers['modelgate-request-id'] ?? '')
    if (id === '' || headers['modelgate-error'] === 'audit-unavailable') return
    this.answered.push({
      id,
      model,
      receipt: statusCode === 200 ? String(headers['modelgate-receipt'] ?? '') : '',
    })
  }
}
