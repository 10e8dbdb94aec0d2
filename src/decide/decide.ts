/**
 * From intent to plan: which version serves and why, why each other one does not, and which shadow
 * copies go out. Deterministic but for `chance`, which samples shadows; it is an argument.
 *
 * The plan says what should happen. Whether the chosen version's breaker lets the request through is
 * asked when it is tried, and what follows if not is the model's consequence (consequence.ts).
 */
import type { Head } from '../domain/head.ts'
import type { Intent } from '../domain/intent.ts'
import type { Candidate, Passed, Plan, ShadowPlan, VitalsView } from '../domain/plan.ts'
import type { Model, Shadow, Version } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import type { Chance } from '../kernel/chance.ts'
import { pointOf } from '../kernel/hash64.ts'
import { STRATEGIES } from './strategies/index.ts'
import type { Choice, Question, Strategy } from './strategies/strategy.ts'

export interface Circumstances {
  readonly vitals: VitalsView
  /** Monotonic ms. */
  readonly now: number
  readonly chance: Chance
  /** The dialect says that asking twice does no harm: without it no shadow copy is sent. */
  readonly repeatable: boolean
}

export function decide(intent: Intent, head: Head, circumstances: Circumstances): Plan {
  const question = questionOf(intent, head)
  const { strategy, choice } = firstChoice(question)
  const { model } = intent
  const version = model.versions.get(choice.version)
  assert(version !== undefined, `route of ${model.name} names an unknown version ${choice.version}`)
  return {
    version,
    reason: strategy.reason,
    role: choice.role,
    experiment: choice.experiment,
    assigned: assignedOf(question, choice),
    point: choice.point < 0 ? -1 : Math.floor(choice.point * 1e6) / 1e6,
    candidates: candidatesOf(question, choice, circumstances),
    shadows: shadowsOf(intent, choice.version, circumstances),
  }
}

/** Where a sticky key falls for a model and salt; the assignment part of the contract. */
export function assignmentPoint(model: string, salt: string, key: string): number {
  return pointOf(`${model}\u0000${salt}\u0000${key}`)
}

function questionOf(intent: Intent, head: Head): Question {
  return { intent, head, pointOf: (salt) => assignmentPoint(intent.model.name, salt, intent.key.value) }
}

function firstChoice(question: Question): { strategy: Strategy; choice: Choice } {
  for (const strategy of STRATEGIES) {
    const choice = strategy.choose(question)
    if (choice !== null) return { strategy, choice }
  }
  throw new Error('broken invariant: the primary strategy always chooses')
}

const ASSIGNING = STRATEGIES.filter(({ overrides }) => !overrides)

/** What percentages alone would have served: a rule or pin overrides an assignment, it does not undo it. */
function assignedOf(question: Question, choice: Choice): string {
  if (choice.point >= 0) return choice.version
  for (const strategy of ASSIGNING) {
    const assigned = strategy.choose(question)
    if (assigned !== null) return assigned.version
  }
  return choice.version
}

function candidatesOf(
  question: Question,
  choice: Choice,
  { vitals, now }: Circumstances,
): readonly Candidate[] {
  const candidates: Candidate[] = []
  for (const version of question.intent.model.versions.values()) {
    candidates.push({
      version: version.name,
      passed: version.name === choice.version ? 'chosen' : passedOver(version, question),
      breaker: vitals.breakerOf(version, now),
    })
  }
  return candidates
}

function passedOver(version: Version, question: Question): Passed {
  // A version can be named by several; where its keys fell says more than the rule that did not match.
  for (const strategy of [...ASSIGNING, ...STRATEGIES]) {
    const passed = strategy.passedOver(version.name, question)
    if (passed !== null) return passed
  }
  const { model } = question.intent
  if (model.route.shadows.some((shadow) => shadow.version === version.name)) return 'shadow-only'
  return isFallback(version.name, model) ? 'only-on-failure' : 'not-routed'
}

function isFallback(version: string, model: Model): boolean {
  const chains = Object.values(model.onFailure)
  return chains.some((chain) => chain.some((step) => step.do === 'version' && step.version === version))
}

function shadowsOf(intent: Intent, served: string, circumstances: Circumstances): readonly ShadowPlan[] {
  if (intent.operation !== 'infer' && intent.operation !== 'call') return NO_SHADOWS
  const { model } = intent
  if (model.route.shadows.length === 0) return NO_SHADOWS
  return model.route.shadows.map((settings) => {
    const version = model.versions.get(settings.version)
    assert(version !== undefined, `shadow of ${model.name} names an unknown version ${settings.version}`)
    return { version, settings, fate: fateOf(settings, intent, served, circumstances) }
  })
}

const NO_SHADOWS: readonly ShadowPlan[] = []

function fateOf(
  settings: Shadow,
  intent: Intent,
  served: string,
  { chance, repeatable }: Circumstances,
): ShadowPlan['fate'] {
  if (intent.isShadow) return 'is_shadow'
  if (!repeatable) return 'not_idempotent'
  // A copy of the primary to itself (A/A) measures noise; another version that happens to serve does not.
  if (settings.version === served && served !== intent.model.route.primary) return 'served_version'
  return chance.next() * 100 < settings.percent ? 'planned' : 'sampled_out'
}
