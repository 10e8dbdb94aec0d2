/**
 * Receives an answer whole, up to a limit, and tells it at its end: for those who have to see all of it
 * before anything may come of it. Holds the one copy that is made of the body.
 */
import type { Answer, AnswerHead, AttemptResult } from '../domain/outcome.ts'
import type { Done, Receiver } from '../domain/wire.ts'
import { GatheredBytes } from '../kernel/gathered-bytes.ts'

/** Held for an answer that has to be looked into, or that may still be replaced by another one's. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024

export class HeldAnswer implements Receiver {
  readonly awaitsContent = false
  readonly bodyBytesMax: number
  readonly #done: Done
  readonly #body: GatheredBytes
  #head: AnswerHead | undefined

  constructor(done: Done, bodyBytesMax: number = ANSWER_BYTES_MAX) {
    this.#done = done
    this.bodyBytesMax = bodyBytesMax
    this.#body = new GatheredBytes(bodyBytesMax)
  }

  head(head: AnswerHead): void {
    this.#head = head
    this.#body.begin(head.bodyBytes)
  }

  body(bytes: Uint8Array): boolean {
    this.#body.append(bytes, 0, bytes.length)
    return true
  }

  done(result: AttemptResult): void {
    // A local version's answer comes whole, with its end.
    const isHere = result.answer !== null || result.fault !== null
    this.#done(isHere ? result : { ...result, answer: this.#take() })
  }

  #take(): Answer {
    const { status, headers } = this.#head!
    return { status, headers, body: this.#body.take() }
  }
}
