/**
 * Whether, when and where not a request is tried again at the version that just failed it. Nothing is held or sent
 * here: passage/attempts.ts does that.
 *
 * Another endpoint is asked at once; one that was tried already, only after a pause, and not before the time it
 * named itself. A version whose breaker is not closed is not asked again: its probes are for new requests.
 */
import { backoffMs, type Failed, isRetried, retryAfterMs } from '../decide/retry.ts'
import type { Intent } from '../domain/intent.ts'
import type { Hedge } from '../domain/outcome.ts'
import type { Version } from '../domain/routes.ts'
import type { Lane } from './lane-parts.ts'

export interface FailedTry extends Failed {
  readonly version: Version
  /** As the attempt names it. */
  readonly endpoint: string
  /** Two copies failed. */
  readonly hedge?: Hedge | undefined
}

export class Retries {
  readonly #intent: Intent
  readonly #lane: Pick<Lane, 'vitals' | 'chance' | 'retryBudgets' | 'observer'>
  #version: Version | undefined
  #endpoints: string[] = []
  #tries = 0

  constructor(intent: Intent, lane: Pick<Lane, 'vitals' | 'chance' | 'retryBudgets' | 'observer'>) {
    this.#intent = intent
    this.#lane = lane
  }

  /** Endpoints of `version` that were tried, in order. */
  triedOf(version: Version): readonly string[] {
    return version === this.#version ? this.#endpoints : NONE
  }

  /** Ms until it may be tried again; null: never. */
  after(failed: FailedTry, now: number): number | null {
    const { version } = failed
    const { model, deadlineAt } = this.#intent
    this.#note(failed)
    if (version.kind !== 'remote' || this.#tries >= model.retry.attempts) return null
    if (!isRetried(model.retry, failed)) return null
    if (model.breaker.enforce && this.#lane.vitals.view.breakerOf(version, now) !== 'closed') return null
    const isElsewhere = version.endpoints.some(({ url }) => !this.#endpoints.includes(url))
    const afterMs = isElsewhere ? 0 : this.#pauseMs(failed)
    if (now + afterMs >= deadlineAt) return null
    const isAllowed = this.#lane.retryBudgets[model.index]!.withdraw(now)
    this.#lane.observer.retry(model.index, isAllowed)
    return isAllowed ? afterMs : null
  }

  #note({ version, endpoint, hedge }: FailedTry): void {
    if (version !== this.#version) {
      this.#endpoints = []
      this.#tries = 0
    }
    this.#version = version
    this.#tries += 1
    if (hedge === undefined) this.#endpoints.push(endpoint)
    else this.#endpoints.push(hedge.first, hedge.second)
  }

  #pauseMs({ answer }: FailedTry): number {
    return Math.max(backoffMs(this.#tries, this.#lane.chance.next()), retryAfterMs(answer))
  }
}

const NONE: readonly string[] = []
