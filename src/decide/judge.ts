/**
 * What an attempt's result says: whether the caller may have its answer, and how the breaker counts it.
 *
 *   2xx, 3xx       success, once the output checks hold; a violation is a failure of that version
 *   429, other 4xx neutral: the caller's doing or its limits, nothing about the version's health
 *   5xx            failure; the endpoint's own words are passed on when the consequence is to fail
 *
 * What only one of several endpoints does, again and again, counts for that endpoint and not for its version: the breaker
 * would take the others along.
 */
import { type Fault, fault, traitsOf } from '../domain/fault.ts'
import type { AnswerSummary, AttemptResult } from '../domain/outcome.ts'
import type { OutputCheck, Version } from '../domain/routes.ts'
import type { Scalar, StreamEnd } from '../protocols/protocol.ts'
import type { ChecksInForce } from './output-checks.ts'

export interface Judgement {
  readonly verdict: 'success' | 'failure' | 'neutral'
  /** Null when the answer may go to the caller. */
  readonly fault: Fault | null
}

function ofVersion(judged: Judgement, { isEndpointsOwn }: AttemptResult): Judgement {
  return isEndpointsOwn === true && judged.verdict === 'failure' ? { ...judged, verdict: 'neutral' } : judged
}

/** `values`: what the dialect found at the checks' pointers, in their order; asked for only on success. */
export function judge(
  result: AttemptResult,
  version: Version,
  checks: Pick<ChecksInForce, 'checks' | 'mustBeThere'>,
  values: () => readonly Scalar[],
): Judgement {
  return ofVersion(judgeWhole(result, version, checks, values), result)
}

function judgeWhole(
  result: AttemptResult,
  version: Version,
  { checks, mustBeThere }: Pick<ChecksInForce, 'checks' | 'mustBeThere'>,
  values: () => readonly Scalar[],
): Judgement {
  if (result.fault !== null) return { verdict: traitsOf(result.fault.code).blame, fault: result.fault }
  const status = result.answer?.status ?? 0
  if (status >= 500) {
    const words = `version '${version.name}' of model '${version.model}' answered with status ${status}`
    return { verdict: 'failure', fault: fault('endpoint-error', words) }
  }
  if (status >= 400) return { verdict: 'neutral', fault: null }
  if (checks.length === 0) return SUCCESS
  const found = values()
  for (const [index, check] of checks.entries()) {
    const value = found[index]
    if (value === undefined && !mustBeThere) continue
    const violation = violationOf(check, value)
    if (violation === null) continue
    const words = `version '${version.name}' of model '${version.model}' gave an invalid '${check.name}': ${violation}`
    return { verdict: 'failure', fault: fault('invalid-output', words) }
  }
  return SUCCESS
}

/**
 * An answer that was passed on as it came, judged at its end: it must be whole by HTTP's rules and by the
 * dialect's own. What it says was not looked into.
 */
export function judgePassed(
  result: AttemptResult,
  summary: AnswerSummary | null,
  version: Version,
): Judgement {
  const { fault: reason, passed } = result
  if (reason !== null) return ofVersion({ verdict: traitsOf(reason.code).blame, fault: reason }, result)
  if (passed!.status >= 400) return { verdict: 'neutral', fault: null }
  return judgeEnd(summary, version)
}

/** A shadow's answer, by the same rules; `end` where it was a stream. Output checks protect callers, and it has none. */
export function judgeShadow(result: AttemptResult, end: StreamEnd | null, version: Version): Judgement {
  const judged = judgeWhole(result, version, UNCHECKED, NO_VALUES)
  return judged.verdict === 'success' ? judgeEnd(end, version) : judged
}

const UNCHECKED = { checks: [], mustBeThere: false }
const NO_VALUES = (): readonly Scalar[] => []

function judgeEnd(end: StreamEnd | null, version: Version): Judgement {
  if (end === null || end.problem === '') return SUCCESS
  if (end.isCallersDoing === true) return { verdict: 'neutral', fault: null }
  const words = `version '${version.name}' of model '${version.model}' ended its stream: ${end.problem}`
  return { verdict: 'failure', fault: fault('incomplete-stream', words) }
}

const SUCCESS: Judgement = { verdict: 'success', fault: null }

/** Null when the value is as declared. The value itself stays out of the words: they reach callers. */
function violationOf(check: OutputCheck, value: Scalar): string | null {
  if (value === undefined || value === null) return `nothing readable at ${check.pointer}`
  switch (check.type) {
    case 'string':
    case 'boolean':
      return typeof value === check.type ? null : `not a ${check.type}`
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) return 'not a finite number'
      if (check.type === 'integer' && !Number.isInteger(value)) return 'not an integer'
      if (value < check.min) return `below the minimum ${check.min}`
      return value > check.max ? `above the maximum ${check.max}` : null
  }
}
