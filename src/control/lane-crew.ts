/**
 * The lanes of a gateway: as many as are configured, each on a thread, and another in its place when an error came up
 * in one that nobody caught. What such a lane is like nobody knows, but callers must not suffer for it: its successor
 * is made first, then connections go there, then the old one finishes what it has and ends.
 *
 * It waits for nobody but threads. Too many replacements within a time (restart-limit.ts) are a failure of the process.
 */
import type { Member, ServerDescriptor } from '../domain/lane-server.ts'
import type { Clock } from '../kernel/clock.ts'
import { nextSeat } from '../kernel/lane-seats.ts'
import type { Metric } from '../observe/metric-table.ts'
import type { LaneThread, LaneThreadParts } from './lane-thread.ts'
import { RESTARTS_MAX, RESTARTS_WITHIN_MS, RestartLimit } from './restart-limit.ts'

/** How long connections of a gateway that stops must be silent to be ended. */
const QUIET_MS = 100

/** What a crew hears of a lane's thread itself; the rest is heard by whoever makes it. */
export type CrewEars = Pick<LaneThreadParts, 'onStricken' | 'onServer' | 'onFailure'>

export interface LaneCrewParts {
  readonly lanes: number
  readonly clock: Clock
  readonly graceMs: number
  readonly entrance: { admit(members: readonly Member[]): Promise<void>; close(): Promise<void> }
  makeThread(lane: number, seat: number, ears: CrewEars): LaneThread
  /** Another thread has taken a lane's place; `report`: of the error, for people. */
  onReplaced(lane: number, report: string): void
  /** The thread that was replaced has ended; nobody writes in its seat any more. */
  onEnded(lane: number, seat: number): void
  /** An error came up that nobody caught, or a lane could not be replaced. */
  onTrouble(lane: number, words: string): void
  /** The process cannot go on. */
  onFailure(error: Error): void
}

/** One thread of a lane. */
interface Sitting {
  readonly lane: number
  readonly seat: number
  readonly thread: LaneThread
  /** Null until it is prepared. */
  server: ServerDescriptor | null
  /** Report of the error that nobody caught; empty: all is well. */
  stricken: string
  /** Set when it was told to end; resolves, when it has, to what it left undone. */
  leaving: Promise<number> | undefined
}

export class LaneCrew {
  readonly #parts: LaneCrewParts
  readonly #limit = new RestartLimit()
  /** By lane: whose turn it is. */
  readonly #current: Sitting[]
  /** All threads that run, by seat. */
  readonly #seated = new Map<number, Sitting>()
  readonly #replacing = new Set<number>()
  readonly #restarts: number[]
  #isEnding = false

  constructor(parts: LaneCrewParts) {
    this.#parts = parts
    const lanes = Array.from({ length: parts.lanes }, (_, lane) => lane)
    this.#restarts = lanes.map(() => 0)
    this.#current = lanes.map((lane) => this.#seat(lane, lane))
  }

  get size(): number {
    return this.#current.length
  }

  /** Resolves when all can be given connections; to the build of the server that they loaded. */
  async prepared(): Promise<string> {
    const [uws = ''] = await Promise.all(this.#current.map((sitting) => this.#prepare(sitting)))
    await this.#admit()
    return uws
  }

  /** Those that have a certificate to renew, or will have. */
  get threads(): readonly LaneThread[] {
    return [...this.#seated.values()]
      .filter(({ leaving }) => leaving === undefined)
      .map(({ thread }) => thread)
  }

  /** Nothing is accepted any more, and every lane finishes what it has. Resolves to what did not fit in the grace. */
  async drain(graceMs: number): Promise<number> {
    this.#isEnding = true
    await this.#parts.entrance.close()
    const left = await Promise.all(
      [...this.#seated.values()].map((sitting) => this.#leave(sitting, graceMs, QUIET_MS)),
    )
    return left.reduce((sum, count) => sum + count, 0)
  }

  readonly metrics: readonly Metric[] = [
    {
      name: 'modelgate_lane_restarts_total',
      type: 'counter',
      labels: ['lane'],
      help: 'How often a lane was replaced because of an error that nobody caught in it.',
      samples: () => this.#restarts.map((value, lane) => ({ labels: [String(lane)], value })),
    },
  ]

  #seat(lane: number, seat: number): Sitting {
    const { makeThread, onFailure } = this.#parts
    const thread = makeThread(lane, seat, {
      onStricken: (report) => this.#stricken(sitting, report),
      onServer: (server) => this.#newServer(sitting, server),
      onFailure,
    })
    const sitting: Sitting = { lane, seat, thread, server: null, stricken: '', leaving: undefined }
    this.#seated.set(seat, sitting)
    return sitting
  }

  async #prepare(sitting: Sitting): Promise<string> {
    const { uws, server } = await sitting.thread.prepared()
    sitting.server = server
    return uws
  }

  async #newServer(sitting: Sitting, server: ServerDescriptor): Promise<void> {
    sitting.server = server
    if (this.#current[sitting.lane] === sitting) await this.#admit()
  }

  #admit(): Promise<void> {
    const members = this.#current.flatMap(({ server, seat }) => (server === null ? [] : [{ server, seat }]))
    return this.#parts.entrance.admit(members)
  }

  #stricken(sitting: Sitting, report: string): void {
    this.#parts.onTrouble(sitting.lane, `an error that nobody caught: ${report}`)
    sitting.stricken ||= report
    if (this.#current[sitting.lane] === sitting && sitting.server !== null) void this.#replace(sitting)
  }

  async #replace(old: Sitting): Promise<void> {
    const { lane } = old
    if (this.#isEnding || this.#replacing.has(lane)) return
    const { clock, graceMs, onFailure, onReplaced, onTrouble } = this.#parts
    if (!this.#limit.allows(clock.now())) return onFailure(tooMany(old))
    this.#replacing.add(lane)
    const seat = nextSeat(old.seat, this.size)
    // Whoever sat there last may still be ending its requests.
    await this.#seated.get(seat)?.leaving
    if (this.#isEnding) return
    const next = this.#seat(lane, seat)
    try {
      await this.#prepare(next)
      this.#current[lane] = next
      await this.#admit()
      this.#restarts[lane]! += 1
      onReplaced(lane, old.stricken)
      // Nobody waits for it: its clients may take the whole grace to find out that they should connect anew.
      void this.#leave(old, graceMs, graceMs)
    } catch (error) {
      onTrouble(lane, `it could not be replaced and goes on as it is: ${(error as Error).message}`)
      void this.#leave(next, 0, 0)
    }
    this.#replacing.delete(lane)
    if (next.stricken !== '' && this.#current[lane] === next) void this.#replace(next)
  }

  #leave(sitting: Sitting, graceMs: number, quietMs: number): Promise<number> {
    sitting.leaving ??= sitting.thread.drain(graceMs, quietMs).then((left) => {
      this.#seated.delete(sitting.seat)
      if (!this.#isEnding) this.#parts.onEnded(sitting.lane, sitting.seat)
      return left
    })
    return sitting.leaving
  }
}

function tooMany({ lane, stricken }: Sitting): Error {
  const [first = ''] = stricken.split('\n')
  const often = `${RESTARTS_MAX} lanes were replaced within ${RESTARTS_WITHIN_MS / 1000} s`
  return new Error(`${often}, and lane ${lane} had another error that nobody caught: ${first}`)
}
