/**
 * Which of a model's output checks an answer is held against. The form of an answer is partly the
 * caller's choice, and what a caller chose must never count as a failure of the version: otherwise
 * anybody could open its breaker for everybody.
 *
 * So an answer without a body is not checked, nor one to a method that only reads; and where the caller
 * named the outputs it wants, positions say nothing: only checks by name hold, and only if it is there.
 */
import type { Intent } from '../domain/intent.ts'
import type { Model, OutputCheck } from '../domain/routes.ts'
import { type JsonPath, parsePointer } from '../kernel/json-scan.ts'

export interface ChecksInForce {
  readonly checks: readonly OutputCheck[]
  /** Their paths, in the same order. */
  readonly paths: readonly JsonPath[]
  /** A value that is missing violates the check. */
  readonly mustBeThere: boolean
}

interface Prepared {
  readonly all: ChecksInForce
  readonly named: ChecksInForce
}

const NONE: ChecksInForce = { checks: [], paths: [], mustBeThere: false }
const PREPARED = new WeakMap<Model, Prepared>()
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** `method`: the caller's; `status`: the answer's. */
export function checksInForce(intent: Intent, method: string, status: number): ChecksInForce {
  const { model } = intent
  if (model.output.length === 0 || status === 204 || READING_METHODS.has(method)) return NONE
  const { all, named } = prepared(model)
  return intent.selectsOutputs ? named : all
}

/** Paths are split once for a model, not once a request. */
function prepared(model: Model): Prepared {
  let entry = PREPARED.get(model)
  if (entry === undefined) {
    const named = model.output.filter((check) => !/^\d+$/.test(parsePointer(check.pointer)[1] ?? ''))
    entry = { all: inForce(model.output, true), named: inForce(named, false) }
    PREPARED.set(model, entry)
  }
  return entry
}

function inForce(checks: readonly OutputCheck[], mustBeThere: boolean): ChecksInForce {
  return { checks, paths: checks.map((check) => parsePointer(check.pointer)), mustBeThere }
}
