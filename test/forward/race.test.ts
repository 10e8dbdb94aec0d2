/** The race of two copies as a machine: every state × event. */
import t from 'tap'
import { ALONE, otherOf, type Race, type RaceEvent, type Runner, step } from '../../src/forward/race.ts'

const RUNNERS: readonly Runner[] = ['first', 'second']
const WHATS = ['good', 'bad', 'failed', 'whole'] as const
const last = (runner: Runner, isOtherKept: boolean): Race => ({ is: 'last', runner, isOtherKept })
const decided = (runner: Runner): Race => ({ is: 'decided', runner })

function nameOf(race: Race): string {
  if (race.is === 'last') return `last ${race.runner}${race.isOtherKept ? ', other kept' : ''}`
  return race.is === 'decided' ? `decided ${race.runner}` : race.is
}

/** For each state: good, bad, failed, whole of the first copy, then of the second; `!` is a bug and throws. */
const TABLE: readonly (readonly [Race, ...string[]])[] = [
  [ALONE, 'decided first', 'decided first', 'over', '!', '!', '!', '!', '!'],
  [
    { is: 'both' },
    ...['decided first', 'last second, other kept', 'last second', '!'],
    ...['decided second', 'last first, other kept', 'last first', '!'],
  ],
  [last('first', false), 'decided first', 'decided first', 'over', '!', '!', '!', '!', '!'],
  [last('second', false), '!', '!', '!', '!', 'decided second', 'decided second', 'over', '!'],
  [
    last('first', true),
    ...['decided first', 'decided first', 'decided second', '!'],
    ...['!', '!', 'last first', 'last first, other kept'],
  ],
  [
    last('second', true),
    ...['!', '!', 'last second', 'last second, other kept'],
    ...['decided second', 'decided second', 'decided first', '!'],
  ],
  [decided('first'), '!', '!', 'over', 'over', '!', '!', '!', '!'],
  [decided('second'), '!', '!', '!', '!', '!', '!', 'over', 'over'],
  [{ is: 'over' }, ...Array<string>(8).fill('over')],
]

t.test('every event of either copy in every state', async (t) => {
  for (const [race, ...row] of TABLE) {
    const events = RUNNERS.flatMap((runner) => WHATS.map((what): RaceEvent => ({ runner, what })))
    for (const [index, event] of events.entries()) {
      const wanted = row[index]!
      const name = `${nameOf(race)} × ${JSON.stringify(event)} → ${wanted}`
      if (wanted === '!') t.throws(() => step(race, event), /broken invariant/, name)
      else t.equal(nameOf(step(race, event)), wanted, name)
    }
  }
})

t.test('a second copy starts beside one that is alone, and a cancel ends every race', async (t) => {
  for (const [race] of TABLE) {
    t.equal(step(race, 'cancelled').is, 'over')
    if (race.is === 'alone') t.equal(step(race, 'second-started').is, 'both')
    else if (race.is === 'over') t.equal(step(race, 'second-started').is, 'over')
    else t.throws(() => step(race, 'second-started'), /broken invariant/, nameOf(race))
  }
  t.strictSame(RUNNERS.map(otherOf), ['second', 'first'])
})
