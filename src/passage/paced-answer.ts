/**
 * Receives a shadow's answer whole, at the pace that all shadows of the lane share. Holds no more than its limit,
 * and gives up an answer whose pieces have cost too much, however small its body is. A stream of events is followed
 * as it comes, so that no turn of the thread has to read all of it.
 */
import { Buffer } from 'node:buffer'
import type { AnswerHead, AnswerSummary, AttemptResult } from '../domain/outcome.ts'
import type { InProgress, Receiver } from '../domain/wire.ts'
import type { AnswerTap } from '../protocols/protocol.ts'
import { ANSWER_COST_MAX, FREE_BYTES, PIECE_COST, type ShadowPace } from './shadow-pace.ts'

/** `summary`: what a complete answer that was followed came to, with our names in it; null for any other. */
export type ShadowAnswered = (result: AttemptResult, summary: AnswerSummary | null) => void
export type Follow = (head: AnswerHead) => AnswerTap | null

export class PacedAnswer implements Receiver {
  readonly awaitsContent = false
  bodyBytesMax: number
  /** Set as soon as the attempt has started, before anything is told. */
  progress: InProgress | undefined
  readonly #pace: ShadowPace
  readonly #done: ShadowAnswered
  readonly #follow: Follow
  #tap: AnswerTap | null = null
  #head: AnswerHead | undefined
  /** Joined at the end, which most of the large ones never see: growing one Buffer costs twice its bytes in new pages. */
  #pieces: Uint8Array[] = []
  #bodyBytes = 0
  #cost = 0
  #isWaiting = false

  constructor(done: ShadowAnswered, bodyBytesMax: number, pace: ShadowPace, follow: Follow) {
    this.bodyBytesMax = bodyBytesMax
    this.#pace = pace
    this.#done = done
    this.#follow = follow
  }

  head(head: AnswerHead): void {
    this.#head = head
    this.#tap = this.#follow(head)
  }

  body(bytes: Uint8Array): boolean {
    this.#bodyBytes += bytes.length
    if (this.#bodyBytes <= this.bodyBytesMax) this.#keep(this.#tap?.push(bytes) ?? bytes)
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
    const tap = this.#tap
    if (tap !== null) this.#keep(tap.rest())
    const pieces = this.#pieces
    this.#pieces = []
    // A local version's answer comes whole, with its end.
    const isHere = result.answer !== null || result.fault !== null
    if (isHere) return this.#done(result, null)
    const { status, headers } = this.#head!
    const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    this.#done({ ...result, answer: { status, headers, body } }, tap?.summary() ?? null)
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#pieces.push(Buffer.from(bytes))
  }

  readonly #goOn = (): void => {
    this.#isWaiting = false
    this.progress?.resume()
  }
}
