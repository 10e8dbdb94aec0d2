/**
 * How many requests of a model may be under way over all lanes, and how many may wait for a place, first come first
 * served. Who cannot have one is told at once: waiting without hope only moves the failure to where nobody
 * can explain it, and a place given to somebody whose deadline it can no longer meet is lost to somebody else.
 *
 * Whether there is hope is estimated: those in line, over the places, times how long one is held. A free place
 * is given without asking the estimate, so a wrong one corrects itself. The line stays first come first served
 * under overload, too: its length is bounded by the estimate, deadlines and callers that left are known here, and
 * serving the latest first would tell all others of their refusal only when their time is over.
 *
 * Whoever waits watches its own time and cancels.
 */
import type { PressureView } from '../domain/pressure.ts'
import type { Model } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import type { Sweep, Watched } from '../kernel/sweep.ts'
import type { AdaptiveLimits } from './adaptive-limits.ts'
import type { GlobalPlaces } from './global-places.ts'
import { HoldingTime } from './holding-time.ts'
import type { VitalsSlab } from './vitals-slab.ts'
import { type Standing, type Waiter, WaitingLine } from './waiting-line.ts'

export interface LimiterParts {
  readonly places: GlobalPlaces
  /** Null: no model adapts. */
  readonly adaptive: AdaptiveLimits | null
  /** Of this lane. */
  readonly pressure: PressureView
  /** For looking what other lanes have freed. */
  readonly sweep: Sweep
  /** Where this lane's load of each model is written for those who read it. */
  readonly slab?: VitalsSlab
}

/**
 * `go`: the place is taken. `queued`: `proceed` will be called unless cancelled. `full`: the line is.
 * `hopeless`: a place would come too late. `shed`: this lane is too short of time or memory.
 */
export type Entered = 'go' | 'queued' | 'full' | 'hopeless' | 'shed'

/** How it stands with a model, over all lanes. */
export interface Load {
  readonly limit: number
  readonly running: number
  readonly queued: number
  /** How long somebody who comes now would likely wait; 0 while too little is known. */
  readonly waitMs: number
}

export class Limiter implements Watched {
  readonly #parts: LimiterParts
  /** By the model's index; made when the model is first asked for. */
  readonly #gates: Gate[] = []
  readonly #waiting = new Map<Waiter, { readonly gate: Gate; readonly standing: Standing }>()
  /** Those with somebody in line. */
  readonly #crowded = new Set<Gate>()

  /** Each tick of the sweep, as long as somebody waits. */
  dueAt = 0
  slot = -1

  constructor(parts: LimiterParts) {
    this.#parts = parts
  }

  enter(model: Model, waiter: Waiter, now: number, deadlineAt: number): Entered {
    const { level } = this.#parts.pressure
    if (level >= 2 && (level === 3 || model.priority === 'low')) return 'shed'
    const gate = this.#gateOf(model)
    if (gate.line.length > 0) this.#handOn(gate, now)
    if (gate.line.length === 0 && gate.take(now, now)) return 'go'
    if (level === 2 && model.priority !== 'high') return 'shed'
    if (gate.isFull) return 'full'
    if (gate.waitMs(now) > Math.min(model.timeouts.queueMs, deadlineAt - now - gate.shortMs))
      return 'hopeless'
    assert(!this.#waiting.has(waiter), 'a waiter waits for one place at a time')
    if (!gate.lineUp(now)) return 'full'
    const until = Math.min(now + model.timeouts.queueMs, deadlineAt - gate.shortMs)
    this.#waiting.set(waiter, { gate, standing: gate.line.push(waiter, now, until) })
    gate.lineChanged()
    this.#crowded.add(gate)
    if (this.#parts.places.lanes > 1) this.#parts.sweep.watch(this)
    return 'queued'
  }

  /** Gives a place back that was held for `heldMs`; the first in line has it before this returns. */
  leave(model: Model, heldMs: number, now: number): void {
    const gate = this.#gateOf(model)
    gate.giveBack(heldMs, now)
    if (gate.line.length > 0) this.#handOn(gate, now)
  }

  /**
   * An attempt of a model with `limits.adaptive` ended: how long it took in ms, that it was dropped for want of capacity,
   * or nothing that says how many may be under way.
   */
  attempt(model: Model, evidence: number | 'drop' | null, now: number): void {
    if (evidence !== null) this.#parts.adaptive?.attempt(model, evidence, now)
  }

  /** Stops waiting. False when it was not waiting: never queued, cancelled before, already called, or given up on. */
  cancel(waiter: Waiter): boolean {
    const found = this.#waiting.get(waiter)
    if (found === undefined) return false
    this.#remove(found.gate, found.standing)
    return true
  }

  load(model: Model, now: number): Load {
    const { places } = this.#parts
    const { index } = model
    const waitMs = this.#gateOf(model).waitMs(now)
    return {
      limit: places.limit(index),
      running: places.running(index),
      queued: places.queued(index),
      waitMs,
    }
  }

  /** The sweep: what have other lanes freed? */
  expire(now: number): void {
    this.#parts.places.look(now)
    for (const gate of this.#crowded) this.#handOn(gate, now)
    if (this.#crowded.size > 0) this.#parts.sweep.watch(this)
  }

  /** A loop, not a recursion: each waiter may give its place back before `proceed` returns. */
  #handOn(gate: Gate, now: number): void {
    if (gate.isHandingOn) return
    gate.isHandingOn = true
    try {
      for (let first = gate.line.first; first !== null; first = gate.line.first) {
        const isLate = first.until <= now
        if (!isLate && !gate.take(first.since, now)) return
        this.#remove(gate, first)
        if (!isLate) first.waiter.proceed()
      }
    } finally {
      gate.isHandingOn = false
    }
  }

  #remove(gate: Gate, standing: Standing): void {
    this.#waiting.delete(standing.waiter)
    gate.stepOut(standing)
    if (gate.line.length === 0) this.#crowded.delete(gate)
  }

  #gateOf(model: Model): Gate {
    const known = this.#gates[model.index]
    if (known !== undefined) return known
    const gate = new Gate(model, this.#parts)
    this.#gates[model.index] = gate
    return gate
  }
}

/** One model, as this lane sees it. */
class Gate {
  readonly line = new WaitingLine()
  isHandingOn = false
  readonly #model: Model
  readonly #places: GlobalPlaces
  readonly #slab: VitalsSlab | undefined
  readonly #holding = new HoldingTime()

  constructor(model: Model, { places, slab }: LimiterParts) {
    this.#model = model
    this.#places = places
    this.#slab = slab
  }

  get isFull(): boolean {
    return this.#places.queued(this.#model.index) >= this.#model.limits.queue
  }

  get shortMs(): number {
    return this.#holding.shortMs
  }

  /** Half a place of its own: the first in line waits for the rest of somebody's time, not for all of it. */
  waitMs(now: number): number {
    const { index } = this.#model
    return ((this.#places.queued(index) + 0.5) * this.#holding.meanMs(now)) / this.#places.limit(index)
  }

  /** For somebody who waits since `since`. */
  take(since: number, now: number): boolean {
    const { index } = this.#model
    if (this.#places.isOthers(index, since, now) || !this.#places.take(index)) return false
    this.#counted(now)
    return true
  }

  giveBack(heldMs: number, now: number): void {
    this.#places.giveBack(this.#model.index)
    this.#holding.ended(heldMs)
    this.#counted(now)
  }

  lineUp(now: number): boolean {
    if (!this.#places.lineUp(this.#model.index, this.#model.limits.queue)) return false
    this.#places.look(now)
    return true
  }

  stepOut(standing: Standing): void {
    this.line.remove(standing)
    this.#places.stepOut(this.#model.index)
    this.lineChanged()
  }

  lineChanged(): void {
    const { index } = this.#model
    this.#places.setHead(index, this.line.first?.since ?? 0)
    this.#slab?.load(index, this.#places.own(index), this.line.length)
  }

  #counted(now: number): void {
    const { index } = this.#model
    const running = this.#places.own(index)
    this.#holding.holding(running, now)
    this.#slab?.load(index, running, this.line.length)
  }
}
