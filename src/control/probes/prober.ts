/**
 * Asks every endpoint that wants it, again and again, and keeps what each answered. Endpoints with the same address
 * and the same settings are asked once, however many versions name them. Beginnings and pauses are spread by
 * chance, so that endpoints and gateways do not fall in step. One question per endpoint at a time, and so many at once in
 * all; whoever is due beyond that waits. What is not asked any more keeps nothing alive.
 */
import type { Endpoint, HealthSettings, RemoteVersion, Snapshot } from '../../domain/routes.ts'
import type { Chance } from '../../kernel/chance.ts'
import type { Clock } from '../../kernel/clock.ts'
import { type Health, step, UNKNOWN } from './health.ts'
import type { Ask, ProbeAnswer } from './probe.ts'

/** Endpoints that are asked at once, where there are descriptors for them. */
export const AT_ONCE = 256
/** The first questions are asked within this, or within the interval if it is shorter. */
export const FIRST_WITHIN_MS = 1000
/** Each pause is shorter than the interval by up to this share of it. */
export const JITTER = 0.1

/** Where an endpoint stands: a version, and the endpoint's number over all versions. */
export interface ProbePlace {
  readonly version: RemoteVersion
  readonly endpoint: number
}

export interface ProbeTarget {
  readonly endpoint: Endpoint
  readonly settings: HealthSettings
  readonly places: readonly ProbePlace[]
}

export function probeTargets({ versions }: Pick<Snapshot, 'versions'>): readonly ProbeTarget[] {
  const targets = new Map<string, ProbeTarget & { readonly places: ProbePlace[] }>()
  for (const version of versions) {
    if (version.kind !== 'remote' || version.health === null) continue
    for (const [index, endpoint] of version.endpoints.entries()) {
      const place = { version, endpoint: version.firstEndpoint + index }
      const { path, intervalMs, timeoutMs, healthy, unhealthy, expect } = version.health
      const key = JSON.stringify([endpoint.key, path, intervalMs, timeoutMs, healthy, unhealthy, expect])
      const known = targets.get(key)
      if (known === undefined) targets.set(key, { endpoint, settings: version.health, places: [place] })
      else known.places.push(place)
    }
  }
  return [...targets.values()]
}

/** What is known of a target. */
export interface Probed {
  readonly target: ProbeTarget
  readonly health: Health
  /** Unix ms of the last change; 0: there was none. */
  readonly since: number
  readonly last: (ProbeAnswer & { readonly at: number; readonly tookMs: number }) | null
  readonly passed: number
  readonly failed: number
  /** Questions that say nothing of the endpoint. */
  readonly neutral: number
}

export interface ProberParts {
  readonly targets: readonly ProbeTarget[]
  /** How many are asked at once. */
  readonly atOnce: number
  readonly clock: Clock
  readonly chance: Chance
  readonly askOf: (target: ProbeTarget) => Ask
  /** It is healthy or unhealthy now, and was not before. */
  onChange(probed: Probed, from: Health['is']): void
}

interface Entry extends Probed {
  health: Health
  since: number
  last: Probed['last']
  passed: number
  failed: number
  neutral: number
  readonly ask: Ask
  /** Of what is under way: a pause, or a question. */
  cancel: () => void
}

export class Prober {
  readonly #parts: ProberParts
  readonly #entries: readonly Entry[]
  readonly #waiting: Entry[] = []
  #underWay = 0
  #isRunning = false

  constructor(parts: ProberParts) {
    this.#parts = parts
    this.#entries = parts.targets.map((target) => ({
      target,
      health: UNKNOWN,
      since: 0,
      last: null,
      passed: 0,
      failed: 0,
      neutral: 0,
      ask: parts.askOf(target),
      cancel: NOTHING,
    }))
  }

  get probed(): readonly Probed[] {
    return this.#entries
  }

  start(): void {
    this.#isRunning = true
    for (const entry of this.#entries) {
      const within = Math.min(entry.target.settings.intervalMs, FIRST_WITHIN_MS)
      this.#pause(entry, this.#parts.chance.next() * within)
    }
  }

  /** Nothing is asked, and nothing told, from now on. */
  stop(): void {
    this.#isRunning = false
    this.#waiting.length = 0
    for (const entry of this.#entries) entry.cancel()
  }

  #pause(entry: Entry, ms: number): void {
    const timer = setTimeout(() => this.#due(entry), ms)
    timer.unref()
    entry.cancel = () => clearTimeout(timer)
  }

  #due(entry: Entry): void {
    entry.cancel = NOTHING
    if (this.#underWay >= this.#parts.atOnce) this.#waiting.push(entry)
    else this.#ask(entry)
  }

  #ask(entry: Entry): void {
    const { clock, chance } = this.#parts
    const startedAt = clock.now()
    this.#underWay += 1
    entry.cancel = entry.ask((answer) => {
      const now = clock.now()
      this.#underWay -= 1
      this.#answered(entry, answer, now - startedAt)
      if (!this.#isRunning) return
      const everyMs = entry.target.settings.intervalMs * (1 - JITTER * chance.next())
      this.#pause(entry, Math.max(0, startedAt + everyMs - now))
      const next = this.#waiting.shift()
      if (next !== undefined) this.#ask(next)
    })
  }

  #answered(entry: Entry, answer: ProbeAnswer, tookMs: number): void {
    const at = this.#parts.clock.wall()
    entry.last = { ...answer, at, tookMs }
    entry[answer.verdict] += 1
    if (answer.verdict === 'neutral') return
    const from = entry.health.is
    entry.health = step(entry.health, answer.verdict, entry.target.settings)
    if (entry.health.is === from) return
    entry.since = at
    this.#parts.onChange(entry, from)
  }
}

const NOTHING = (): void => {}
