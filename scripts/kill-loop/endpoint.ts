/** An endpoint in many moods: it answers at once, late, in pieces, with a failure or never, and notes whom it saw. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Chance } from '../../src/kernel/chance.ts'

/** What a caller asks for, as the last part of the path. */
export const MOODS = ['quick', 'late', 'held', 'events', 'long', 'failing', 'cut'] as const
export type Mood = (typeof MOODS)[number]

const LATE_MS_MAX = 150
const EVENTS = 5
/** More than is held whole before it is passed on. */
const LONG_BYTES = 300_000

export class MoodyModel {
  /** By id, the path; shadow copies have the id of their request. */
  readonly seen = new Map<string, string>()
  readonly #chance: Chance
  readonly #server = createServer((asked, answer) => void this.#answer(asked, answer))

  constructor(chance: Chance) {
    this.#chance = chance
  }

  /** Resolves to its port. */
  async open(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { url = '' } = asked
    this.seen.set(String(asked.headers['modelgate-request-id']), url)
    asked.resume()
    answer.on('error', () => {})
    const mood = url.split('/').at(-1) as Mood
    if (mood === 'held') return
    if (mood === 'late') await pause(this.#chance.next() * LATE_MS_MAX)
    if (mood === 'failing') answer.statusCode = 500
    if (mood === 'cut') return void answer.socket?.destroy()
    if (mood === 'events') return this.#events(answer)
    answer.end(mood === 'long' ? Buffer.alloc(LONG_BYTES, 'x') : 'yes')
  }

  async #events(answer: ServerResponse): Promise<void> {
    answer.setHeader('content-type', 'text/event-stream')
    for (let count = 0; count < EVENTS && !answer.destroyed; count += 1) {
      answer.write(`data: ${count}\n\n`)
      await pause(this.#chance.next() * 30)
    }
    answer.end()
  }
}
