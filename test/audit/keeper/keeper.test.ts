import t from 'tap'
import { FAILED_REST_MS, Keeper } from '../../../src/audit/keeper/keeper.ts'
import { ManualClock } from '../../support/manual-clock.ts'

t.test('each job has its step in turn, until none has more to do', async (t) => {
  const steps: string[] = []
  const job = (name: string, count: number) => {
    let left = count
    return {
      name,
      step: () => {
        steps.push(name)
        left -= 1
        return left > 0
      },
    }
  }
  const keeper = new Keeper([job('a', 2), job('b', 1)], new ManualClock(), t.fail)
  t.equal(await keeper.round(), true)
  t.equal(await keeper.round(), false)
  t.strictSame(steps, ['a', 'b', 'a', 'b'])
})

t.test('a job that fails is told about once and rests, and the others go on', async (t) => {
  const clock = new ManualClock()
  const told: string[] = []
  let fails = true
  let others = 0
  const failing = {
    name: 'sealing',
    step: async () => {
      if (fails) throw new Error('no space')
      return false
    },
  }
  const other = {
    name: 'indexing',
    step: () => {
      others += 1
      return false
    },
  }
  const keeper = new Keeper([failing, other], clock, (words) => told.push(words))
  for (let round = 0; round < 3; round += 1) {
    await keeper.round()
    clock.advance(FAILED_REST_MS)
  }
  t.equal(others, 3)
  fails = false
  await keeper.round()
  t.strictSame(told, ['sealing of the log failed and is tried again: no space', 'sealing of the log goes on'])
})
