/**
 * Lets a request with an idempotency key through once. A repeat of it gets what the first was answered, and is a
 * decision of its own, with a record; while the first is under way it is told so; the same key with another
 * request is refused. Without a key, or where the model keeps no answers for it, nothing happens here.
 */
import { fingerprintOf, repeatKeyOf } from '../callers/answer-key.ts'
import type { KeptAnswer } from '../callers/kept-answers.ts'
import type { Pledge, Repeat } from '../callers/repeats.ts'
import type { Intent } from '../domain/intent.ts'
import { type Course, NO_COURSE } from './course.ts'
import { IN_PROGRESS, NOT_AT_HAND, OTHER_REQUEST } from './refusals.ts'
import { conclude, forgo, type Known, type Opening, refuse } from './settle.ts'

/** `go` is called at most once, with what has to be ended when the request is: later where another lane has to be asked. */
export function askOnce(
  opening: Opening,
  known: Known & { readonly intent: Intent },
  go: (pledge: Pledge | null) => void,
): void {
  const { intent } = known
  const { model, idempotencyKey } = intent
  if (idempotencyKey === null || intent.isShadow) return go(null)
  const { lane, head, client } = opening
  const key = repeatKeyOf(model.name, head, intent.callers.idempotency, idempotencyKey)
  const fingerprint = fingerprintOf(head, known.body, intent.pin ?? '')
  client.onGone(() => forgo(opening, known, []))
  lane.repeats.begin(model, { key, fingerprint }, (repeat) => {
    lane.observer.repeat(model.index, COUNTED[repeat.kind])
    if (repeat.kind !== 'first') return answer(opening, known, repeat)
    // The caller may have left while another lane was asked.
    if (opening.settled) repeat.pledge.release()
    else go(repeat.pledge)
  })
}

const COUNTED = {
  first: 'first',
  kept: 'replayed',
  'under-way': 'under-way',
  mismatch: 'mismatch',
  unavailable: 'unavailable',
} as const

function answer(opening: Opening, known: Known, repeat: Exclude<Repeat, { kind: 'first' }>): void {
  switch (repeat.kind) {
    case 'kept': {
      const replayed = ['idempotent-replayed', 'true', 'modelgate-replay-of', repeat.kept.id]
      const asides = known.asides.concat(replayed)
      return conclude(opening, { ...known, asides }, replayOf(repeat.kept, opening))
    }
    case 'under-way':
      return refuse(opening, known, IN_PROGRESS)
    case 'mismatch':
      return refuse(opening, known, OTHER_REQUEST)
    case 'unavailable':
      return refuse(opening, known, NOT_AT_HAND)
  }
}

function replayOf({ answer, served, reason, degraded, id, keptAt }: KeptAnswer, { lane }: Opening): Course {
  const ageMs = Math.max(0, lane.clock.now() - keptAt)
  return { ...NO_COURSE, answer, served, reason, degraded, kept: { how: 'replayed', id, ageMs } }
}
