/**
 * The gateway's side in simulated time: what passage/ and forward/ do with sockets and timers, done with the parts of them
 * that decide: balancers, outlier machine and load (`Peers`), retry rule and budget (`Retries`), hedging (`Hedging`) and the
 * race of two copies. The breaker is left out: it protects a version, and here is only one.
 */
import { fault } from '../../src/domain/fault.ts'
import type { Intent } from '../../src/domain/intent.ts'
import { type KnownPeer, Peers } from '../../src/forward/balance/peers.ts'
import { tell, type Verdict, verdictOf } from '../../src/forward/balance/verdict.ts'
import { ALONE, type Race, type RaceEvent, type Runner, step } from '../../src/forward/race.ts'
import { Hedging } from '../../src/observe/hedging.ts'
import { retryBudgets, retryMemory } from '../../src/observe/retry-budget.ts'
import { Retries } from '../../src/passage/retries.ts'
import type { Agenda, Appointment } from './agenda.ts'
import type { SeededChance } from './seeded-chance.ts'
import type { Reply, Sent, SimulatedEndpoint } from './simulated-endpoint.ts'
import type { Configured } from './strategies.ts'

export interface GatewayParts {
  readonly agenda: Agenda
  readonly chance: SeededChance
  readonly configured: Configured
  readonly endpoints: readonly SimulatedEndpoint[]
  /** A request is over. */
  done(tookMs: number, isGood: boolean): void
}

const NO_BODY = new Uint8Array(0)
const NONE: readonly string[] = []

export class SimulatedGateway {
  readonly parts: GatewayParts
  readonly peers: Peers
  readonly hedging: Hedging | null
  readonly #endpoints = new Map<string, SimulatedEndpoint>()
  readonly #lane: ConstructorParameters<typeof Retries>[1]

  constructor(parts: GatewayParts) {
    const { version, model } = parts.configured
    this.parts = parts
    this.peers = new Peers(version, { chance: parts.chance })
    for (const [index, { url }] of version.endpoints.entries())
      this.#endpoints.set(url, parts.endpoints[index]!)
    const settings = model.retry.hedge
    this.hedging =
      settings === null
        ? null
        : new Hedging({ settings, isWell: () => true, onRefused: () => {}, onDelay: () => {} })
    this.#lane = {
      vitals: { view: { breakerOf: () => 'closed' } } as never,
      chance: parts.chance,
      retryBudgets: retryBudgets([model.retry.budget], { memory: retryMemory(1, 1), seat: 0, lanes: 1 }),
      observer: { retry: () => {} } as never,
    }
  }

  /** A request with this sticky key comes now. */
  take(key: string): void {
    const { model } = this.parts.configured
    this.#lane.retryBudgets[0]!.deposit(this.parts.agenda.now)
    const intent = { model, deadlineAt: Number.POSITIVE_INFINITY } as Intent
    const retries = model.retry.attempts > 1 ? new Retries(intent, this.#lane) : null
    new SimulatedRequest(this, key, retries).attempt()
  }

  endpointOf(peer: KnownPeer): SimulatedEndpoint {
    return this.#endpoints.get(peer.endpoint.url)!
  }
}

class SimulatedRequest {
  readonly key: string
  readonly gateway: SimulatedGateway
  readonly #retries: Retries | null
  readonly #cameAt: number

  constructor(gateway: SimulatedGateway, key: string, retries: Retries | null) {
    this.gateway = gateway
    this.key = key
    this.#retries = retries
    this.#cameAt = gateway.parts.agenda.now
  }

  attempt(): void {
    const avoid = this.#retries?.triedOf(this.gateway.parts.configured.version) ?? NONE
    if (avoid.length === 0) this.gateway.hedging?.came()
    new SimulatedAttempt(this, avoid)
  }

  succeeded(): void {
    const { agenda, done } = this.gateway.parts
    done(agenda.now - this.#cameAt, true)
  }

  /** `reply`: what the last copy met; null: nothing in time. */
  failed(reply: Reply | null, endpoint: string): void {
    const { agenda, done, configured } = this.gateway.parts
    const { version } = configured
    const code =
      reply === null ? 'first-byte-timeout' : reply === 'refused' ? 'connect-refused' : 'endpoint-error'
    const answer =
      reply === null || reply === 'refused' ? null : { status: reply.status, headers: [], body: NO_BODY }
    const failed = { version, fault: fault(code, ''), answer, endpoint, isRepeatable: true }
    const afterMs = this.#retries?.after(failed, agenda.now) ?? null
    if (afterMs === null) done(agenda.now - this.#cameAt, false)
    else if (afterMs === 0) this.attempt()
    else agenda.atTick(agenda.now + afterMs, () => this.attempt())
  }
}

class SimulatedAttempt {
  readonly #request: SimulatedRequest
  readonly #gateway: SimulatedGateway
  readonly #avoid: readonly string[]
  readonly #startedAt: number
  readonly #first: Copy
  #second: Copy | undefined
  #race: Race = ALONE
  readonly #deadline: Appointment
  readonly #lateness: Appointment | undefined

  constructor(request: SimulatedRequest, avoid: readonly string[]) {
    const { gateway } = request
    const { agenda, configured } = gateway.parts
    this.#request = request
    this.#gateway = gateway
    this.#avoid = avoid
    this.#startedAt = agenda.now
    this.#first = this.#send('first', avoid)
    const { firstByteMs } = configured.model.timeouts
    this.#deadline = agenda.atTick(agenda.now + firstByteMs, () => this.#timeOut())
    const afterMs = gateway.hedging?.afterMs() ?? Number.POSITIVE_INFINITY
    if (afterMs < firstByteMs) {
      this.#lateness = agenda.atTick(agenda.now + afterMs, () => this.#hedge())
    }
  }

  get #isOver(): boolean {
    return this.#race.is === 'over'
  }

  #send(runner: Runner, avoid: readonly string[]): Copy {
    const { parts, peers } = this.#gateway
    const peer = peers.choose({ key: this.#request.key, avoid }, parts.agenda.now)
    const copy = new Copy(runner, peer, this.#gateway, (reply) => this.#answered(copy, reply))
    this.#gateway.endpointOf(peer).take(copy)
    return copy
  }

  #hedge(): void {
    const { hedging, parts } = this.#gateway
    if (this.#race.is !== 'alone' || !hedging!.mayStart(parts.agenda.now)) return
    this.#race = step(this.#race, 'second-started')
    this.#second = this.#send('second', [...this.#avoid, this.#first.peer.endpoint.url])
  }

  #timeOut(): void {
    if (this.#isOver) return
    for (const copy of [this.#first, this.#second]) {
      if (copy === undefined || copy.isLeft) continue
      copy.end('failure')
      this.#tell({ runner: copy.runner, what: 'failed' }, null)
    }
  }

  #answered(copy: Copy, reply: Reply): void {
    const { runner } = copy
    if (reply === 'refused') {
      copy.end('failure')
      return this.#tell({ runner, what: 'failed' }, reply)
    }
    copy.end(verdictOf(reply.status))
    this.#tell({ runner, what: reply.status >= 500 ? 'bad' : 'good' }, reply)
  }

  /** Simulated answers are whole as soon as they begin. */
  #tell(event: Exclude<RaceEvent, string>, reply: Reply | null): void {
    if (this.#isOver) return
    this.#race = step(this.#race, event)
    if (this.#race.is === 'decided' || this.#isOver) this.#giveUpAppointments()
    if (this.#race.is === 'decided') this.#decide(this.#race.runner, event, reply)
    else if (this.#isOver) this.#request.failed(reply, this.#copyOf(event.runner).peer.endpoint.url)
  }

  #giveUpAppointments(): void {
    this.#deadline.event = null
    if (this.#lateness !== undefined) this.#lateness.event = null
  }

  #decide(runner: Runner, { what }: Exclude<RaceEvent, string>, reply: Reply | null): void {
    const { hedging, parts } = this.#gateway
    const isGood = what === 'good'
    const isOvertaken = runner === 'second' && !this.#first.isLeft
    if (isGood && (runner === 'first' || isOvertaken)) {
      hedging?.began(parts.agenda.now - this.#startedAt, isOvertaken)
    }
    for (const copy of [this.#first, this.#second]) copy?.end('neutral')
    this.#race = step(this.#race, { runner, what: 'whole' })
    if (isGood) this.#request.succeeded()
    else this.#request.failed(reply, this.#copyOf(runner).peer.endpoint.url)
  }

  #copyOf(runner: Runner): Copy {
    return runner === 'first' ? this.#first : this.#second!
  }
}

class Copy implements Sent {
  readonly runner: Runner
  readonly peer: KnownPeer
  readonly answered: (reply: Reply) => void
  isLeft = false
  readonly #gateway: SimulatedGateway
  readonly #startedAt: number

  constructor(runner: Runner, peer: KnownPeer, gateway: SimulatedGateway, answered: (reply: Reply) => void) {
    this.runner = runner
    this.peer = peer
    this.#gateway = gateway
    this.answered = answered
    this.#startedAt = gateway.parts.agenda.now
  }

  /** Once; what it says of its endpoint. */
  end(verdict: Verdict): void {
    if (this.isLeft) return
    this.isLeft = true
    const { parts, peers } = this.#gateway
    const { now } = parts.agenda
    const tookMs = now - this.#startedAt
    const patienceMs = parts.configured.model.timeouts.firstByteMs
    const firstByteMs = verdict === 'neutral' ? -1 : tookMs
    tell(peers, this.peer, { verdict, tookMs, firstByteMs, patienceMs }, now)
  }
}
