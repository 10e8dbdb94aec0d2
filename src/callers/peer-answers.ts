/**
 * How a lane gets an answer that another one keeps: it asks all of them over one channel, and the one named answers. Used
 * only where a repeat landed on another lane than the first request did; nothing else ever waits for a lane, and
 * nobody waits longer than PEER_WAIT_MS_MAX.
 */
import { assert } from '../kernel/assert.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'
import type { KeptAnswer } from './kept-answers.ts'

export const PEER_WAIT_MS_MAX = 500
/** Questions of one lane that may wait for other lanes. */
export const PEER_ASKS_MAX = 1024

export type PeerMessage =
  | {
      readonly kind: 'ask'
      readonly to: number
      readonly from: number
      readonly number: number
      readonly model: number
      readonly key: string
    }
  | { readonly kind: 'told'; readonly to: number; readonly number: number; readonly kept: KeptAnswer | null }

export interface PeerParts {
  readonly lane: number
  readonly clock: Pick<Clock, 'now'>
  readonly sweep: Sweep
  /** To all other lanes. */
  send(message: PeerMessage): void
  /** What this lane keeps. */
  keptOf(model: number, key: string): KeptAnswer | undefined
}

/** `unknown`: the lane did not answer in time, or too many wait already. */
export type Told = KeptAnswer | 'gone' | 'unknown'

export class PeerAnswers {
  readonly #parts: PeerParts
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0

  constructor(parts: PeerParts) {
    this.#parts = parts
  }

  /** `tell` is called exactly once, later. */
  ask(lane: number, model: number, key: string, tell: (told: Told) => void): void {
    const { lane: from, clock, sweep, send } = this.#parts
    this.#asked += 1
    const number = this.#asked
    const forget = (): void => void this.#waiting.delete(number)
    const waiting = new Waiting(clock.now() + PEER_WAIT_MS_MAX, tell, forget)
    if (this.#waiting.size >= PEER_ASKS_MAX) waiting.dueAt = clock.now()
    else this.#waiting.set(number, waiting)
    sweep.watch(waiting)
    if (this.#waiting.has(number)) send({ kind: 'ask', to: lane, from, number, model, key })
  }

  receive(message: PeerMessage): void {
    const { lane, sweep, keptOf, send } = this.#parts
    if (message.to !== lane) return
    if (message.kind === 'ask') {
      const { from: to, number, model, key } = message
      send({ kind: 'told', to, number, kept: keptOf(model, key) ?? null })
      return
    }
    const waiting = this.#waiting.get(message.number)
    if (waiting === undefined) return
    sweep.unwatch(waiting)
    waiting.end(message.kept ?? 'gone')
  }
}

class Waiting implements Watched {
  dueAt: number
  slot = -1
  readonly #tell: (told: Told) => void
  readonly #forget: () => void
  #isOver = false

  constructor(dueAt: number, tell: (told: Told) => void, forget: () => void) {
    this.dueAt = dueAt
    this.#tell = tell
    this.#forget = forget
  }

  expire(): void {
    this.end('unknown')
  }

  end(told: Told): void {
    assert(!this.#isOver, 'a question is answered once')
    this.#isOver = true
    this.#forget()
    this.#tell(told)
  }
}
