/**
 * A shadow's answer held against the primary's, rule by rule. Deterministic: two answers and the rules
 * in, a verdict out.
 *
 * `differ` wins over `incomparable`: one value found different is a finding, whatever else is missing.
 * Without rules there is nothing to hold against each other, and that is `incomparable`, never `agree`.
 */
import type { CompareRule } from '../domain/routes.ts'
import { type AnswerBytes, type OpenAnswer, openAnswer, valueIn } from './answer-values.ts'
import { comparatorOf, type Verdict } from './comparators.ts'

export interface OutputComparison {
  readonly agreement: 'agree' | 'differ' | 'incomparable'
  /** One entry for each rule: the absolute difference, or null for labels and what is missing. */
  readonly differences: readonly (number | null)[]
}

export function compareOutputs(
  primary: AnswerBytes,
  shadow: AnswerBytes,
  rules: readonly CompareRule[],
): OutputComparison {
  const [first, second] = [openAnswer(primary), openAnswer(shadow)]
  const verdicts = rules.map((rule) => (first && second ? verdictOf(first, second, rule) : null))
  return {
    agreement: agreementOf(verdicts),
    differences: verdicts.map((verdict) => verdict?.difference ?? null),
  }
}

function verdictOf(primary: OpenAnswer, shadow: OpenAnswer, rule: CompareRule): Verdict | null {
  const first = valueIn(primary, rule.pointer)
  const second = valueIn(shadow, rule.pointer)
  if (first === undefined || second === undefined) return null
  return comparatorOf(rule.as).compare(first, second, rule)
}

function agreementOf(verdicts: readonly (Verdict | null)[]): OutputComparison['agreement'] {
  if (verdicts.some((verdict) => verdict !== null && !verdict.agrees)) return 'differ'
  if (verdicts.length === 0 || verdicts.some((verdict) => verdict === null)) return 'incomparable'
  return 'agree'
}
