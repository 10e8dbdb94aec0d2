/**
 * What of a request's answer is kept, and what was kept for it: for a repeat of it (its pledge, see ask-once.ts) and for
 * equal questions (the model's cache). Only what a version answered is kept, never what stood in for one that failed
 * its checks, and never what the gateway says itself.
 */
import { questionKeyOf } from '../callers/answer-key.ts'
import { ANYTHING, keepableOf, wishOf } from '../callers/cache-rules.ts'
import type { Pledge } from '../callers/repeats.ts'
import { allOf } from '../domain/head.ts'
import type { Answer } from '../domain/outcome.ts'
import type { CacheSettings } from '../domain/routes.ts'
import { nameOf } from '../identify/key-source.ts'
import { type Course, NO_COURSE } from './course.ts'
import type { Outlet } from './intake.ts'
import type { Opening } from './settle.ts'
import type { Errand } from './start-attempt.ts'

/** Answers that say nothing about the request: a repeat may well get another. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429])

/** Takes an answer whose caller has left; the copy that is made for a repeat is all that remains of it. */
export const UNHEARD: Outlet = { write: () => true }

/** To hash a longer body would cost a lane more than most answers do: 1 MiB takes 1 to 3 ms. */
export const QUESTION_BYTES_MAX = 1024 * 1024

interface Question {
  readonly cache: CacheSettings
  readonly key: string
  /** Request headers that are part of the key. */
  readonly vary: readonly string[]
}

export interface Keeping {
  /** What was kept of an equal question; null: a version has to be asked. */
  readonly hit: Course | null
  /** What the caller is told besides an answer, while it is not known whether that is kept: name, value, … */
  readonly asides: readonly string[]
  /** The answer is of use though its caller left: for the repeat that will come. */
  readonly outlastsCaller: boolean
  /** The request has its answer; returns what its caller is told. */
  end(course: Course): readonly string[]
  /** It will have none. */
  abandon(): void
}

/** `asides`: what the caller is told already. `pledge`: null where the request has no idempotency key. */
export function keepingOf(
  opening: Opening,
  errand: Errand,
  { asides, pledge }: { readonly asides: readonly string[]; readonly pledge: Pledge | null },
): Keeping {
  if (errand.intent.model.cache !== null || pledge !== null)
    return new Keeper(opening, errand, pledge, asides)
  if (asides.length === 0) return NOTHING_KEPT
  return { hit: null, asides, outlastsCaller: false, end: () => asides, abandon: NOTHING_TO_DO }
}

const NOTHING_TO_DO = (): void => {}
const NOTHING: readonly string[] = []
const NOTHING_KEPT: Keeping = {
  hit: null,
  asides: NOTHING,
  outlastsCaller: false,
  end: () => NOTHING,
  abandon: NOTHING_TO_DO,
}

class Keeper implements Keeping {
  readonly hit: Course | null
  readonly asides: readonly string[]
  readonly #before: readonly string[]
  readonly #opening: Opening
  readonly #errand: Errand
  readonly #pledge: Pledge | null
  readonly #question: Question | null

  constructor(opening: Opening, errand: Errand, pledge: Pledge | null, asides: readonly string[]) {
    this.#opening = opening
    this.#errand = errand
    this.#pledge = pledge
    this.#before = asides
    const wish = errand.intent.model.cache === null ? ANYTHING : wishOf(errand.head.headers)
    this.#question = wish.isOff ? null : questionOf(errand, opening)
    const found = this.#question === null || wish.ageMax < 0 ? null : this.#find(wish.ageMax)
    this.hit = found?.course ?? null
    this.asides = asides.concat(found?.asides ?? this.#missed(wish.ageMax))
  }

  get outlastsCaller(): boolean {
    return this.#pledge !== null
  }

  end(course: Course): readonly string[] {
    this.#endPledge(course)
    return this.hit === null && this.#store(course) ? this.#before.concat(STORED) : this.asides
  }

  abandon(): void {
    this.#pledge?.release()
  }

  #endPledge(course: Course): void {
    if (this.#pledge === null) return
    const { lane, id } = this.#opening
    const { model } = this.#errand.intent
    const { served, reason, degraded } = course
    const answer = wholeOf(course)
    if (answer === null || served === '' || answer.status >= 500 || PASSING.has(answer.status)) {
      // A complete answer that was passed on, and of which no copy could be made.
      if (course.passed !== null && course.cut === null) lane.observer.repeat(model.index, 'not-kept')
      return this.#pledge.release()
    }
    const isKept = this.#pledge.keep({ id, served, reason, degraded, ageAtFirst: 0, answer })
    if (!isKept) lane.observer.repeat(model.index, 'not-kept')
  }

  #find(ageMax: number): { readonly course: Course; readonly asides: readonly string[] } | null {
    const { lane } = this.#opening
    const { intent, plan } = this.#errand
    const kept = lane.answerCache.of(intent.model, this.#question!.key)
    if (kept === undefined) return null
    const { id, answer, served, keptAt, ttlMs, ageAtFirst } = kept
    const ageMs = Math.max(0, lane.clock.now() - keptAt)
    const age = ageAtFirst + Math.floor(ageMs / 1000)
    if (age > ageMax) return null
    lane.observer.cache(intent.model.index, 'hit')
    const left = Math.max(0, Math.floor((ttlMs - ageMs) / 1000))
    const asides = ['age', String(age), 'cache-status', `modelgate; hit; ttl=${left}`]
    const course = {
      ...NO_COURSE,
      answer,
      served,
      reason: plan.reason,
      kept: { how: 'cached', id, ageMs },
    } as const
    return { course, asides }
  }

  #missed(ageMax: number): readonly string[] {
    const { model } = this.#errand.intent
    if (model.cache === null) return NOTHING
    const { observer } = this.#opening.lane
    if (this.#question === null) {
      observer.cache(model.index, 'bypass')
      return BYPASSED
    }
    observer.cache(model.index, ageMax < 0 ? 'bypass' : 'miss')
    return ageMax < 0 ? REQUESTED : MISSED
  }

  #store({ answer, fault, served, reason, degraded }: Course): boolean {
    if (this.#question === null || answer === null || fault !== null || degraded !== '') return false
    const { lane, id } = this.#opening
    const { intent, plan } = this.#errand
    if (served !== plan.version.name) return false
    const { cache, key, vary } = this.#question
    const keepable = keepableOf(answer, { ttlMs: cache.ttlMs, shared: cache.shared, vary })
    if (keepable === null) return false
    const { ttlMs, age: ageAtFirst } = keepable
    const { status, headers, body } = answer
    const keptAt = lane.clock.now()
    const own = { status, headers: withoutAge(headers), body }
    const kept = { id, served, reason, degraded, fingerprint: '', ageAtFirst, keptAt, ttlMs, answer: own }
    const isKept = lane.answerCache.keep(intent.model, key, kept)
    if (isKept) lane.observer.cache(intent.model.index, 'stored')
    return isKept
  }
}

/** RFC 9211. */
const MISSED: readonly string[] = ['cache-status', 'modelgate; fwd=miss']
const STORED: readonly string[] = ['cache-status', 'modelgate; fwd=miss; stored']
const REQUESTED: readonly string[] = ['cache-status', 'modelgate; fwd=request']
const BYPASSED: readonly string[] = ['cache-status', 'modelgate; fwd=bypass']

/** Null where the model has no cache, or this is nothing that is asked twice. */
function questionOf({ intent, head, body, protocol, plan }: Errand, { routes }: Opening): Question | null {
  const { model, operation, callers, isShadow } = intent
  const { cache } = model
  if (cache === null || isShadow || body.length > QUESTION_BYTES_MAX) return null
  if (operation !== 'infer' && operation !== 'call') return null
  if (head.method === 'HEAD' || head.method === 'OPTIONS' || !protocol.isRepeatable(head.method)) return null
  const what = [String(routes.generation), model.name, plan.version.name, operation, callers.cache]
  const vary: string[] = []
  for (const source of cache.vary) {
    const value = source.from === 'header' ? allOf(head.headers, source.name) : head.clientAddress
    what.push(nameOf(source), value === undefined ? '-' : `+${value}`)
    if (source.from === 'header') vary.push(source.name)
  }
  return { cache, key: questionKeyOf(what, head, body), vary }
}

/** The answer as its caller got it, where it was held or copied. */
function wholeOf({ answer, copy, cut }: Course): Answer | null {
  return answer ?? (cut === null ? copy : null)
}

function withoutAge(headers: readonly string[]): readonly string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== 'age') kept.push(headers[index]!, headers[index + 1]!)
  }
  return kept
}
