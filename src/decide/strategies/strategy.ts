/**
 * One way of choosing the version that serves. Strategies are asked in the order of the list in
 * index.ts; the first that chooses wins, so precedence is that order and nothing else.
 *
 * Deterministic: same question, same answer, on every lane, node and restart. A strategy never looks at
 * health or load: what happens when its choice cannot serve is the model's declared consequence.
 */
import type { Head } from '../../domain/head.ts'
import type { Intent } from '../../domain/intent.ts'
import type { Passed, Plan, Reason } from '../../domain/plan.ts'

export interface Question {
  readonly intent: Intent
  readonly head: Head
  /** Where the sticky key falls in [0, 1) for a salt: same key and salt, same point, everywhere. */
  pointOf(salt: string): number
}

export interface Choice {
  readonly version: string
  readonly role: Plan['role']
  /** Name of the experiment, or empty. */
  readonly experiment: string
  /** Where the key fell; -1 when no percentage was asked. */
  readonly point: number
}

export interface Strategy {
  readonly reason: Exclude<Reason, 'fallback'>
  choose(question: Question): Choice | null
  /** Why `version` was not taken by this strategy; null when it has nothing to do with that version. */
  passedOver(version: string, question: Question): Passed | null
}
