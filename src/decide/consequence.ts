/**
 * What is done when a version could not answer: the model's declared consequence, step by step. The
 * first fault picks the chain (timeout, breaker_open, overload, invalid_output, error); a step that
 * fails in turn is followed by the next step of the same chain. No version is tried twice.
 */
import { type ConsequenceClass, type Fault, traitsOf } from '../domain/fault.ts'
import type { Consequence, Model } from '../domain/routes.ts'

export interface Chain {
  /** Null: the fault is the caller's own doing and has no consequence but the refusal. */
  readonly of: ConsequenceClass | null
  /** Steps not yet used. */
  readonly steps: readonly Consequence[]
}

export function chainFor(model: Model, fault: Fault): Chain {
  const of = traitsOf(fault.code).consequence
  return { of, steps: of === null ? [] : model.onFailure[of] }
}

export interface Step {
  readonly take: Consequence
  readonly rest: Chain
}

/** The next step worth taking, given the versions already tried; `fail` when the chain is used up. */
export function nextStep(chain: Chain, tried: readonly string[]): Step {
  for (const [index, take] of chain.steps.entries()) {
    if (take.do === 'version' && tried.includes(take.version)) continue
    return { take, rest: { of: chain.of, steps: chain.steps.slice(index + 1) } }
  }
  return { take: { do: 'fail' }, rest: { of: chain.of, steps: [] } }
}

/** As written in the configuration. */
export function nameOf(consequence: Consequence): string {
  switch (consequence.do) {
    case 'version':
      return `version:${consequence.version}`
    case 'reply':
      return `reply:${consequence.file}`
    case 'fail':
      return 'fail'
  }
}
