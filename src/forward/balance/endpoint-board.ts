/**
 * What all threads know of every endpoint, in shared memory: its standing (outlier.ts), whether it says that it is
 * well, and what each lane has under way there. Lanes read it when they choose and write how attempts ended; the control
 * thread writes what endpoints answer when asked. Nobody waits for anybody.
 *
 * A standing is one word of 64 bits, and a step of the machine is one compare-exchange: of several threads that see the
 * same thing happen one makes the step, so a trial is admitted once in the process. Times are those of
 * `Clock.now()`, which is the same in all threads (test/kernel/clock.test.ts). Each version has a count of changes
 * of what may be chosen: who has read it all once needs to look only at that.
 */
import type { Snapshot } from '../../domain/routes.ts'
import { seatsOf } from '../../kernel/lane-seats.ts'
import { GOOD_STANDING, type Standing, type StandingEvent, step } from './outlier.ts'

/** Its number is its place. An endpoint that was never asked is `unknown`, and nobody is `unknown` again. */
export const HEALTHS = ['unknown', 'healthy', 'unhealthy'] as const
export type Health = (typeof HEALTHS)[number]
const UNHEALTHY = HEALTHS.indexOf('unhealthy')

/** What shadows find out must not take an endpoint from callers, so they keep standings of their own. */
export const SIDES = ['serving', 'shadow'] as const
export type Side = (typeof SIDES)[number]

export interface BoardShape {
  readonly endpoints: number
  readonly versions: number
  readonly lanes: number
}

/** One endpoint, as one side sees it. */
export interface BoardPlace {
  readonly side: Side
  /** Of the version it belongs to. */
  readonly version: number
  /** Over all versions. */
  readonly endpoint: number
}

export interface Step {
  readonly before: Standing
  readonly after: Standing
}

/** Of one lane and endpoint: requests under way, and how long answers took lately, in ms. */
export const LOAD_WORDS = 2

export class EndpointBoard {
  readonly buffer: SharedArrayBuffer
  readonly #shape: BoardShape
  readonly #standings: BigInt64Array
  /** The same words as halves, to see without a BigInt that nothing is wrong. */
  readonly #halves: Int32Array
  readonly #loads: Float64Array
  readonly #health: Int32Array
  readonly #changes: Int32Array

  /** Without `buffer`: a new one, where all are in good standing. */
  constructor(shape: BoardShape, buffer?: SharedArrayBuffer) {
    const { endpoints, versions, lanes } = shape
    const standings = endpoints * SIDES.length
    const loads = endpoints * lanes * LOAD_WORDS
    const loadsAt = standings * 8
    const healthAt = loadsAt + loads * 8
    const changesAt = healthAt + endpoints * 4
    this.#shape = shape
    this.buffer = buffer ?? new SharedArrayBuffer(changesAt + versions * 4)
    this.#standings = new BigInt64Array(this.buffer, 0, standings)
    this.#halves = new Int32Array(this.buffer, 0, standings * 2)
    this.#loads = new Float64Array(this.buffer, loadsAt, loads)
    this.#health = new Int32Array(this.buffer, healthAt, endpoints)
    this.#changes = new Int32Array(this.buffer, changesAt, versions)
  }

  /** Goes up with each change of what may be chosen of this version. */
  changesOf(version: number): number {
    return Atomics.load(this.#changes, version)
  }

  healthOf(endpoint: number): Health {
    return HEALTHS[Atomics.load(this.#health, endpoint)]!
  }

  isUnhealthy(endpoint: number): boolean {
    return Atomics.load(this.#health, endpoint) === UNHEALTHY
  }

  setHealth({ endpoint, version }: Omit<BoardPlace, 'side'>, health: Health): void {
    Atomics.store(this.#health, endpoint, HEALTHS.indexOf(health))
    Atomics.add(this.#changes, version, 1)
  }

  standingOf({ side, endpoint }: Omit<BoardPlace, 'version'>): Standing {
    return unpacked(Atomics.load(this.#standings, this.#at(side, endpoint)))
  }

  /** The step that this event was, made by this caller; null: it changed nothing, or what it said had been said. */
  note({ side, endpoint, version }: BoardPlace, event: StandingEvent, now: number): Step | null {
    const at = this.#at(side, endpoint)
    if (event !== 'failure' && event !== 'recovered' && this.#isGood(at)) return null
    for (;;) {
      const word = Atomics.load(this.#standings, at)
      const before = unpacked(word)
      const after = step(before, event, now)
      if (after === before) return null
      if (Atomics.compareExchange(this.#standings, at, word, packed(after)) !== word) continue
      // Counting failures changes nothing for who chooses.
      const isSeen = before.is !== 'in' || after.is !== 'in' || before.since !== after.since
      if (isSeen) Atomics.add(this.#changes, version, 1)
      return { before, after }
    }
  }

  /** Of this lane alone, and zero: an earlier lane of its number may have ended in the middle. */
  takeLoad(lane: number, endpoint: number): Float64Array {
    return this.#loadOf(lane, endpoint).fill(0)
  }

  /** Over all lanes; `averageMs` null: none has had an answer. */
  loadOf(endpoint: number): { readonly outstanding: number; readonly averageMs: number | null } {
    let outstanding = 0
    const known: number[] = []
    for (let lane = 0; lane < this.#shape.lanes; lane += 1) {
      const [underWay = 0, averageMs = 0] = this.#loadOf(lane, endpoint)
      outstanding += underWay
      if (averageMs > 0) known.push(averageMs)
    }
    const sum = known.reduce((total, ms) => total + ms, 0)
    return { outstanding, averageMs: known.length === 0 ? null : sum / known.length }
  }

  #loadOf(lane: number, endpoint: number): Float64Array {
    const at = (lane * this.#shape.endpoints + endpoint) * LOAD_WORDS
    return this.#loads.subarray(at, at + LOAD_WORDS)
  }

  #at(side: Side, endpoint: number): number {
    return side === 'serving' ? endpoint : this.#shape.endpoints + endpoint
  }

  #isGood(at: number): boolean {
    return (Atomics.load(this.#halves, at * 2 + LOW_HALF) & IN_WITHOUT_FAILURES) === 0
  }
}

export function boardShapeOf({ versions, server }: Snapshot): BoardShape {
  const endpoints = versions.reduce((sum, one) => sum + (one.kind === 'remote' ? one.endpoints.length : 0), 0)
  return { endpoints, versions: versions.length, lanes: seatsOf(server.lanes) }
}

/** From the lowest bit: what it is, failures in a row, times out, and the time in whole ms. */
const KINDS = ['in', 'out', 'trial'] as const
const KIND_BITS = 2
const FAILURE_BITS = 6
const TIMES_BITS = 10
const FAILURES_AT = KIND_BITS
const TIMES_AT = FAILURES_AT + FAILURE_BITS
const AT_BITS = BigInt(TIMES_AT + TIMES_BITS)
const IN_WITHOUT_FAILURES = (1 << TIMES_AT) - 1
const TIMES_MAX = (1 << TIMES_BITS) - 1
const LOW_HALF = new Int8Array(new Int32Array([1]).buffer)[0] === 1 ? 0 : 1

function packed(standing: Standing): bigint {
  const { is, times } = standing
  const failures = standing.is === 'in' ? standing.failures : 0
  const at = Math.round(standing.is === 'in' ? standing.since : standing.until)
  const low = (Math.min(times, TIMES_MAX) << TIMES_AT) | (failures << FAILURES_AT) | KINDS.indexOf(is)
  return (BigInt(at) << AT_BITS) | BigInt(low)
}

function unpacked(word: bigint): Standing {
  if (word === 0n) return GOOD_STANDING
  const low = Number(BigInt.asUintN(Number(AT_BITS), word))
  const at = Number(word >> AT_BITS)
  const times = low >> TIMES_AT
  const is = KINDS[low & ((1 << KIND_BITS) - 1)]!
  if (is !== 'in') return { is, until: at, times }
  return { is, failures: (low >> FAILURES_AT) & ((1 << FAILURE_BITS) - 1), times, since: at }
}
