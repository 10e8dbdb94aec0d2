/**
 * What was probably meant where a value was refused, as it would be typed. Whatever is suggested is a
 * value the same place accepts: a guess that would be refused in its turn is not made.
 */
import type { z } from 'zod'
import { nearestName } from '../../kernel/nearest-name.ts'
import { wordsOf } from './leaf.ts'
import { isNotYet } from './not-yet.ts'
import type { Path } from './problem.ts'
import { DURATION, guessUnit, SIZE } from './units.ts'

type Issue = z.core.$ZodIssue
type Schema = z.core.$ZodType

/** `actual` is what stands at `at`, and `issue` what `schema` says about it. */
export function suggestionFor(issue: Issue, actual: unknown, schema: Schema, at: Path): string | undefined {
  const meant = guess(issue, actual, schema)
  if (meant === undefined || !accepts(schema, meant) || isNotYet(at, meant)) return undefined
  return JSON.stringify(meant)
}

function guess(issue: Issue, actual: unknown, schema: Schema): unknown {
  if (issue.code === 'custom') return (issue.params as { suggestion?: string } | undefined)?.suggestion
  // 50 where a share is wanted was meant in percent; 1.5 may have been anything.
  if (issue.code === 'too_big' && isShare(schema) && Number.isInteger(actual))
    return hundredth(Number(actual))
  if (typeof actual !== 'string') return undefined
  if (issue.code === 'invalid_value') return nearestName(actual, issue.values.map(String)) ?? undefined
  if (issue.code === 'invalid_union') return nearestName(actual, ['auto']) ?? numberIn(actual, schema)
  if (issue.code === 'invalid_format') {
    const { what } = wordsOf(schema)
    if (what === 'a duration') return guessUnit(actual, DURATION)
    if (what === 'a size') return guessUnit(actual, SIZE)
  }
  if (issue.code === 'invalid_type') {
    if (issue.expected === 'number' || issue.expected === 'int') return numberIn(actual, schema)
    if (issue.expected === 'boolean' && /^(?:true|false)$/i.test(actual)) return /^true$/i.test(actual)
    if (issue.expected === 'array') return [actual]
  }
  return undefined
}

function numberIn(text: string, schema: Schema): number | undefined {
  const match = /^\s*(-?[0-9]+(?:\.[0-9]+)?)\s*(%?)\s*$/.exec(text)
  if (match === null) return undefined
  const written = Number(match[1])
  if (match[2] === '') return written
  if (isShare(schema)) return hundredth(written)
  return accepts(schema, 100) && !accepts(schema, 101) ? written : undefined
}

/** Goes up to 1, as parts of a whole do. */
function isShare(schema: Schema): boolean {
  return accepts(schema, 0.5) && accepts(schema, 1) && !accepts(schema, 1.5)
}

/** 29 / 100 and its like without the last digits of a double. */
function hundredth(percent: number): number {
  return Number((percent / 100).toFixed(12))
}

function accepts(schema: Schema, value: unknown): boolean {
  return (schema as z.ZodType).safeParse(value).success
}
