/**
 * Requests with an idempotency key: the first one claims its key, and its answer is kept by the lane that served
 * it; a repeat gets that answer, wherever it lands. Which keys are spoken for is known to all lanes at once
 * (claim-table.ts); only an answer that another lane keeps has to be fetched (peer-answers.ts).
 */
import type { Model, Snapshot } from '../domain/routes.ts'
import type { Clock } from '../kernel/clock.ts'
import { hashOf } from '../kernel/hash64.ts'
import { laneShare } from '../kernel/lane-share.ts'
import type { Sweep } from '../kernel/sweep.ts'
import type { CallerMemory } from './caller-memory.ts'
import { type Claim, ClaimTable } from './claim-table.ts'
import { type KeptAnswer, KeptAnswers } from './kept-answers.ts'
import { PeerAnswers, type PeerMessage } from './peer-answers.ts'

export interface RepeatsParts {
  readonly snapshot: Snapshot
  readonly memory: CallerMemory
  readonly lane: number
  readonly clock: Pick<Clock, 'now'>
  readonly sweep: Sweep
  /** To the other lanes. */
  send(message: PeerMessage): void
  /** What is kept of a model changed; `isForgotten`: an answer had to leave before its time. */
  onChange(modelIndex: number, bytes: number, isForgotten: boolean): void
}

/** Digests (answer-key.ts): of the request's name and its caller, and of what a repeat must have in common with the first. */
export interface Asked {
  readonly key: string
  readonly fingerprint: string
}

/** What a request is by its key. */
export type Repeat =
  /** Nobody has asked it before; the claim must be ended. */
  | { readonly kind: 'first'; readonly pledge: Pledge }
  | { readonly kind: 'kept'; readonly kept: KeptAnswer }
  | { readonly kind: 'under-way' | 'mismatch' | 'unavailable' }

const UNDER_WAY: Repeat = { kind: 'under-way' }
const MISMATCH: Repeat = { kind: 'mismatch' }
const UNAVAILABLE: Repeat = { kind: 'unavailable' }

export class Repeats {
  readonly #parts: RepeatsParts
  readonly #claims: ClaimTable
  readonly #peers: PeerAnswers
  readonly #stores: (Store | undefined)[] = []

  constructor(parts: RepeatsParts) {
    const { snapshot, memory, lane, clock, sweep, send } = parts
    this.#parts = parts
    this.#claims = new ClaimTable(memory.claims, lane)
    this.#claims.disown()
    const keptOf = (model: number, key: string): KeptAnswer | undefined => this.#stores[model]?.of(key)
    this.#peers = new PeerAnswers({ lane, clock, sweep, send, keptOf })
    for (const model of snapshot.models.values()) {
      if (model.idempotency !== null) this.#stores[model.index] = this.#storeOf(model)
    }
  }

  /** From another lane. */
  receive(message: PeerMessage): void {
    this.#peers.receive(message)
  }

  /**
   * `tell` is called once: at once, or, where another lane keeps the answer, when that lane told it.
   */
  begin(model: Model, asked: Asked, tell: (repeat: Repeat) => void): void {
    const { key, fingerprint } = asked
    const { memory, clock, lane } = this.#parts
    const store = this.#stores[model.index]!
    const hash = hashOf(key, memory.seed)
    const claimed = this.#claims.claim(hash, clock.now())
    if (claimed.kind === 'under-way') return tell(UNDER_WAY)
    if (claimed.kind === 'full') return tell(UNAVAILABLE)
    if (claimed.kind === 'mine') return tell({ kind: 'first', pledge: store.pledge(asked, claimed.claim) })
    const found = (kept: KeptAnswer | undefined): Repeat => {
      if (kept !== undefined) return kept.fingerprint === fingerprint ? { kind: 'kept', kept } : MISMATCH
      const claim = this.#claimAgain(claimed.claim, hash)
      return claim === null ? UNDER_WAY : { kind: 'first', pledge: store.pledge(asked, claim) }
    }
    if (claimed.lane === lane) return tell(found(store.of(key)))
    this.#peers.ask(claimed.lane, model.index, key, (told) => {
      if (told === 'unknown') tell(UNAVAILABLE)
      else tell(found(told === 'gone' ? undefined : told))
    })
  }

  /** The answer is nowhere any more; whoever kept it may have let go of the key already. */
  #claimAgain(stale: Claim, hash: bigint): Claim | null {
    const now = this.#parts.clock.now()
    const taken = this.#claims.takeOver(stale, now)
    if (taken !== null) return taken
    const claimed = this.#claims.claim(hash, now)
    return claimed.kind === 'mine' ? claimed.claim : null
  }

  #storeOf({ index, idempotency }: Model): Store {
    const { snapshot, clock, onChange } = this.#parts
    const { ttlMs, bytesMax } = idempotency!
    return new Store({
      claims: this.#claims,
      clock,
      ttlMs,
      bytesMax: laneShare(bytesMax, snapshot.server.lanes),
      onChange: (bytes, isForgotten) => onChange(index, bytes, isForgotten),
    })
  }
}

interface StoreParts {
  readonly claims: ClaimTable
  readonly clock: Pick<Clock, 'now'>
  readonly ttlMs: number
  readonly bytesMax: number
  onChange(bytes: number, isForgotten: boolean): void
}

/** What this lane keeps of one model, and the claims that say so. */
class Store {
  readonly #parts: StoreParts
  readonly #kept: KeptAnswers
  readonly #claims = new Map<string, Claim>()

  constructor(parts: StoreParts) {
    const { ttlMs, bytesMax, clock } = parts
    this.#parts = parts
    this.#kept = new KeptAnswers({
      ttlMs,
      bytesMax,
      clock,
      onGone: (key, evicted) => this.#gone(key, evicted),
    })
  }

  of(key: string): KeptAnswer | undefined {
    return this.#kept.of(key)
  }

  pledge({ key, fingerprint }: Asked, claim: Claim): Pledge {
    const { claims, clock, ttlMs, onChange } = this.#parts
    if (claim.hasReplaced) onChange(this.#kept.bytes, true)
    let isOver = false
    return {
      keep: (kept) => {
        if (isOver) return false
        isOver = true
        const keptAt = clock.now()
        return this.#keep(key, claim, { ...kept, fingerprint, keptAt, ttlMs })
      },
      release: () => {
        if (isOver) return
        isOver = true
        claims.release(claim)
      },
    }
  }

  #keep(key: string, claim: Claim, kept: KeptAnswer): boolean {
    const { claims, onChange } = this.#parts
    const own = claims.keep(claim, kept.keptAt + kept.ttlMs)
    if (own === null) return false
    if (!this.#kept.keep(key, kept)) {
      claims.release(own)
      return false
    }
    this.#claims.set(key, own)
    onChange(this.#kept.bytes, false)
    return true
  }

  #gone(key: string, isEvicted: boolean): void {
    const claim = this.#claims.get(key)
    if (claim !== undefined) this.#parts.claims.release(claim)
    this.#claims.delete(key)
    this.#parts.onChange(this.#kept.bytes, isEvicted)
  }
}

/** The claim of a request that is under way; ended by one of these, once; the second time does nothing. */
export interface Pledge {
  /** False: it could not be kept, and a repeat will be done anew. */
  keep(kept: Omit<KeptAnswer, 'fingerprint' | 'keptAt' | 'ttlMs'>): boolean
  release(): void
}
