/**
 * Which of two copies of a request counts, as a machine: no time, no bytes. The first that brings a good answer does. One
 * that brings a bad one (5xx, 429) or fails does not end the race while the other is still running: the other decides; and
 * only if that one fails altogether, the bad answer is still better than none.
 *
 * Until there is a second copy, everything the first one does counts, as without a race. Every state × event:
 * test/forward/race.test.ts.
 */
import { assert } from '../kernel/assert.ts'

export type Runner = 'first' | 'second'

export type Race =
  | { readonly is: 'alone' }
  /** Neither has brought anything. */
  | { readonly is: 'both' }
  /** The other one failed, or (`isOtherKept`) brought something bad, which is kept. */
  | { readonly is: 'last'; readonly runner: Runner; readonly isOtherKept: boolean }
  /** Its answer goes to the receiver. */
  | { readonly is: 'decided'; readonly runner: Runner }
  | { readonly is: 'over' }

/** `good`, `bad`: an answer begins, once for each runner · `failed`: no answer, or no more of it · `whole`: all of it came. */
export type RaceEvent =
  | { readonly runner: Runner; readonly what: 'good' | 'bad' | 'failed' | 'whole' }
  | 'second-started'
  | 'cancelled'

export const ALONE: Race = { is: 'alone' }
const BOTH: Race = { is: 'both' }
const OVER: Race = { is: 'over' }

export function step(race: Race, event: RaceEvent): Race {
  if (race.is === 'over' || event === 'cancelled') return OVER
  if (event === 'second-started') {
    assert(race.is === 'alone', `a second copy in a race that is ${race.is}`)
    return BOTH
  }
  const { runner, what } = event
  switch (race.is) {
    case 'alone':
      assert(runner === 'first' && what !== 'whole', `${what} of the ${runner} copy, which is alone`)
      return what === 'failed' ? OVER : { is: 'decided', runner }
    case 'both':
      assert(what !== 'whole', 'an answer ends that never began')
      if (what === 'good') return { is: 'decided', runner }
      return { is: 'last', runner: otherOf(runner), isOtherKept: what === 'bad' }
    case 'last':
      return runner === race.runner ? lastStep(race, what) : keptStep(race, what)
    case 'decided':
      assert(runner === race.runner && (what === 'failed' || what === 'whole'), `${what} after the decision`)
      return OVER
  }
}

export function otherOf(runner: Runner): Runner {
  return runner === 'first' ? 'second' : 'first'
}

type Last = Extract<Race, { is: 'last' }>
type What = Exclude<RaceEvent, string>['what']

function lastStep({ runner, isOtherKept }: Last, what: What): Race {
  assert(what !== 'whole', 'an answer ends that never began')
  if (what !== 'failed') return { is: 'decided', runner }
  return isOtherKept ? { is: 'decided', runner: otherOf(runner) } : OVER
}

function keptStep(race: Last, what: What): Race {
  assert(race.isOtherKept && (what === 'failed' || what === 'whole'), `${what} of a copy that was out`)
  return what === 'whole' ? race : { is: 'last', runner: race.runner, isOtherKept: false }
}
