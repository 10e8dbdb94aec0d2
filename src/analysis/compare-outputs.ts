/**
 * A shadow's answer held against the primary's, rule by rule. Deterministic: two answers and the rules
 * in, a verdict out.
 *
 * `differ` wins over `incomparable`: one value found different is a finding, whatever else is missing.
 * Without rules there is nothing to hold against each other, and that is `incomparable`, never `agree`.
 */
import type { CompareRule } from '../domain/routes.ts'
import { parsePointer } from '../kernel/json-scan.ts'
import { type AnswerBytes, readValues } from '../protocols/open-inference/read-answer.ts'
import type { ExactScalar } from '../protocols/read-json.ts'
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
  const paths = rules.map((rule) => parsePointer(rule.pointer))
  const [first, second] = [readValues(primary, paths), readValues(shadow, paths)]
  const verdicts = rules.map((rule, index) => verdictOf(first[index], second[index], rule))
  return {
    agreement: agreementOf(verdicts),
    differences: verdicts.map((verdict) => verdict?.difference ?? null),
  }
}

function verdictOf(first: ExactScalar, second: ExactScalar, rule: CompareRule): Verdict | null {
  if (first === undefined || first === null || second === undefined || second === null) return null
  return comparatorOf(rule.as).compare(first, second, rule)
}

function agreementOf(verdicts: readonly (Verdict | null)[]): OutputComparison['agreement'] {
  if (verdicts.some((verdict) => verdict !== null && !verdict.agrees)) return 'differ'
  if (verdicts.length === 0 || verdicts.some((verdict) => verdict === null)) return 'incomparable'
  return 'agree'
}
