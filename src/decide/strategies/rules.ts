/** `route.rules`: the first rule whose header test holds names the version. */
import { headerOf } from '../../domain/head.ts'
import type { Rule, RuleTest } from '../../domain/routes.ts'
import type { Choice, Question, Strategy } from './strategy.ts'

export const rules: Strategy = {
  reason: 'rule',
  overrides: true,
  form: null,
  choose(question) {
    const rule = question.intent.model.route.rules.find((candidate) => matches(candidate, question))
    return rule === undefined ? null : choiceOf(rule, question)
  },
  passedOver(version, question) {
    const named = question.intent.model.route.rules.some((rule) => rule.version === version)
    return named ? 'rule-did-not-match' : null
  },
}

function choiceOf(rule: Rule, question: Question): Choice {
  const isPrimary = rule.version === question.intent.model.route.primary
  return { version: rule.version, role: isPrimary ? 'primary' : 'canary', experiment: '', point: -1 }
}

function matches(rule: Rule, question: Question): boolean {
  const value = headerOf(question.head.headers, rule.when.header)
  return value !== undefined && holds(rule.when.test, value)
}

function holds(test: RuleTest, value: string): boolean {
  switch (test.is) {
    case 'equals':
      return value === test.value
    case 'prefix':
      return value.startsWith(test.value)
    case 'in':
      return test.values.includes(value)
    case 'present':
      return true
  }
}
