/** What comes in one turn of the loop is asked at its end, behind what has to be on the disk before. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { ASKED_TOGETHER_MAX, AsksOfTurn } from '../../src/passage/asks-of-turn.ts'

const unexpected = (error: unknown) => t.fail(`a bug: ${error}`)

function watched() {
  const told: string[] = []
  const asks = new AsksOfTurn(() => told.push('noted'), unexpected)
  const add = (name: string) => asks.add({ ask: () => told.push(name) })
  return { told, add }
}

t.test('all of a turn are asked at its end, in their order, once what was noted is written', async (t) => {
  const { told, add } = watched()
  add('first')
  add('second')
  t.strictSame(told, [], 'not within the turn')
  await turn()
  t.strictSame(told, ['noted', 'first', 'second'])
  add('third')
  await turn()
  t.strictSame(told, ['noted', 'first', 'second', 'noted', 'third'])
})

t.test('of a full turn the first do not wait for the rest', async (t) => {
  const { told, add } = watched()
  const names = Array.from({ length: ASKED_TOGETHER_MAX }, (_, index) => `${index}`)
  for (const name of names) add(name)
  t.strictSame(told, ['noted', ...names])
  add('last')
  t.equal(told.length, 1 + names.length)
  await turn()
  t.strictSame(told.slice(1 + names.length), ['noted', 'last'])
  await turn()
  t.equal(told.length, names.length + 3, 'nobody is asked twice')
})

t.test('who is added while others ask is asked by the end of the next turn', async (t) => {
  const told: string[] = []
  const asks = new AsksOfTurn(() => {}, unexpected)
  asks.add({
    ask: () => {
      told.push('first')
      asks.add({ ask: () => told.push('its child') })
    },
  })
  await turn()
  await turn()
  t.strictSame(told, ['first', 'its child'])
})

t.test('one request’s bug keeps no other of its turn from its version', async (t) => {
  const told: unknown[] = []
  const asks = new AsksOfTurn(
    () => {},
    (error) => told.push(error),
  )
  const bug = new Error('a bug')
  asks.add({
    ask: () => {
      throw bug
    },
  })
  asks.add({ ask: () => told.push('second') })
  await turn()
  t.strictSame(told, [bug, 'second'])
})
