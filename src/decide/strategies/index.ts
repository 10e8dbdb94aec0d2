/**
 * The strategies in order of precedence: rules → pin → experiment → canary → primary. Adding one is a
 * file beside these and its place in this list; laws every strategy obeys are run over the list by
 * test/contracts/strategies.test.ts.
 */
import { canary } from './canary.ts'
import { experiment } from './experiment.ts'
import { pin } from './pin.ts'
import { primary } from './primary.ts'
import { rules } from './rules.ts'
import type { Strategy } from './strategy.ts'

export const STRATEGIES: readonly Strategy[] = [rules, pin, experiment, canary, primary]
