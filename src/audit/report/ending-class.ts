/** What an ending means for whom it was: the four ways in which a request to a model can have gone. */
import { FAULTS, type FaultCode } from '../../domain/fault.ts'

export type EndingClass = 'answered' | 'degraded' | 'failed' | 'callersDoing'

/** `outcome` is `ok` or a fault's code; a code that is not known (of a later version) counts as a failure. */
export function endingClassOf(outcome: string, degraded: string): EndingClass {
  if (degraded !== '') return 'degraded'
  if (outcome === 'ok') return 'answered'
  return isFault(outcome) && FAULTS[outcome].source === 'client' ? 'callersDoing' : 'failed'
}

export function meaningOf(outcome: string): string {
  if (outcome === 'ok') return 'answered'
  return isFault(outcome) ? FAULTS[outcome].meaning : 'a kind of ending that this version does not know'
}

/** Written at the start after a crash for each request that had been under way. */
export const UNKNOWN_CRASH: FaultCode = 'unknown_crash'

function isFault(code: string): code is FaultCode {
  return Object.hasOwn(FAULTS, code)
}
