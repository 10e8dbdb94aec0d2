/**
 * One attempt for which two copies of the request may be sent ("The Tail at Scale", Dean and Barroso 2013): when the first
 * has brought no answer after a while, a second goes to another endpoint, or on another connection where there is no other.
 * The first good answer counts (race.ts), and the other copy is given up before a byte of it is passed on: its connection
 * is closed in the same turn, and its endpoint's average learns that it takes at least so long.
 *
 * For whoever receives the answer it is one attempt: one head, one body, one end, never a byte of each, and the
 * times run from the start of the first copy. Whether and when is asked of `HedgeTerms`; nothing here knows budgets.
 * It costs 0.4 µs a request whether or not a second copy is sent (Node 20, over a transport that does nothing).
 */
import { type AttemptResult, type Hedge, type HedgeWinner, withHedge } from '../domain/outcome.ts'
import type { AttemptLimits, HedgeTerms, InProgress, Receiver } from '../domain/wire.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'
import { Copy, type Starter } from './copy.ts'
import type { InFlight } from './in-flight.ts'
import { ALONE, type Race, type RaceEvent, type Runner, step } from './race.ts'

export interface HedgeParts {
  readonly clock: Clock
  readonly sweep: Sweep
  readonly limits: AttemptLimits
  readonly receiver: Receiver
  /** The version has this one endpoint. */
  readonly isOnly: boolean
  /** Sends a copy, to one of the endpoints not in `avoid` where there is one. */
  launch(receiver: Receiver, avoid: readonly string[], sinceMs: number): InFlight
}

const NONE: readonly string[] = []

export class HedgedAttempt implements InProgress, Watched, Starter {
  /** Watched: when a second copy may be sent. */
  dueAt = Number.POSITIVE_INFINITY
  slot = -1
  readonly receiver: Receiver
  readonly #parts: HedgeParts
  readonly #terms: HedgeTerms
  readonly #startedAt: number
  readonly #first = new Copy('first', this)
  #second: Copy | undefined
  #afterMs = 0
  #race: Race = ALONE
  #won: HedgeWinner = 'none'
  /** What the receiver said to bytes that were kept for it. */
  #goesOn = true

  constructor(terms: HedgeTerms, parts: HedgeParts) {
    const { clock, sweep, receiver, limits } = parts
    this.receiver = receiver
    this.#parts = parts
    this.#terms = terms
    this.#startedAt = clock.now()
    this.#first.flight = parts.launch(this.#first, limits.avoid ?? NONE, 0)
    this.dueAt = this.#startedAt + terms.afterMs()
    if (this.dueAt < limits.deadlineAt) sweep.watch(this)
  }

  /** The sweep: the first copy is late. */
  expire(now: number): void {
    const { limits, isOnly, launch } = this.#parts
    const { flight } = this.#first
    if (this.#race.is !== 'alone' || now >= limits.deadlineAt) return
    // Where the only endpoint has no connection left, another copy would stand in the same line.
    if (isOnly && flight.isWaiting) return
    if (!this.#terms.mayStart(now)) return
    this.#race = step(this.#race, 'second-started')
    this.#afterMs = now - this.#startedAt
    const second = new Copy('second', this)
    this.#second = second
    second.flight = launch(second, [...(limits.avoid ?? NONE), flight.endpoint], this.#afterMs)
  }

  hasBegun(copy: Copy): void {
    if (!copy.awaitsContent) this.#tell({ runner: copy.runner, what: copy.isBad ? 'bad' : 'good' })
  }

  hasBody(copy: Copy, bytes: Uint8Array): boolean {
    const { runner } = copy
    const isAwaiting = copy.awaitsContent
    if (copy.keep(bytes)) {
      if (isAwaiting && !copy.awaitsContent) this.#tell({ runner, what: 'good' })
      return this.#goesOn
    }
    // Too much without content, and nobody else to wait for; or too long for an answer that is only second best.
    if (this.#isLast(runner)) {
      this.#tell({ runner, what: 'good' })
      return !this.#counts(runner) || this.receiver.body(bytes)
    }
    copy.flight.cancel()
    this.#tell({ runner, what: 'failed' })
    return true
  }

  hasEnded(copy: Copy, { fault }: AttemptResult): void {
    const { runner } = copy
    if (fault !== null) return this.#tell({ runner, what: 'failed' })
    if (copy.isEmpty) this.#tell({ runner, what: 'bad' })
    this.#tell({ runner, what: 'whole' })
  }

  readonly cancel = (): void => {
    if (this.#race.is === 'over') return
    this.#race = step(this.#race, 'cancelled')
    this.#parts.sweep.unwatch(this)
    this.#first.flight.cancel()
    this.#second?.flight.cancel()
  }

  resume(): void {
    if (this.#race.is === 'decided') this.#copyOf(this.#race.runner).flight.resume()
  }

  soFar(): AttemptResult {
    const { is } = this.#race
    const copy = is === 'decided' || is === 'last' ? this.#copyOf(this.#race.runner) : this.#first
    return this.#withHedge(copy.flight.soFar())
  }

  #tell(event: Exclude<RaceEvent, string>): void {
    const before = this.#race
    this.#race = step(before, event)
    if (this.#race.is === 'over') {
      if (before.is !== 'over') this.#end(this.#copyOf(event.runner))
    } else if (this.#race.is === 'decided' && before.is !== 'decided') {
      this.#decide(this.#copyOf(this.#race.runner))
    }
  }

  /** Everything of the other copy ends before anything of this one is told. */
  #decide(copy: Copy): void {
    this.#parts.sweep.unwatch(this)
    const other = copy === this.#first ? this.#second : this.#first
    // Of a first copy that failed, or brought something bad, nothing is learnt about how long a good answer takes.
    const isOvertaken = copy === this.#second && this.#first.isRunning
    if (!copy.isBad && (copy === this.#first || isOvertaken)) {
      this.#terms.began(this.#parts.clock.now() - this.#startedAt, isOvertaken)
    }
    other?.flight.cancel()
    if (!copy.isBad) this.#won = copy.runner
    const kept = copy.count()
    this.receiver.head(copy.answerHead!)
    // Whoever receives may have had enough of it.
    if (kept.length > 0 && this.#counts(copy.runner)) this.#goesOn = this.receiver.body(kept)
    if (copy.result !== undefined && this.#counts(copy.runner)) {
      this.#tell({ runner: copy.runner, what: copy.result.fault === null ? 'whole' : 'failed' })
    }
  }

  #end({ result }: Copy): void {
    this.#parts.sweep.unwatch(this)
    this.receiver.done(this.#withHedge(result!))
  }

  #withHedge(result: AttemptResult): AttemptResult {
    if (this.#second === undefined) return result
    const hedge: Hedge = {
      first: this.#first.flight.endpoint,
      second: this.#second.flight.endpoint,
      afterMs: this.#afterMs,
      won: this.#won,
    }
    return withHedge(result, hedge)
  }

  #counts(runner: Runner): boolean {
    return this.#race.is === 'decided' && this.#race.runner === runner
  }

  /** Nobody else can still bring a good answer. */
  #isLast(runner: Runner): boolean {
    const race = this.#race
    return race.is === 'alone' || (race.is === 'last' && race.runner === runner)
  }

  #copyOf(runner: Runner): Copy {
    return runner === 'first' ? this.#first : this.#second!
  }
}
