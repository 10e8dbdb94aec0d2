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
import type { Settings, SettingsForm, SettingsOf } from '../../domain/settings.ts'

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
  /** Word in `modelgate-reason`, in records and metrics; also the key of its own table under `[models.X.route]`. */
  readonly reason: Reason
  /** Overrides what percentages assigned (rules, pins) instead of assigning; the plan keeps both. */
  readonly overrides: boolean
  /** Its own table; null when it reads keys of the route that have a place of their own there. */
  readonly form: SettingsForm | null
  choose(question: Question): Choice | null
  /** Why `version` was not taken by this strategy; null when it has nothing to do with that version. */
  passedOver(version: string, question: Question): Passed | null
}

interface OwnStrategy<F extends SettingsForm> {
  readonly reason: Reason
  readonly form: F
  choose(settings: SettingsOf<F>, question: Question): Choice | null
  passedOver(version: string, settings: SettingsOf<F>, question: Question): Passed | null
}

/**
 * A strategy with a table of its own, `[models.X.route.<reason>]`. Its functions are called only where
 * that table is written, with the settings checked and defaults filled in.
 */
export function ownStrategy<const F extends SettingsForm>({
  reason,
  form,
  choose,
  passedOver,
}: OwnStrategy<F>): Strategy {
  const settingsOf = (question: Question): SettingsOf<F> | undefined => {
    const settings: Settings | undefined = question.intent.model.route.own.get(reason)
    return settings as SettingsOf<F> | undefined
  }
  return {
    reason,
    overrides: false,
    form,
    choose(question) {
      const settings = settingsOf(question)
      return settings === undefined ? null : choose(settings, question)
    },
    passedOver(version, question) {
      const settings = settingsOf(question)
      return settings === undefined ? null : passedOver(version, settings, question)
    },
  }
}
