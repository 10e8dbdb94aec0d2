/**
 * Whether an answer is held until it is whole, or passed on as it comes; told by its head alone.
 *
 *   hold   it must be looked into first (checks, names of ours), it may yet be replaced (5xx), or it is small
 *   flow   a document of unknown length: held as far as FLOW_BYTES_MAX, then passed on
 *   pass   everything else
 *
 * What is held can still give way to the declared consequence when it breaks off; what was passed on cannot.
 */

import { mediaTypeOf } from '../domain/head.ts'
import type { AnswerHead } from '../domain/outcome.ts'

/** Of an answer that nobody has to look into and that says how long it is. */
export const HELD_BYTES_MAX = 128 * 1024

/** Of one that does not; what is held goes to the caller together with a whole read. */
export const FLOW_BYTES_MAX = 64 * 1024

export type Manner = 'hold' | 'flow' | 'pass'

export interface HoldFacts {
  readonly method: string
  /** Checks are in force, or names have to be put right, in a document like this one. */
  readonly isLookedInto: boolean
  /** The dialect's answers are of no use until whole. */
  readonly answersWhole: boolean
}

export function holdOrPass(head: AnswerHead, { method, isLookedInto, answersWhole }: HoldFacts): Manner {
  const { status, bodyBytes } = head
  if (method === 'HEAD' || bodyBytes === 0 || status >= 500) return 'hold'
  if (isEventStream(head)) return 'pass'
  if (isLookedInto) return 'hold'
  if (bodyBytes > 0) return bodyBytes <= HELD_BYTES_MAX ? 'hold' : 'pass'
  return answersWhole ? 'flow' : 'pass'
}

/** Server-sent events: each is of use when it comes. */
export function isEventStream({ headers }: Pick<AnswerHead, 'headers'>): boolean {
  return mediaTypeOf(headers) === 'text/event-stream'
}
