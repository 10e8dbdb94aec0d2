/**
 * Receives the answer of one attempt and decides, by its head, whether it is held whole or passed on as it
 * comes. Passing on begins with the first bytes that are for the caller; until then the attempt can fail
 * like any other and the declared consequence applies.
 *
 * Holds at most ANSWER_BYTES_MAX of an answer that must be looked into, HELD_BYTES_MAX or FLOW_BYTES_MAX of any other.
 */
import { headerOf } from '../domain/head.ts'
import {
  type Answer,
  type AnswerHead,
  type AnswerSummary,
  type AttemptResult,
  type Passed,
  withAnswer,
  withPassed,
} from '../domain/outcome.ts'
import type { Version } from '../domain/routes.ts'
import type { ContentProbe, Receiver } from '../domain/wire.ts'
import type { Clock } from '../kernel/clock.ts'
import { GatheredBytes } from '../kernel/gathered-bytes.ts'
import type { MemoryClaim } from '../kernel/memory-budget.ts'
import type { Sweep } from '../kernel/sweep.ts'
import type { AnswerTap, Protocol } from '../protocols/protocol.ts'
import { ANSWER_BYTES_MAX } from './held-answer.ts'
import { FLOW_BYTES_MAX, holdOrPass, isEventStream, type Manner } from './hold-or-pass.ts'
import { COMMENT, EventEdge, KeepAlive } from './keep-alive.ts'
import { isRenamed, withOurNames } from './our-names.ts'

/** Takes what is passed on. */
export interface Outlet {
  /** False: wait, until the attempt is resumed. The view is valid during the call only. */
  write(bytes: Uint8Array): boolean
}

export interface IntakeParts {
  readonly version: Version
  readonly protocol: Protocol
  readonly method: string
  /** Output checks apply to an answer with this status. */
  isChecked(status: number): boolean
  /** Of an answer that is passed on, kept for comparison; 0: none. */
  readonly keepBytesMax: number
  /** Between two comments to a caller who waits for content; 0: none. */
  readonly keepAliveMs: number
  /** What is held of the answer counts here. */
  readonly claim: MemoryClaim
  readonly clock: Clock
  readonly sweep: Sweep
  /** The answer begins to be passed on; at most once. */
  open(head: AnswerHead): Outlet
  /** The attempt is over, held or passed on. */
  done(end: IntakeEnd): void
  /** A bug on the way; nothing that comes after it is of use. */
  broke(bug: unknown): void
}

export interface IntakeEnd {
  readonly result: AttemptResult
  /** Of an answer that was passed on. */
  readonly summary: AnswerSummary | null
  /** Of a complete answer that was passed on, if it was to be kept and was not too large. */
  readonly copy: Answer | null
}

export class Intake implements Receiver {
  bodyBytesMax = ANSWER_BYTES_MAX
  lacksMemory = false
  readonly #parts: IntakeParts
  readonly #held = new GatheredBytes(ANSWER_BYTES_MAX)
  #head: AnswerHead | undefined
  #manner: Manner = 'hold'
  #tap: AnswerTap | null = null
  #outlet: Outlet | undefined
  /** Of the claim, for what is held. */
  #reserved = 0
  #bodyBytes = 0
  #copy: GatheredBytes | undefined
  #keepAlive: KeepAlive | undefined
  readonly #edge = new EventEdge()

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  get awaitsContent(): boolean {
    return this.#tap?.awaitsContent ?? false
  }

  /** What has been passed on so far; undefined while nothing was. */
  get passed(): Passed | undefined {
    if (this.#outlet === undefined) return undefined
    const { status, headers } = this.#head!
    return { status, headers, bodyBytes: this.#bodyBytes, isOpen: false }
  }

  /** Of what was passed on so far. */
  get summary(): AnswerSummary | null {
    return this.#tap?.summary() ?? null
  }

  /** Comments are sent while content is awaited: then the head alone commits to the version that sent it. */
  probe(head: AnswerHead): ContentProbe | null {
    const { version, protocol, method, keepAliveMs } = this.#parts
    if (version.kind === 'local' || method === 'HEAD' || keepAliveMs > 0 || !isEventStream(head)) return null
    return protocol.tap(head, version)
  }

  head(head: AnswerHead): void {
    try {
      this.#begin(head)
    } catch (bug) {
      this.#parts.broke(bug)
    }
  }

  body(bytes: Uint8Array): boolean {
    try {
      return this.#manner === 'pass' ? this.#pass(bytes) : this.#hold(bytes)
    } catch (bug) {
      this.#parts.broke(bug)
      return true
    }
  }

  #begin(head: AnswerHead): void {
    const { method, protocol, version } = this.#parts
    const isLookedInto = this.#parts.isChecked(head.status) || isRenamed(version, protocol)
    this.#manner = holdOrPass(head, { method, isLookedInto, answersWhole: protocol.answersWhole })
    this.#head = head
    if (this.#manner !== 'pass') {
      // All at once where it is announced: of many that each take a part none would ever be whole.
      this.#reserved = Math.max(0, head.bodyBytes)
      this.lacksMemory = !this.#parts.claim.take(this.#reserved, 'answer')
      this.#held.begin(head.bodyBytes)
      return
    }
    this.bodyBytesMax = Number.POSITIVE_INFINITY
    this.#tap = version.kind === 'remote' ? protocol.tap(head, version) : null
    // Events are passed on one by one; that there will be any is known with the first. So it is with a body of
    // unknown length: its head leaves with the first byte, and until then another answer can take its place.
    if (!isEventStream(head)) {
      if (head.bodyBytes > 0) this.#open()
    } else if (this.#parts.keepAliveMs > 0 && isPlain(head)) this.#keepAliveFrom()
  }

  #hold(bytes: Uint8Array): boolean {
    if (this.#manner === 'flow' && this.#held.length + bytes.length > FLOW_BYTES_MAX) {
      this.#manner = 'pass'
      this.bodyBytesMax = Number.POSITIVE_INFINITY
      const goesOn = this.#held.length === 0 || this.#pass(this.#held.take())
      return this.#pass(bytes) && goesOn
    }
    const length = this.#held.length + bytes.length
    if (length > this.#reserved)
      this.lacksMemory ||= !this.#parts.claim.take(length - this.#reserved, 'answer')
    this.#reserved = Math.max(this.#reserved, length)
    if (!this.lacksMemory) this.#held.append(bytes, 0, bytes.length)
    return true
  }

  /** Nobody wants the answer any more. */
  stop(): void {
    this.#keepAlive?.stop()
  }

  done(result: AttemptResult): void {
    this.stop()
    const rest = this.#tap?.rest()
    // Half an event of a broken stream would only hide the words that tell of it.
    if (rest !== undefined && rest.length > 0 && result.fault === null) {
      this.#write(rest)
    }
    const passed = this.passed
    if (passed === undefined) {
      this.#parts.done({ result: this.#whole(result), summary: null, copy: null })
      return
    }
    const copy = result.fault === null ? this.#takeCopy() : null
    this.#parts.done({ result: withPassed(result, passed), summary: this.summary, copy })
  }

  #whole(result: AttemptResult): AttemptResult {
    // A local version's answer comes whole, with its end.
    if (result.answer !== null || result.fault !== null) return result
    const { protocol, version } = this.#parts
    const { status, headers } = this.#head!
    const answer = { status, headers, body: this.#held.take() }
    return withAnswer(result, withOurNames(answer, version, protocol))
  }

  #pass(bytes: Uint8Array): boolean {
    const passed = this.#tap === null ? bytes : this.#tap.push(bytes)
    if (passed.length === 0) return true
    if (this.#keepAlive !== undefined) this.#follow(passed)
    return this.#write(passed)
  }

  #keepAliveFrom(): void {
    const { clock, sweep, keepAliveMs } = this.#parts
    this.#keepAlive = new KeepAlive({ clock, sweep, everyMs: keepAliveMs }, () => {
      if (this.#edge.isAt) this.#comment()
    })
  }

  /** With the first content the caller has what it waited for. */
  #follow(passed: Uint8Array): void {
    this.#edge.follow(passed)
    if (this.awaitsContent) return
    this.#keepAlive?.stop()
    this.#keepAlive = undefined
  }

  /** Not the model's: neither counted among its bytes nor kept. */
  #comment(): void {
    if (this.#outlet === undefined) this.#open()
    this.#outlet!.write(COMMENT)
  }

  #write(bytes: Uint8Array): boolean {
    if (this.#outlet === undefined) this.#open()
    this.#bodyBytes += bytes.length
    if (this.#copy !== undefined) this.#keep(bytes)
    return this.#outlet!.write(bytes)
  }

  /** A copy that there is no room for is one less to compare. */
  #keep(bytes: Uint8Array): void {
    const isKept =
      this.#parts.claim.take(bytes.length, 'answer') && this.#copy!.append(bytes, 0, bytes.length)
    if (!isKept) this.#copy = undefined
  }

  #open(): void {
    const { keepBytesMax } = this.#parts
    if (keepBytesMax > 0) {
      this.#copy = new GatheredBytes(keepBytesMax)
      if (!this.#copy.begin(this.#head!.bodyBytes)) this.#copy = undefined
    }
    // What the dialect may change has no length that could be announced.
    const head = this.#tap === null ? this.#head! : { ...this.#head!, bodyBytes: -1 }
    this.#outlet = this.#parts.open(head)
  }

  #takeCopy(): Answer | null {
    if (this.#copy === undefined) return null
    const { status, headers } = this.#head!
    return { status, headers, body: this.#copy.take() }
  }
}

/** Bytes that a comment may stand between: as they are written, and of no announced length. */
function isPlain({ headers, bodyBytes }: AnswerHead): boolean {
  return bodyBytes === -1 && headerOf(headers, 'content-encoding') === undefined
}
