/** Names and their addresses over time: asked when needed, asked again, kept while nobody answers. */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import {
  ADDRESSES_MAX,
  type Ask,
  type NameEvent,
  RESOLVE_AGAIN_MS,
  RESOLVE_EVERY_MS,
  Resolver,
} from '../../src/forward/resolver.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** A resolver whose questions wait until the test answers them. */
function scripted() {
  const clock = new ManualClock()
  const asked: string[] = []
  const answers: Parameters<Ask>[1][] = []
  const events: NameEvent[] = []
  const ask: Ask = (name, answered) => {
    asked.push(name)
    answers.push(answered)
  }
  const resolver = new Resolver({ clock, ask, onEvent: (event) => events.push(event) })
  const answer = (...addresses: string[]) => answers.shift()!(null, addresses)
  const fail = (words = 'ENOTFOUND') => answers.shift()!(new Error(words), [])
  return { clock, asked, events, resolver, answer, fail }
}

t.test('a name is asked once, and who waits is told when its addresses are there', async (t) => {
  const { clock, asked, resolver, answer } = scripted()
  const name = resolver.nameOf('a.test')
  t.equal(resolver.nameOf('a.test'), name)
  const told: (string | null)[] = []
  name.whenKnown((problem) => told.push(problem), clock.now())
  const leave = name.whenKnown(() => told.push('left'), clock.now())
  name.whenKnown((problem) => told.push(problem), clock.now())
  leave()
  t.strictSame(asked, ['a.test'], 'three who wait are one question')
  answer('10.0.0.1')
  t.strictSame(told, [null, null])
  t.strictSame(name.candidates(), ['10.0.0.1'])
})

t.test('an old answer is used while it is asked again, and a changed one is seen', async (t) => {
  const { clock, asked, resolver, answer } = scripted()
  const name = resolver.nameOf('a.test')
  name.refresh(clock.now())
  answer('10.0.0.1')
  const { generation } = name
  clock.advance(RESOLVE_EVERY_MS - 1)
  name.refresh(clock.now())
  t.equal(asked.length, 1, 'not before its time')
  clock.advance(1)
  name.refresh(clock.now())
  name.refresh(clock.now())
  t.equal(asked.length, 2, 'and then once')
  t.strictSame(name.candidates(), ['10.0.0.1'], 'known addresses wait for nobody')
  answer('10.0.0.1')
  t.equal(name.generation, generation, 'the same answer changes nothing')
  clock.advance(RESOLVE_EVERY_MS)
  name.refresh(clock.now())
  answer('10.0.0.2', '10.0.0.3')
  t.equal(name.generation, generation + 1)
  t.notOk(name.has('10.0.0.1'))
  t.ok(name.has('10.0.0.3'))
})

t.test('the last good answer is kept while asking fails, and it is told once', async (t) => {
  const { clock, asked, events, resolver, answer, fail } = scripted()
  const name = resolver.nameOf('a.test')
  name.refresh(clock.now())
  answer('10.0.0.1')
  clock.advance(RESOLVE_EVERY_MS)
  name.refresh(clock.now())
  fail('EAI_AGAIN')
  t.strictSame(name.candidates(), ['10.0.0.1'])
  name.refresh(clock.now())
  t.equal(asked.length, 2, 'not at once again')
  clock.advance(RESOLVE_AGAIN_MS)
  name.refresh(clock.now())
  fail('EAI_AGAIN')
  t.equal(name.failures, 2)
  t.strictSame(events, [{ name: 'a.test', problem: 'EAI_AGAIN', isKept: true }])
  clock.advance(RESOLVE_AGAIN_MS)
  name.refresh(clock.now())
  answer('10.0.0.1')
  t.equal(name.failures, 0)
  t.strictSame(events[1], { name: 'a.test', problem: null, isKept: true })
})

t.test('a name without any address fails those who wait, soon also those who come next', async (t) => {
  const { clock, asked, resolver, answer, fail } = scripted()
  const name = resolver.nameOf('nowhere.test')
  const told: (string | null)[] = []
  name.whenKnown((problem) => told.push(problem), clock.now())
  fail('getaddrinfo ENOTFOUND nowhere.test')
  t.strictSame(told, ['getaddrinfo ENOTFOUND nowhere.test'])
  name.whenKnown((problem) => told.push(problem), clock.now())
  t.equal(told.length, 1, 'never inside the call')
  await delay(0)
  t.equal(told.length, 2)
  t.equal(asked.length, 1, 'the question is not repeated for each request')
  clock.advance(RESOLVE_AGAIN_MS)
  name.whenKnown((problem) => told.push(problem), clock.now())
  answer()
  t.equal(told[2], 'nowhere.test has no addresses', 'an empty answer is none')
})

t.test('addresses are used in turn, those that failed behind the others until the next answer', async (t) => {
  const { clock, resolver, answer } = scripted()
  const name = resolver.nameOf('a.test')
  name.refresh(clock.now())
  answer('1.1.1.1', '2.2.2.2', '3.3.3.3')
  t.strictSame(name.candidates(), ['1.1.1.1', '2.2.2.2', '3.3.3.3'])
  t.strictSame(name.candidates(), ['2.2.2.2', '3.3.3.3', '1.1.1.1'])
  name.failed('3.3.3.3')
  t.strictSame(name.candidates(), ['1.1.1.1', '2.2.2.2', '3.3.3.3'])
  t.strictSame(name.candidates(), ['1.1.1.1', '2.2.2.2', '3.3.3.3'])
  name.worked('3.3.3.3')
  t.strictSame(name.candidates(), ['2.2.2.2', '3.3.3.3', '1.1.1.1'])
})

t.test('an address stands for itself and is never asked for', async (t) => {
  const { clock, asked, resolver } = scripted()
  for (const address of ['127.0.0.1', '::1']) {
    const name = resolver.nameOf(address)
    name.refresh(clock.now())
    name.failed(address)
    t.strictSame(name.candidates(), [address])
  }
  t.strictSame(asked, [])
})

t.test('a name has a bounded number of addresses', async (t) => {
  const { clock, resolver, answer } = scripted()
  const name = resolver.nameOf('many.test')
  name.refresh(clock.now())
  answer(...Array.from({ length: 200 }, (_, index) => `10.0.0.${index}`))
  t.equal(name.candidates().length, ADDRESSES_MAX)
})

t.test('the system is asked like every other program asks it', async (t) => {
  const resolver = new Resolver({ clock: new ManualClock() })
  const name = resolver.nameOf('localhost')
  t.equal(await new Promise((resolve) => name.whenKnown(resolve, 0)), null)
  t.ok(name.candidates().some((address) => address === '127.0.0.1' || address === '::1'))
})

t.test('whoever wants addresses is told those that are known, or that come, or why none does', async (t) => {
  const { clock, asked, resolver, answer, fail } = scripted()
  const told: unknown[] = []
  const want = () =>
    resolver.addressesOf('a.test', (problem, addresses) => told.push([problem, ...addresses]))
  want()
  t.strictSame(told, [], 'not before it was answered')
  fail('ENOTFOUND a.test')
  t.strictSame(told, [['ENOTFOUND a.test']])
  clock.advance(RESOLVE_AGAIN_MS)
  want()
  answer('10.0.0.1')
  want()
  clock.advance(RESOLVE_EVERY_MS)
  want()
  fail()
  t.strictSame(
    told.slice(1),
    [
      [null, '10.0.0.1'],
      [null, '10.0.0.1'],
      [null, '10.0.0.1'],
    ],
    'the last stay in use',
  )
  t.equal(asked.length, 3)
})
