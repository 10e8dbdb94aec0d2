/**
 * Days of a gateway's life as records, the same for the same seed: days and nights, canaries that rise, a version that
 * has a bad quarter of an hour a day, breakers, losses, restarts, crashes, and the people who changed something.
 */

import type { SeededChance } from '../../native-bench/simulate/seeded-chance.ts'
import type { DecisionRecord } from '../../src/audit/records/decision-record.ts'
import type { Notes } from '../../src/audit/records/notes.ts'
import { CONTROL_LANE } from '../../src/audit/records/payload.ts'
import type { NoteType } from '../../src/audit/records/record-type.ts'
import type { ShadowRecord } from '../../src/audit/records/shadow-record.ts'
import type { StreamRecord } from '../../src/audit/records/stream-record.ts'
import { RequestIds } from '../../src/kernel/request-id.ts'
import { type CastCaller, type CastModel, castCallers, oftenFirst } from './cast.ts'
import { type Moment, madeDecision, madeShadow, madeStream, type Served } from './made-decision.ts'

export const DAY_MS = 86_400_000
const QUARTER_MS = 15 * 60_000
/** Decisions, of all records, with the models of the cast. */
const DECISIONS = 0.62
const RUN_DAYS = 1.7

/** Takes what happened, in order. `user`: index of the caller's customer, −1 when there is no key. */
export interface TrafficSink {
  readonly records: number
  decision(lane: number, record: DecisionRecord, user: number): void
  shadow(lane: number, record: ShadowRecord): void
  stream(lane: number, record: StreamRecord): void
  note<T extends NoteType>(lane: number, type: T, note: Notes[T]): void
  /** The lane counted `records` more that are written nowhere; tells the first and the last of them. */
  lost(lane: number, records: number): readonly [number, number]
  /** Another run of the gateway begins. */
  run(startedAt: number): void
}

export interface TrafficPlan {
  readonly records: number
  readonly days: number
  /** Unix ms of the first record. */
  readonly from: number
  readonly lanes: number
  readonly models: readonly CastModel[]
}

export class Traffic {
  readonly #plan: TrafficPlan
  readonly #chance: SeededChance
  readonly #sink: TrafficSink
  readonly #callers = castCallers(240)
  readonly #ids: RequestIds
  readonly #shares: readonly number[]
  /** What follows, by the second in which it is told. */
  readonly #later = new Map<number, (() => void)[]>()
  #second: number
  #at: number
  #runEndsAt = 0
  #runs = 0
  #generation = 0
  #configHash = ''
  /** Days and quarters whose events were told. */
  #day = -1
  #quarter = -1
  #percent = 0

  constructor(plan: TrafficPlan, chance: SeededChance, sink: TrafficSink) {
    this.#plan = plan
    this.#chance = chance
    this.#sink = sink
    this.#at = plan.from
    this.#second = Math.floor(plan.from / 1000)
    const seed = Buffer.alloc(6)
    for (let at = 0; at < 6; at += 1) seed[at] = chance.next() * 256
    this.#ids = new RequestIds(seed)
    const total = plan.models.reduce((sum, { weight }) => sum + weight, 0)
    let sum = 0
    this.#shares = plan.models.map(({ weight }) => (sum += weight / total))
  }

  /** Until there are as many records as planned. */
  run(): void {
    const meanMs = (this.#plan.days * DAY_MS) / (this.#plan.records * DECISIONS)
    this.#begin()
    while (!this.#isFull) {
      this.#at += this.#chance.exponential(meanMs / activity(this.#at))
      this.#tellLater()
      if (this.#at > this.#runEndsAt) this.#restart()
      this.#events()
      if (this.#isFull) break
      if (this.#chance.next() < 0.012) this.#refusal()
      else this.#request()
    }
    this.#note(CONTROL_LANE, 'stop', { at: this.#wall, cause: 'SIGTERM', abandoned: 0 })
  }

  get #wall(): number {
    return Math.floor(this.#at)
  }

  get #lane(): number {
    return Math.floor(this.#chance.next() * this.#plan.lanes)
  }

  /** But for the record that ends it. */
  get #isFull(): boolean {
    return this.#sink.records >= this.#plan.records - 1
  }

  #note<T extends NoteType>(lane: number, type: T, note: Notes[T]): void {
    if (!this.#isFull || type === 'stop') this.#sink.note(lane, type, note)
  }

  #begin(): void {
    const { lanes } = this.#plan
    this.#sink.run(this.#wall)
    this.#runs += 1
    this.#runEndsAt = this.#at + RUN_DAYS * DAY_MS * (0.6 + 0.8 * this.#chance.next())
    const own = { version: '0.1.0', node: 'v20.20.2', platform: 'linux-x64', lanes, pid: 1000 + this.#runs }
    this.#note(CONTROL_LANE, 'start', { at: this.#wall, ...own })
    this.#config()
  }

  #config(): void {
    this.#generation += 1
    this.#configHash = this.#generation.toString(16).padStart(2, '0').repeat(32).slice(0, 64)
    const own = { generation: this.#generation, hash: this.#configHash, file: 'gateway.toml' }
    this.#note(CONTROL_LANE, 'config', { at: this.#wall, ...own })
  }

  /** Every third run dies. */
  #restart(): void {
    const isCrash = this.#runs % 3 === 0
    if (this.#isFull) return
    if (!isCrash) this.#note(CONTROL_LANE, 'stop', { at: this.#wall, cause: 'SIGTERM', abandoned: 0 })
    this.#later.clear()
    this.#at += 4000
    this.#begin()
    if (isCrash) {
      const found = { journals: this.#plan.lanes, replayed: 3, known: 117, digestsLost: 2, missing: 0 }
      const recovery = { at: this.#wall, ...found, salvaged: 0, unknownCrash: 2, torn: [] }
      this.#note(CONTROL_LANE, 'recovery', recovery)
    }
  }

  #events(): void {
    const day = Math.floor((this.#at - this.#plan.from) / DAY_MS)
    const quarter = Math.floor(this.#at / QUARTER_MS)
    if (quarter !== this.#quarter) this.#newQuarter(quarter)
    if (day !== this.#day) this.#newDay(day)
  }

  #newDay(day: number): void {
    this.#day = day
    const model = this.#plan.models[day % this.#plan.models.length]!
    const change = `chg-${String(day + 1).padStart(4, '0')}`
    const base = this.#configHash
    const at = this.#wall
    const principal = 'ana'
    this.#note(CONTROL_LANE, 'auth', { at, principal, isAllowed: true, action: 'change propose', cause: '' })
    const words = `${model.name}: canary one step up`
    this.#config()
    const result = this.#configHash
    this.#note(CONTROL_LANE, 'approval', { at, change, by: 'boris', isApproved: true, base, result, words })
    this.#percent = Math.min(50, 5 * 2 ** (day % 4))
    const step = {
      version: 'v2',
      step: `${this.#percent} %`,
      percent: this.#percent,
      by: principal,
      cause: change,
    }
    this.#note(CONTROL_LANE, 'rollout', { at, model: model.name, ...step })
    if (day % 3 === 2)
      this.#note(CONTROL_LANE, 'note', { at, by: 'carla', words: 'month’s end: more traffic than usual' })
    if (day % 4 === 3) this.#lose()
  }

  /** The disk was full for a moment. */
  #lose(): void {
    const lane = this.#lane
    const records = 1 + Math.floor(12 * this.#chance.next())
    const [from, to] = this.#sink.lost(lane, records)
    const at = this.#wall
    this.#note(lane, 'gap', { at, lane, since: at - 180, records, from, to, cause: 'ENOSPC' })
  }

  #newQuarter(quarter: number): void {
    const was = this.#ailing(this.#quarter)
    const is = this.#ailing(quarter)
    this.#quarter = quarter
    if (was !== undefined) this.#breaker(was, 'half-open', 'closed', '3 probes in a row were answered')
    if (is === undefined) return
    this.#breaker(is, 'closed', 'open', '52 % of 40 requests failed within 10 s')
    const endpoint = is.versions[0]!.endpoints[0]!
    const own = { lane: 0, model: is.name, version: 'v1', endpoint }
    this.#note(0, 'endpoint', {
      at: this.#wall,
      ...own,
      out: true,
      forMs: 1000,
      cause: '5 failures in a row',
    })
    this.#note(1 % this.#plan.lanes, 'pressure', {
      at: this.#wall,
      lane: 1 % this.#plan.lanes,
      from: 0,
      to: 1,
      cause: 'loop 42 ms late',
    })
  }

  #breaker(model: CastModel, from: string, to: string, cause: string): void {
    const own = { model: model.name, version: 'v1', from, to, cause, enforced: true }
    this.#note(this.#lane, 'breaker', { at: this.#wall, ...own })
  }

  /** The model whose v1 does badly in this quarter of an hour: one a day, at another time each. */
  #ailing(quarter: number): CastModel | undefined {
    const day = Math.floor((quarter * QUARTER_MS) / DAY_MS)
    const models = this.#plan.models
    return quarter - day * 96 === (day * 37) % 96 ? models[day % models.length] : undefined
  }

  #request(): void {
    const lane = this.#lane
    const model = this.#model()
    const isAiling = this.#ailing(this.#quarter) === model
    const moment = this.#moment()
    const user = Math.floor(50_000 * this.#chance.next() ** 3)
    const percent = model.experiment === '' ? this.#percent : 50
    const served = madeDecision(model, moment, { user, isAiling, percent, chance: this.#chance })
    this.#sink.decision(lane, served.record, user)
    this.#follow(lane, model, served)
  }

  #follow(lane: number, model: CastModel, served: Served): void {
    const { record, isStream } = served
    if (isStream)
      this.#after(around10(this.#chance) * 300, () =>
        this.#sink.stream(lane, madeStream(served, this.#chance)),
      )
    if (record.plan?.shadows.some(({ fate }) => fate === 'planned')) {
      this.#after(20, () => this.#sink.shadow(lane, madeShadow(model, served, this.#chance)))
    }
    const told = model.outcomes
    if (told === null || record.fault !== null || this.#chance.next() >= told.share) return
    const own = {
      id: record.id,
      model: model.name,
      name: told.unit === '' ? 'thumbs' : 'profit',
      unit: told.unit,
      by: 'ledger',
    }
    const value = Math.round(100 * told.mean * around10(this.#chance)) / 100
    this.#after(30 * 60_000, () => this.#note(CONTROL_LANE, 'outcome', { at: this.#wall, ...own, value }))
  }

  #refusal(): void {
    const moment = this.#moment()
    const lane = this.#lane
    if (this.#chance.next() < 0.03) {
      this.#note(lane, 'unread', { at: this.#wall, lane, address: moment.caller.address, connections: 1 })
      return
    }
    this.#sink.decision(lane, refused(moment, this.#chance), -1)
  }

  #moment(): Moment {
    const caller: CastCaller = oftenFirst(this.#callers, this.#chance)
    const at = this.#wall
    return { at, id: this.#ids.next(at), caller, generation: this.#generation, configHash: this.#configHash }
  }

  #model(): CastModel {
    const drawn = this.#chance.next()
    return this.#plan.models[this.#shares.findIndex((share) => drawn < share)] ?? this.#plan.models[0]!
  }

  #after(ms: number, tell: () => void): void {
    const second = Math.max(this.#second, Math.floor((this.#at + ms) / 1000))
    const due = this.#later.get(second)
    if (due === undefined) this.#later.set(second, [tell])
    else due.push(tell)
  }

  #tellLater(): void {
    for (const now = Math.floor(this.#at / 1000); this.#second < now; this.#second += 1) {
      const due = this.#later.get(this.#second)
      if (due === undefined) continue
      this.#later.delete(this.#second)
      for (const tell of due) if (!this.#isFull) tell()
    }
  }
}

/** By day four times as much as by night. */
function activity(at: number): number {
  return 1 + 0.6 * Math.sin((2 * Math.PI * (at % DAY_MS)) / DAY_MS - Math.PI / 2)
}

function around10(chance: SeededChance): number {
  return 0.2 + 2 * chance.next()
}

const REFUSALS = [
  { code: 'unknown-model', status: 404, message: 'no model of that name' },
  { code: 'malformed-json', status: 400, message: 'the body is not valid JSON' },
  { code: 'rate-limited', status: 429, message: 'too many requests' },
] as const

function refused({ at, id, caller, generation, configHash }: Moment, chance: SeededChance): DecisionRecord {
  const { code, status, message } = oftenFirst(REFUSALS, chance)
  const request = {
    method: 'POST',
    path: '/v2/models/fruad/infer',
    contentType: 'application/json',
    bodyBytes: 210,
  }
  return {
    id,
    receivedAt: at,
    durationMs: 0.2,
    generation,
    configHash,
    traceId: '',
    client: caller,
    request,
    model: '',
    protocol: 'open-inference',
    operation: 'infer',
    pin: '',
    isShadow: false,
    keySource: '',
    plan: null,
    attempts: [],
    served: '',
    reason: '',
    degraded: '',
    status,
    fault: { code, message, detail: '' },
    answer: { bodyBytes: 96, contentType: 'application/json' },
    finishReason: '',
    usage: null,
    kept: null,
  }
}
