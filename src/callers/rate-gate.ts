/**
 * Asks every rate limit that holds for a request, and tells the caller how it stands. All limits must have room: what
 * one of them took is given back when another refuses, so that a caller who is refused loses nothing.
 *
 * One for each lane; the buckets themselves are shared by all (bucket-table.ts).
 */
import type { Model, RateLimit } from '../domain/routes.ts'
import { hashOf } from '../kernel/hash64.ts'
import { msOfUnits, remainingAt, unitsAt, waitMs } from './bucket.ts'
import { BucketTable } from './bucket-table.ts'
import type { CallerMemory } from './caller-memory.ts'

export interface RateGateParts {
  readonly limits: number
  readonly memory: CallerMemory
}

export interface Quota {
  /** The limit that has no room; null: the request is let in. */
  readonly refusedBy: RateLimit | null
  /** Until that limit has room for one more, in ms. */
  readonly retryAfterMs: number
  /** RateLimit-Policy, and RateLimit of the limits that were asked: name, value, … */
  readonly headers: readonly string[]
  /** Callers whose debt was forgotten to make room for this one. */
  readonly replaced: number
}

export class RateGate {
  readonly #table: BucketTable
  readonly #seed: bigint
  /** By limit. */
  readonly #seeds: bigint[] = []
  /** RateLimit-Policy, by the model's index; it never changes. */
  readonly #policies: string[] = []

  constructor({ limits, memory }: RateGateParts) {
    this.#table = new BucketTable(memory.buckets, limits)
    this.#seed = memory.seed
  }

  /** `callers`: one for each of the model's limits. `now`: monotonic ms. */
  charge(model: Model, callers: readonly string[], now: number): Quota {
    const headers = ['ratelimit-policy', this.#policyOf(model), 'ratelimit', '']
    let standing = ''
    let replaced = 0
    for (let position = 0; position < model.rates.length; position += 1) {
      const limit = model.rates[position]!
      const taken = this.#table.take(limit, this.#hashOf(limit, callers[position]!), unitsAt(now, limit))
      if (taken.isReplaced) replaced += 1
      standing += `${standing === '' ? '' : ', '}${standingOf(limit, taken.debt)}`
      if (taken.isAdmitted) continue
      this.#giveBack(model, callers, position)
      headers[3] = standing
      return { refusedBy: limit, retryAfterMs: waitMs(taken.debt, limit), headers, replaced }
    }
    headers[3] = standing
    return { refusedBy: null, retryAfterMs: 0, headers, replaced }
  }

  /** What the first `count` limits took. */
  #giveBack({ rates }: Model, callers: readonly string[], count: number): void {
    for (let position = 0; position < count; position += 1) {
      const limit = rates[position]!
      this.#table.giveBack(limit, this.#hashOf(limit, callers[position]!))
    }
  }

  /** Another function for each limit: who shares a set under one has others beside it under the next. */
  #hashOf({ index }: RateLimit, caller: string): bigint {
    this.#seeds[index] ??= BigInt.asUintN(64, this.#seed + BigInt(index))
    return hashOf(caller, this.#seeds[index])
  }

  #policyOf({ index, rates }: Model): string {
    this.#policies[index] ??= rates.map(policyOf).join(', ')
    return this.#policies[index]
  }
}

/**
 * draft-ietf-httpapi-ratelimit-headers-10: quota and window are what the limit allows in the long run; how much of it
 * may come at once is a parameter of ours.
 */
function policyOf({ name, requests, perMs, burst }: RateLimit): string {
  return `"${name}";q=${requests};w=${Math.ceil(perMs / 1000)};modelgate-burst=${burst}`
}

/** `r`: requests that would be let in now; `t`: seconds until the bucket is full again. */
function standingOf(limit: RateLimit, debt: number): string {
  return `"${limit.name}";r=${remainingAt(debt, limit)};t=${Math.ceil(msOfUnits(debt, limit) / 1000)}`
}
