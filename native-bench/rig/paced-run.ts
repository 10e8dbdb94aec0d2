/**
 * Asks at random moments of a given mean rate, whatever becomes of what was asked before: an open loop of Poisson
 * arrivals. Latencies count from the intended start where a request waits for a connection; where only this
 * process itself was late, from the sending, and its lateness is told. The same seed gives the same moments, so
 * that everybody in a block is asked in the same rhythm.
 *
 * Between arrivals the thread sleeps on a word that nobody wakes, in slices too short to matter: timers of an event
 * loop come a millisecond late, which would hide everything that is smaller.
 */
import { type ArrivalJob, type ArrivalTimes, nowNs } from './messages.ts'
import { RequestVisit } from './request-visit.ts'

const SLICE_MS = 0.025
/** So long after the last arrival everything has to be answered. */
const DRAIN_NS = 20e9
const sleeper = new Int32Array(new SharedArrayBuffer(4))

export class PacedRun {
  readonly #job: ArrivalJob
  readonly #head: Buffer
  readonly #settle: (result: ArrivalTimes | Error) => void
  /** In the order of the answers. */
  readonly #latencies: number[] = []
  readonly #lateness: number[] = []
  readonly #free: RequestVisit[] = []
  readonly #visits: RequestVisit[] = []
  readonly #due: readonly number[]
  #beganAt = 0
  #next = 0
  /** What was due by then found no connection free. */
  #starvedUntil = 0
  #isOver = false

  constructor(job: ArrivalJob, request: Buffer, settle: (result: ArrivalTimes | Error) => void) {
    this.#job = job
    this.#head = request
    this.#settle = settle
    this.#due = arrivals(job)
  }

  start(): void {
    const { target, connections } = this.#job
    const options = {
      port: target.port,
      isVerified: false,
      answered: (visit: RequestVisit) => this.#answered(visit),
      failed: (problem: string) => this.#end(new Error(problem)),
    }
    for (let index = 0; index < connections; index += 1) {
      const visit: RequestVisit = new RequestVisit(options, () => {
        this.#free.push(visit)
        if (this.#free.length === connections) this.#begin()
      })
      this.#visits.push(visit)
    }
  }

  #begin(): void {
    this.#beganAt = nowNs()
    this.#turn()
  }

  readonly #turn = (): void => {
    if (this.#isOver) return
    const now = nowNs()
    while (this.#free.length > 0 && this.#next < this.#due.length) {
      const dueAt = this.#beganAt + this.#due[this.#next]!
      if (dueAt > now) break
      this.#next += 1
      const visit = this.#free.pop()!
      const hasWaited = dueAt <= this.#starvedUntil
      visit.startedAt = hasWaited ? dueAt : nowNs()
      this.#lateness.push(hasWaited ? 0 : (now - dueAt) / 1000)
      visit.ask(this.#head, undefined)
    }
    if (this.#free.length === 0) this.#starvedUntil = now
    const isAsked = this.#next === this.#due.length
    if (now > this.#beganAt + this.#due.at(-1)! + DRAIN_NS)
      return this.#end(new Error('not all were answered'))
    const nextAt = isAsked ? Number.POSITIVE_INFINITY : this.#beganAt + this.#due[this.#next]!
    const waitMs = Math.min(SLICE_MS, (nextAt - nowNs()) / 1e6)
    if (waitMs > 0) Atomics.wait(sleeper, 0, 0, waitMs)
    setImmediate(this.#turn)
  }

  #answered(visit: RequestVisit): void {
    this.#latencies.push((nowNs() - visit.startedAt) / 1000)
    this.#free.push(visit)
    if (this.#latencies.length === this.#due.length) this.#end(undefined)
  }

  #end(problem: Error | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const visit of this.#visits.splice(0)) visit.end()
    this.#settle(problem ?? { kind: 'arrivals', latencies: this.#latencies, lateness: this.#lateness })
  }
}

/** ns from the beginning. */
function arrivals({ requests, ratePerSecond, seed }: ArrivalJob): number[] {
  const random = randomFrom(seed)
  let at = 0
  return Array.from({ length: requests }, () => {
    at += (-Math.log(1 - random()) / ratePerSecond) * 1e9
    return at
  })
}

/** Marsaglia's xorshift of 32 bits. */
function randomFrom(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
