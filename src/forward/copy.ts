/**
 * One of the copies of a request that may be sent twice, and what it brought while it was not known whether it counts.
 * That is kept as it came, up to KEPT_BYTES_MAX: an error page, or what a stream of tokens begins with before its first
 * content.
 */
import type { AnswerHead, AttemptResult } from '../domain/outcome.ts'
import type { ContentProbe, Receiver } from '../domain/wire.ts'
import { GatheredBytes } from '../kernel/gathered-bytes.ts'
import type { InFlight } from './in-flight.ts'
import type { Runner } from './race.ts'

export const KEPT_BYTES_MAX = 16 * 1024

/** Whoever started the copies; told what each brings. */
export interface Starter {
  readonly receiver: Receiver
  hasBegun(copy: Copy): void
  /** False: wait for `resume`. */
  hasBody(copy: Copy, bytes: Uint8Array): boolean
  hasEnded(copy: Copy, result: AttemptResult): void
}

export class Copy implements Receiver {
  readonly runner: Runner
  /** Set as soon as it is on its way, before it is told anything. */
  flight!: InFlight
  answerHead: AnswerHead | undefined
  /** Set at its end. */
  result: AttemptResult | undefined
  readonly #starter: Starter
  readonly #kept = new GatheredBytes(KEPT_BYTES_MAX)
  #probe: ContentProbe | null = null
  /** Its answer goes to the receiver. */
  #counts = false
  /** Whole, and still without the content that was waited for. */
  isEmpty = false

  constructor(runner: Runner, starter: Starter) {
    this.runner = runner
    this.#starter = starter
  }

  /** A refusal, a failure, or a stream that ended before its content: the other one may do better. */
  get isBad(): boolean {
    const status = this.answerHead?.status ?? 0
    return status >= 500 || status === 429 || this.isEmpty
  }

  /** It has brought nothing that counts for or against it. */
  get isRunning(): boolean {
    return this.result === undefined && !this.isBad
  }

  get awaitsContent(): boolean {
    return this.#counts ? this.#starter.receiver.awaitsContent : (this.#probe?.awaitsContent ?? false)
  }

  get bodyBytesMax(): number {
    return this.#starter.receiver.bodyBytesMax
  }

  get lacksMemory(): boolean {
    return this.#starter.receiver.lacksMemory === true
  }

  head(head: AnswerHead): void {
    this.answerHead = head
    this.#probe = this.isBad ? null : (this.#starter.receiver.probe?.(head) ?? null)
    this.#starter.hasBegun(this)
  }

  body(bytes: Uint8Array): boolean {
    return this.#counts ? this.#starter.receiver.body(bytes) : this.#starter.hasBody(this, bytes)
  }

  done(result: AttemptResult): void {
    this.result = result
    this.isEmpty = result.fault === null && !this.#counts && this.awaitsContent
    this.#starter.hasEnded(this, result)
  }

  /** False: there is no room. */
  keep(bytes: Uint8Array): boolean {
    if (!this.#kept.append(bytes, 0, bytes.length)) return false
    this.#probe?.push(bytes)
    return true
  }

  /** From now on what comes goes to the receiver; this is what came before. */
  count(): Uint8Array {
    this.#counts = true
    this.#probe = null
    return this.#kept.take()
  }
}
