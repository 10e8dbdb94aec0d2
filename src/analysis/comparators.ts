/**
 * The ways of holding two values against each other; the list that `as` in a compare rule chooses from.
 * Pure. A comparator answers null where the two cannot be compared at all: infinities and NaN are no
 * numbers, so on both sides there is nothing that agrees, and on one side alone there is a difference.
 */
import type { CompareRule } from '../domain/routes.ts'

export type Value = number | bigint | string | boolean

export interface Verdict {
  readonly agrees: boolean
  /** Absolute difference; null where there is no such number. */
  readonly difference: number | null
}

export interface Comparator {
  readonly name: CompareRule['as']
  compare(primary: Value, shadow: Value, rule: CompareRule): Verdict | null
}

/**
 * Within the absolute or the relative tolerance, whichever is wider; relative to the larger of the two
 * (as Python's math.isclose), so that it does not matter which side is the primary.
 */
const number: Comparator = {
  name: 'number',
  compare(primary, shadow, rule) {
    if (!isNumber(primary) || !isNumber(shadow)) return null
    if (typeof primary === 'bigint' && typeof shadow === 'bigint') {
      return within(Number(primary - shadow), Number(primary), Number(shadow), rule)
    }
    const [first, second] = [Number(primary), Number(shadow)]
    if (!Number.isFinite(first) || !Number.isFinite(second)) return unlessAlike(first, second)
    return within(first - second, first, second, rule)
  },
}

function within(signed: number, first: number, second: number, rule: CompareRule): Verdict {
  const difference = Math.abs(signed)
  const relative = rule.toleranceRel * Math.max(Math.abs(first), Math.abs(second))
  return { agrees: difference <= Math.max(rule.toleranceAbs, relative), difference }
}

/** At least one is not finite. */
function unlessAlike(first: number, second: number): Verdict | null {
  return Object.is(first, second) ? null : { agrees: false, difference: null }
}

/** The same text, number or truth value; a text never equals a number. */
const label: Comparator = {
  name: 'label',
  compare(primary, shadow) {
    if (isEndless(primary) || isEndless(shadow)) return unlessAlike(Number(primary), Number(shadow))
    const sameKind = typeof primary === typeof shadow || (isNumber(primary) && isNumber(shadow))
    // biome-ignore lint/suspicious/noDoubleEquals: 3n and 3 are the same label; kinds were checked
    return { agrees: sameKind && primary == shadow, difference: null }
  },
}

export const COMPARATORS: readonly Comparator[] = [number, label]

export function comparatorOf(name: CompareRule['as']): Comparator {
  return COMPARATORS.find((comparator) => comparator.name === name)!
}

function isEndless(value: Value): boolean {
  return typeof value === 'number' && !Number.isFinite(value)
}

function isNumber(value: Value): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}
