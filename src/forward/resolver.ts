/**
 * Names of endpoints and the addresses they have now: who asks gets the addresses that are known, at
 * once, and a question older than RESOLVE_EVERY_MS is asked again behind its back.
 *
 * The last good answer is kept for as long as asking fails: a broken resolver must not end traffic to
 * machines that still stand. Addresses are used in turn; one that failed comes last until the next answer.
 * The system gives no times to live, hence the constant. One question per name is under way at a time:
 * they run on the few threads that all of Node shares.
 */
import { type LookupAddress, lookup } from 'node:dns'
import { isIP } from 'node:net'
import type { Clock } from '../kernel/clock.ts'

export const RESOLVE_EVERY_MS = 30_000
/** After a failed question; until then those who know no address fail with what the last one said. */
export const RESOLVE_AGAIN_MS = 1_000
/** Of one name. A name with more loses the rest. */
export const ADDRESSES_MAX = 64
/** Names with nobody using them are forgotten above this. */
export const NAMES_MAX = 1_024

export type Ask = (
  name: string,
  answered: (error: Error | null, addresses: readonly string[]) => void,
) => void

/** What an operator wants to know: told once when asking begins to fail, and once when it works again. */
export interface NameEvent {
  readonly name: string
  /** null: it resolves again. */
  readonly problem: string | null
  /** Traffic goes on with the addresses it had. */
  readonly isKept: boolean
}

export interface ResolverParts {
  readonly clock: Clock
  /** Default: the system's resolver, as for every other program (hosts file included). */
  readonly ask?: Ask
  readonly onEvent?: (event: NameEvent) => void
}

type Waiting = (problem: string | null) => void

export class Resolver {
  readonly #parts: Required<ResolverParts>
  readonly #names = new Map<string, Name>()

  constructor({ clock, ask = askSystem, onEvent = () => {} }: ResolverParts) {
    this.#parts = { clock, ask, onEvent }
  }

  /** `host`: a name, or an address, which stands for itself. */
  nameOf(host: string): Name {
    const known = this.#names.get(host)
    if (known !== undefined) return known
    // Pools hold on to theirs; a forgotten one only means that the next pool asks again.
    if (this.#names.size >= NAMES_MAX) this.#names.clear()
    const name = new Name(host, this.#parts)
    this.#names.set(host, name)
    return name
  }

  /** Tells the addresses that are known, at once, or those that come, or why none does. */
  addressesOf(host: string, told: (problem: string | null, addresses: readonly string[]) => void): void {
    const name = this.nameOf(host)
    const now = this.#parts.clock.now()
    name.refresh(now)
    const known = name.candidates()
    if (known.length > 0) told(null, known)
    else name.whenKnown((problem) => told(problem, name.candidates()), now)
  }
}

export class Name {
  readonly host: string
  /** Goes up when the set of addresses changes, so that who holds one can see whether it may be gone. */
  generation = 0
  /** Questions in a row without an answer. */
  failures = 0
  readonly #parts: Required<ResolverParts>
  readonly #isLiteral: boolean
  #addresses: readonly string[] = []
  readonly #failed = new Set<string>()
  #cursor = 0
  #refreshAt = Number.NEGATIVE_INFINITY
  #isAsking = false
  #problem = ''
  readonly #waiting = new Set<Waiting>()

  constructor(host: string, parts: Required<ResolverParts>) {
    this.host = host
    this.#parts = parts
    this.#isLiteral = isIP(host) !== 0
    if (this.#isLiteral) {
      this.#addresses = [host]
      this.#refreshAt = Number.POSITIVE_INFINITY
    }
  }

  /** Asks again if it is time; costs a comparison if not. */
  refresh(now: number): void {
    if (now >= this.#refreshAt && !this.#isAsking) this.#ask()
  }

  has(address: string): boolean {
    return this.#addresses.includes(address)
  }

  /**
   * Addresses for one connection, the one to try first at the beginning: in turn, those that failed
   * since the last answer behind the others. Empty when none is known.
   */
  candidates(): readonly string[] {
    const all = this.#addresses
    if (all.length < 2) return all
    const start = this.#cursor % all.length
    this.#cursor = start + 1
    const inTurn = [...all.slice(start), ...all.slice(0, start)]
    if (this.#failed.size === 0) return inTurn
    return [
      ...inTurn.filter((address) => !this.#failed.has(address)),
      ...inTurn.filter((address) => this.#failed.has(address)),
    ]
  }

  failed(address: string): void {
    if (!this.#isLiteral) this.#failed.add(address)
  }

  worked(address: string): void {
    this.#failed.delete(address)
  }

  /** Calls back once an address is known (null) or the question failed; never at once. Returns the way out. */
  whenKnown(callback: Waiting, now: number): () => void {
    this.#waiting.add(callback)
    this.refresh(now)
    if (!this.#isAsking) queueMicrotask(() => this.#answerWaiting(this.#problem))
    return () => this.#waiting.delete(callback)
  }

  #ask(): void {
    this.#isAsking = true
    this.#parts.ask(this.host, (error, addresses) => {
      this.#isAsking = false
      const now = this.#parts.clock.now()
      if (error !== null || addresses.length === 0) this.#unanswered(error, now)
      else this.#answered(addresses.slice(0, ADDRESSES_MAX), now)
    })
  }

  #answered(addresses: readonly string[], now: number): void {
    this.#refreshAt = now + RESOLVE_EVERY_MS
    if (this.failures > 0) this.#parts.onEvent({ name: this.host, problem: null, isKept: true })
    this.failures = 0
    this.#problem = ''
    this.#failed.clear()
    const isSame = addresses.length === this.#addresses.length && addresses.every((one) => this.has(one))
    if (!isSame) {
      this.#addresses = addresses
      this.generation += 1
    }
    this.#answerWaiting(null)
  }

  #unanswered(error: Error | null, now: number): void {
    this.#refreshAt = now + RESOLVE_AGAIN_MS
    this.#problem = error?.message ?? `${this.host} has no addresses`
    this.failures += 1
    const isKept = this.#addresses.length > 0
    if (this.failures === 1) this.#parts.onEvent({ name: this.host, problem: this.#problem, isKept })
    this.#answerWaiting(isKept ? null : this.#problem)
  }

  #answerWaiting(problem: string | null): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const callback of waiting) callback(problem)
  }
}

/** getaddrinfo in the order the system prefers. */
function askSystem(name: string, answered: Parameters<Ask>[1]): void {
  lookup(name, { all: true }, (error: Error | null, found: readonly LookupAddress[] | undefined) => {
    answered(
      error,
      (found ?? []).map(({ address }) => address),
    )
  })
}
