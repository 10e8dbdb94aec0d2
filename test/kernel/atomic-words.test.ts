/** Words that threads share, and the places in them that each thread has. */
import fc from 'fast-check'
import t from 'tap'
import { AtomicWords, loadNumber, storeNumber } from '../../src/kernel/atomic-words.ts'
import { nextSeat, seatsOf } from '../../src/kernel/lane-seats.ts'

t.test('a word is changed only by who knows what it is', async (t) => {
  const memory = new SharedArrayBuffer(8)
  const [one, other] = [new AtomicWords(memory), new AtomicWords(memory)]
  one.store(1, 5)
  t.equal(other.swap(1, 4, 6), false)
  t.equal(other.load(1), 5)
  t.equal(other.swap(1, 5, -6), true)
  t.equal(one.load(1), -6, 'the other sees it')
  t.equal(one.load(0), 0, 'and nothing beside it has changed')
})

t.test('any number of two words is read as it was written', async (t) => {
  const words = new AtomicWords(new SharedArrayBuffer(16))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        storeNumber(words, 1, value)
        return Object.is(loadNumber(words, 1), value)
      }),
    ),
  )
})

t.test('the threads of a lane take its two seats in turn, and no lane takes another’s', async (t) => {
  for (const lanes of [1, 2, 7]) {
    const seats = Array.from({ length: lanes }, (_, lane) => [lane, nextSeat(lane, lanes)]).flat()
    t.equal(new Set(seats).size, seatsOf(lanes))
    t.ok(seats.every((seat) => seat >= 0 && seat < seatsOf(lanes)))
    for (const seat of seats) t.equal(nextSeat(nextSeat(seat, lanes), lanes), seat)
  }
})
