/**
 * A shadow's answer held against the primary's, rule by rule, as their dialect reads them. Deterministic: two
 * answers and the rules in, a verdict out.
 *
 * `differ` wins over `incomparable`: one value found different is a finding, whatever else is missing.
 * Without rules there is nothing to hold against each other, and that is `incomparable`, never `agree`.
 */
import type { Answer } from '../domain/outcome.ts'
import type { CompareRule } from '../domain/routes.ts'
import { parsePointer } from '../kernel/json-scan.ts'
import type { ExactScalar, Protocol } from '../protocols/protocol.ts'
import { comparatorOf, type Verdict } from './comparators.ts'

export interface OutputComparison {
  readonly agreement: 'agree' | 'differ' | 'incomparable'
  /** One entry for each rule: the absolute difference, or null for labels and what is missing. */
  readonly differences: readonly (number | null)[]
}

export interface AnswerPair {
  readonly primary: Answer
  readonly shadow: Answer
}

export function compareOutputs(
  { primary, shadow }: AnswerPair,
  rules: readonly CompareRule[],
  dialect: Pick<Protocol, 'readExact'>,
): OutputComparison {
  const paths = rules.map((rule) => parsePointer(rule.pointer))
  const [first, second] = [dialect.readExact(primary, paths), dialect.readExact(shadow, paths)]
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
