/**
 * Receives a shadow's answer whole, at the pace that all shadows of the lane share. Holds no more than its limit,
 * and gives up an answer whose pieces have cost too much, however small its body is.
 */
import { Buffer } from 'node:buffer'
import type { AnswerHead, AttemptResult } from '../domain/outcome.ts'
import type { Done, InProgress, Receiver } from '../domain/wire.ts'
import { ANSWER_COST_MAX, FREE_BYTES, PIECE_COST, type ShadowPace } from './shadow-pace.ts'

export class PacedAnswer implements Receiver {
  readonly awaitsContent = false
  bodyBytesMax: number
  /** Set as soon as the attempt has started, before anything is told. */
  progress: InProgress | undefined
  readonly #pace: ShadowPace
  readonly #done: Done
  #head: AnswerHead | undefined
  /** Joined at the end, which most of the large ones never see: growing one Buffer costs twice its bytes in new pages. */
  #pieces: Uint8Array[] = []
  #bodyBytes = 0
  #cost = 0
  #isWaiting = false

  constructor(done: Done, bodyBytesMax: number, pace: ShadowPace) {
    this.bodyBytesMax = bodyBytesMax
    this.#pace = pace
    this.#done = done
  }

  head(head: AnswerHead): void {
    this.#head = head
  }

  body(bytes: Uint8Array): boolean {
    this.#bodyBytes += bytes.length
    if (this.#bodyBytes <= this.bodyBytesMax) this.#pieces.push(Buffer.from(bytes))
    const cost = bytes.length + PIECE_COST
    this.#cost += cost
    // Longer than this it may not be: the attempt fails, as it does for one that is too large.
    if (this.#cost > ANSWER_COST_MAX) this.bodyBytesMax = Math.min(this.bodyBytesMax, this.#bodyBytes - 1)
    if (this.#cost <= FREE_BYTES || this.#pace.spend(cost)) return true
    if (!this.#isWaiting) this.#pace.wait(this.#goOn)
    this.#isWaiting = true
    return false
  }

  done(result: AttemptResult): void {
    if (this.#isWaiting) this.#pace.forget(this.#goOn)
    const pieces = this.#pieces
    this.#pieces = []
    // A local version's answer comes whole, with its end.
    const isHere = result.answer !== null || result.fault !== null
    if (isHere) return this.#done(result)
    const { status, headers } = this.#head!
    const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    this.#done({ ...result, answer: { status, headers, body } })
  }

  readonly #goOn = (): void => {
    this.#isWaiting = false
    this.progress?.resume()
  }
}
