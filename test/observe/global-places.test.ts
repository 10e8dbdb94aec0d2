/** Places counted by real threads at once: none too many, none lost, not even those of a thread that was ended. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { ABSENT_MS, GlobalPlaces, makePlaces, PATIENCE_MS } from '../../src/observe/global-places.ts'
import type { PlacesWork } from './places-thread.ts'

const start = (work: PlacesWork) =>
  new Worker(new URL('./places-thread.js', import.meta.url), { workerData: work })

t.test('threads that take places at once never hold more than there are, and lose none', async (t) => {
  const lanes = 3
  const memory = makePlaces([2], lanes)
  const threads = [0, 1, 2].map((lane) => start({ memory, lanes, lane, rounds: 200_000, hold: 0 }))
  const told = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0]))
  for (const { most, took } of told) {
    t.equal(took, 200_000)
    t.ok(most >= 1 && most <= 2, `${most} at once`)
  }
  const reader = new GlobalPlaces(memory, { models: 1, lanes }, 0)
  t.same([reader.running(0), reader.queued(0)], [0, 0])
})

t.test('what a killed thread held is given back, and nobody is held back for its line', async (t) => {
  const lanes = 2
  const memory = makePlaces([4], lanes)
  const own = new GlobalPlaces(memory, { models: 1, lanes }, 0)
  const thread = start({ memory, lanes, lane: 1, rounds: 10, hold: 4 })
  const [{ now }] = await once(thread, 'message')
  t.ok(Math.abs(performance.now() - now) < 5_000, 'threads read the same monotonic clock')
  t.same([own.running(0), own.queued(0), own.take(0)], [4, 4, false])
  await thread.terminate()
  own.reclaim(1)
  t.same([own.running(0), own.queued(0)], [0, 0])
  t.equal(own.isOthers(0, now + 1000, now + 1000), false)
  t.equal(own.take(0), true)
  own.giveBack(0)
  own.reclaim(1)
  t.same([own.running(0), own.queued(0)], [0, 0], 'reclaiming twice changes nothing')
})

t.test('a limit that shrinks takes no place away, and lets nobody in until enough came back', async (t) => {
  const memory = makePlaces([3], 1)
  const places = new GlobalPlaces(memory, { models: 1, lanes: 1 }, 0)
  for (let count = 0; count < 3; count += 1) t.ok(places.take(0))
  places.setLimit(0, 2)
  places.giveBack(0)
  t.notOk(places.take(0))
  places.giveBack(0)
  t.ok(places.take(0))
  t.throws(() => {
    for (let count = 0; count < 3; count += 1) places.giveBack(0)
  }, /given back once/)
})

t.test('places of one model are not those of another', async (t) => {
  const memory = makePlaces([1, 2], 2)
  const [one, two] = [0, 1].map((lane) => new GlobalPlaces(memory, { models: 2, lanes: 2 }, lane))
  t.same(
    [one!.take(0), two!.take(0), two!.take(1), one!.take(1), one!.take(1)],
    [true, false, true, true, false],
  )
  t.same([one!.own(1), two!.own(1), one!.running(1)], [1, 1, 2])
  one!.reclaim(1)
  t.same([one!.running(0), one!.running(1)], [1, 1])
})

t.test('a free place is another’s only while its head is older and its lane looks', async (t) => {
  const memory = makePlaces([1], 2)
  const [own, other] = [0, 1].map((lane) => new GlobalPlaces(memory, { models: 1, lanes: 2 }, lane))
  const since = 1_000
  t.notOk(own!.isOthers(0, since + 60_000, since), 'nobody waits')
  other!.lineUp(0, 8)
  other!.setHead(0, since)
  other!.look(since)
  t.notOk(own!.isOthers(0, since + PATIENCE_MS, since + PATIENCE_MS))
  t.ok(own!.isOthers(0, since + PATIENCE_MS + 1, since + PATIENCE_MS + 1))
  t.ok(own!.isOthers(0, since + ABSENT_MS, since + ABSENT_MS))
  t.notOk(own!.isOthers(0, since + ABSENT_MS + 1, since + ABSENT_MS + 1), 'it has not looked for too long')
  other!.look(since + ABSENT_MS)
  t.ok(own!.isOthers(0, since + ABSENT_MS + 1, since + ABSENT_MS + 1))
  t.notOk(other!.isOthers(0, since, since + ABSENT_MS + 1), 'its own line is older')
})
