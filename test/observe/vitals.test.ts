/** Vitals and limiter as the pipeline uses them: tickets, dry-run, announcements, places and queues. */
import fc from 'fast-check'
import t from 'tap'
import type { Model, Version } from '../../src/domain/routes.ts'
import type { LaneAnnouncement } from '../../src/observe/announcements.ts'
import { Limiter } from '../../src/observe/limiter.ts'
import { CHANGES_KEPT, Vitals } from '../../src/observe/vitals.ts'
import { VitalsSlab } from '../../src/observe/vitals-slab.ts'
import { LoadedChance } from '../support/loaded-chance.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeSnapshot } from './make-snapshot.ts'

function makeVitals(enforce = true) {
  const clock = new ManualClock()
  const announced: LaneAnnouncement[] = []
  const snapshot = makeSnapshot({ enforce, probes: 2 })
  const vitals = new Vitals({
    snapshot,
    clock,
    chance: new LoadedChance(0.5),
    announce: (announcement) => announced.push(announcement),
  })
  const version = snapshot.versions[0]!
  const fail = (): void => {
    for (let time = 0; time < 5; time += 1) end(vitals, version, 'failure', clock)
  }
  return { clock, announced, vitals, version, fail }
}

function end(
  vitals: Vitals,
  version: Version,
  verdict: 'success' | 'failure' | 'neutral',
  clock: ManualClock,
) {
  const ticket = vitals.admit(version, clock.now())
  if (ticket !== null) vitals.settle(ticket, verdict, 5, clock.now())
  return ticket !== null
}

t.test('five failures close the door of that version only; probes open it again', async (t) => {
  const { clock, vitals, version, fail } = makeVitals()
  const other = makeSnapshot().versions[1]!
  fail()
  t.equal(vitals.admit(version, clock.now()), null)
  t.ok(vitals.admit(other, clock.now()), 'the other version is served')
  t.equal(vitals.retryAfterMs(version, clock.now()), 1000)
  t.equal(vitals.view.breakerOf(version, clock.now()), 'open')
  clock.advance(400)
  t.equal(vitals.retryAfterMs(version, clock.now()), 600)
  clock.advance(600)
  t.equal(vitals.view.breakerOf(version, clock.now()), 'half-open')
  const first = vitals.admit(version, clock.now())!
  const second = vitals.admit(version, clock.now())!
  t.equal(vitals.admit(version, clock.now()), null, 'two probes, no third')
  t.ok(vitals.retryAfterMs(version, clock.now()) > 0)
  vitals.settle(first, 'neutral', 5, clock.now())
  const third = vitals.admit(version, clock.now())!
  t.ok(third, 'a neutral probe gave its slot back')
  vitals.settle(second, 'success', 5, clock.now())
  vitals.settle(third, 'success', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'closed')
  t.equal(vitals.retryAfterMs(version, clock.now()), 0)
})

t.test('results of requests let in before a change say nothing about the state after it', async (t) => {
  const { clock, vitals, version, fail } = makeVitals()
  const late = Array.from({ length: 10 }, () => vitals.admit(version, clock.now())!)
  fail()
  vitals.settle(late[0]!, 'success', 5, clock.now())
  vitals.settle(late[1]!, 'failure', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'open')
  clock.advance(1000)
  const probes = [vitals.admit(version, clock.now())!, vitals.admit(version, clock.now())!]
  vitals.settle(late[2]!, 'failure', 5, clock.now())
  vitals.settle(late[3]!, 'success', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'half-open')
  for (const probe of probes) vitals.settle(probe, 'success', 5, clock.now())
  for (const ticket of late.slice(4)) vitals.settle(ticket, 'failure', 5, clock.now())
  t.equal(vitals.view.breakerOf(version, clock.now()), 'closed')
})

t.test('in dry-run every transition is computed and told, and everything passes', async (t) => {
  const { clock, vitals, version, fail } = makeVitals(false)
  fail()
  t.equal(vitals.view.breakerOf(version, clock.now()), 'open')
  t.ok(end(vitals, version, 'success', clock), 'open, and yet it passes')
  clock.advance(1000)
  for (let time = 0; time < 8; time += 1)
    t.ok(vitals.admit(version, clock.now()), 'more than there are probes')
  t.equal(vitals.view.breakerOf(version, clock.now()), 'half-open')
  t.same(
    vitals.changes.map(({ from, to, enforced }) => [from, to, enforced]),
    [
      ['closed', 'open', false],
      ['open', 'half-open', false],
    ],
  )
})

t.test('a change is announced with its reason, and the latest are kept', async (t) => {
  const { clock, announced, vitals, version, fail } = makeVitals()
  fail()
  t.same(announced[0], { kind: 'slab', buffer: vitals.slab.buffer }, 'the slab is announced first')
  t.same(announced[1], {
    kind: 'breaker',
    change: {
      model: 'fraud',
      version: 'v1',
      from: 'closed',
      to: 'open',
      why: '5 requests failed in a row (limit 5); open for 1 s',
      at: clock.wall(),
      enforced: true,
      epoch: 1,
    },
  })
  for (let round = 0; round < CHANGES_KEPT; round += 1) {
    clock.advance(100_000)
    end(vitals, version, 'failure', clock)
  }
  t.equal(vitals.changes.length, CHANGES_KEPT)
  t.equal(vitals.changes.at(-1)?.at, clock.wall())
})

t.test('a ticket is settled once', async (t) => {
  const { clock, vitals, version } = makeVitals()
  const ticket = vitals.admit(version, clock.now())!
  vitals.settle(ticket, 'success', 5, clock.now())
  t.throws(() => vitals.settle(ticket, 'success', 5, clock.now()), /settled once/)
})

function makeLimiter(lanes = 1) {
  const snapshot = makeSnapshot()
  const slab = new VitalsSlab(snapshot)
  const words = new Float64Array(slab.buffer)
  const model = snapshot.models.get('fraud')!
  const read = (word: 'running' | 'queued') => words[slab.layout.loadAt(model.index, word)]
  return { model, limiter: new Limiter({ lanes, slab }), read }
}

class Waiting {
  readonly order: string[]
  readonly name: string
  constructor(name: string, order: string[]) {
    this.name = name
    this.order = order
  }
  proceed(): void {
    this.order.push(this.name)
  }
}

t.test('places, then a queue in order of arrival, then no', async (t) => {
  const { model, limiter, read } = makeLimiter()
  const order: string[] = []
  const waiters = ['a', 'b', 'c', 'd', 'e'].map((name) => new Waiting(name, order))
  t.same(
    waiters.map((waiter) => limiter.enter(model, waiter)),
    ['go', 'go', 'queued', 'queued', 'full'],
  )
  t.same([read('running'), read('queued')], [2, 2])
  limiter.leave(model)
  t.same(order, ['c'], 'the first that waited')
  t.same([read('running'), read('queued')], [2, 1])
  limiter.leave(model)
  limiter.leave(model)
  t.same([order, limiter.loadOf(model)], [['c', 'd'], { running: 1, queued: 0 }])
  limiter.leave(model)
  t.throws(() => limiter.leave(model), /given back once/)
})

t.test('who stops waiting is skipped, wherever in the queue it stood', async (t) => {
  const { model, limiter } = makeLimiter()
  const order: string[] = []
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Waiting(name, order)) as [
    Waiting,
    Waiting,
    Waiting,
    Waiting,
  ]
  for (const waiter of [a, b, c, d]) limiter.enter(model, waiter)
  t.equal(limiter.cancel(c), true)
  t.equal(limiter.cancel(c), false, 'only once')
  t.equal(limiter.cancel(a), false, 'a has its place already')
  limiter.leave(model)
  t.same(order, ['d'])
  t.equal(limiter.cancel(d), false, 'd has been called')
})

t.test('each lane has its share of the limits, at least one place', async (t) => {
  const { model, limiter } = makeLimiter(8)
  const order: string[] = []
  const entered = ['a', 'b', 'c'].map((name) => limiter.enter(model, new Waiting(name, order)))
  t.same(entered, ['go', 'queued', 'full'])
})

t.test('a waiter that gives its place back at once does not deepen the stack', async (t) => {
  const { limiter } = makeLimiter()
  const model: Model = { ...makeSnapshot().models.get('fraud')!, limits: { concurrent: 1, queue: 100_000 } }
  let served = 0
  const waiter = () => ({
    proceed(): void {
      served += 1
      limiter.leave(model)
    },
  })
  limiter.enter(model, waiter())
  for (let count = 0; count < 100_000; count += 1) limiter.enter(model, waiter())
  limiter.leave(model)
  t.equal(served, 100_000)
  t.same(limiter.loadOf(model), { running: 0, queued: 0 })
})

t.test('over any course no place is lost, none is given twice, and order is kept', async (t) => {
  const law = () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('enter', 'leave', 'cancel'), fc.nat(9))), (actions) => {
        const { model, limiter } = makeLimiter()
        const order: string[] = []
        let queue: Waiting[] = []
        let running = 0
        for (const [index, [action, which]] of actions.entries()) {
          if (action === 'enter') {
            const waiter = new Waiting(String(index), order)
            const expected = running < 2 ? 'go' : queue.length < 2 ? 'queued' : 'full'
            if (limiter.enter(model, waiter) !== expected) throw new Error(`expected ${expected}`)
            if (expected === 'go') running += 1
            if (expected === 'queued') queue.push(waiter)
          } else if (action === 'leave' && running > 0) {
            const called = order.length
            limiter.leave(model)
            const next = queue.shift()
            if (next === undefined) running -= 1
            else if (order[called] !== next.name || order.length !== called + 1)
              throw new Error('wrong waiter')
          } else if (action === 'cancel' && queue.length > 0) {
            const waiter = queue[which % queue.length]!
            limiter.cancel(waiter)
            queue = queue.filter((one) => one !== waiter)
          }
          const load = limiter.loadOf(model)
          if (load.running !== running || load.queued !== queue.length) throw new Error('lost count')
        }
      }),
      { numRuns: 300 },
    )
  t.doesNotThrow(law)
})
