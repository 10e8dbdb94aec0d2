/** Places, the line for them, and who is told at once that there is no hope; over one lane and over several. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { PATIENCE_MS } from '../../src/observe/global-places.ts'
import { type LimitersSetup, makeLimiters, NamedWaiter, NEVER } from './make-limiters.ts'

function oneLane(t: Test, setup: LimitersSetup) {
  const { clock, model, lanes, pressure } = makeLimiters(t, setup)
  const [{ limiter, places }] = lanes as [(typeof lanes)[number]]
  const called: string[] = []
  const waiter = (name: string) => new NamedWaiter(name, called)
  return {
    clock,
    pressure,
    model,
    limiter,
    places,
    called,
    waiter,
    enter: (name: string, deadlineAt = NEVER) => limiter.enter(model, waiter(name), clock.now(), deadlineAt),
    enterAs: (who: NamedWaiter) => limiter.enter(model, who, clock.now(), NEVER),
    leave: (heldMs = 1) => limiter.leave(model, heldMs, clock.now()),
    load: () => limiter.load(model, clock.now()),
  }
}

t.test('places, then a queue in order of arrival, then no', async (t) => {
  const { enter, leave, load, called } = oneLane(t, { limits: { concurrent: 2, queue: 2 } })
  t.same(
    ['a', 'b', 'c', 'd', 'e'].map((name) => enter(name)),
    ['go', 'go', 'queued', 'queued', 'full'],
  )
  t.match(load(), { limit: 2, running: 2, queued: 2 })
  leave()
  t.same(called, ['c'], 'the first that waited')
  t.match(load(), { running: 2, queued: 1 })
  leave()
  leave()
  t.same(called, ['c', 'd'])
  t.match(load(), { running: 1, queued: 0 })
  leave()
  t.throws(() => leave(), /given back once/)
})

t.test('who stops waiting is skipped, wherever in the queue it stood', async (t) => {
  const { limiter, called, waiter, enterAs, leave } = oneLane(t, { limits: { concurrent: 2, queue: 2 } })
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(waiter) as [
    NamedWaiter,
    NamedWaiter,
    NamedWaiter,
    NamedWaiter,
  ]
  for (const one of [a, b, c, d]) enterAs(one)
  t.equal(limiter.cancel(c), true)
  t.equal(limiter.cancel(c), false, 'only once')
  t.equal(limiter.cancel(a), false, 'a has its place already')
  leave()
  t.same(called, ['d'])
  t.equal(limiter.cancel(d), false, 'd has been called')
})

t.test('a waiter that gives its place back at once does not deepen the stack', async (t) => {
  const { clock, model, lanes } = makeLimiters(t, { limits: { concurrent: 1, queue: 100_000 } })
  const { limiter } = lanes[0]!
  let served = 0
  const waiter = () => ({
    proceed(): void {
      served += 1
      limiter.leave(model, 0, clock.now())
    },
  })
  for (let count = 0; count < 100_001; count += 1) limiter.enter(model, waiter(), clock.now(), NEVER)
  limiter.leave(model, 0, clock.now())
  t.equal(served, 100_000)
  t.match(limiter.load(model, clock.now()), { running: 0, queued: 0 })
})

/** Ten requests that held a place for so long, one after the other. */
function learn({ clock, enter, leave }: ReturnType<typeof oneLane>, heldMs: number): void {
  for (let count = 0; count < 10; count += 1) {
    if (enter('') !== 'go') throw new Error('a place is free')
    clock.advance(heldMs)
    leave(heldMs)
  }
}

t.test('who would wait longer than timeouts.queue is turned away at once', async (t) => {
  const lane = oneLane(t, { limits: { concurrent: 4, queue: 100 }, queueMs: 50 })
  const { enter, load, leave, clock } = lane
  learn(lane, 20)
  for (let count = 0; count < 4; count += 1) t.equal(enter('held'), 'go')
  const told = Array.from({ length: 20 }, () => enter('waits'))
  const waiting = told.filter((word) => word === 'queued').length
  t.same(told, [...Array(waiting).fill('queued'), ...Array(20 - waiting).fill('hopeless')])
  t.equal(waiting, 10, '4 places of 20 ms serve one every 5 ms, and so 10 in 50 ms')
  t.ok(load().waitMs > 50 && load().waitMs < 60, `${load().waitMs}`)
  clock.advance(20)
  leave(20)
  t.equal(enter('waits'), 'hopeless', 'those in line move up with places that come, not with time')
})

t.test('without knowing how long a place is held nobody is turned away for it', async (t) => {
  const { enter } = oneLane(t, { limits: { concurrent: 1, queue: 100 }, queueMs: 1 })
  t.equal(enter('held'), 'go')
  for (let count = 0; count < 100; count += 1) t.equal(enter('waits'), 'queued')
  t.equal(enter('waits'), 'full')
})

t.test('who could not be served before its deadline is turned away at once, others are not', async (t) => {
  const lane = oneLane(t, { limits: { concurrent: 2, queue: 100 }, queueMs: 1000 })
  const { clock, enter } = lane
  learn(lane, 100)
  t.equal(enter('held'), 'go')
  t.equal(enter('held', clock.now() + 50), 'go', 'a free place is given without asking how long it will take')
  t.equal(enter('waits', clock.now() + 120), 'hopeless', '25 ms in line and 100 ms with its place')
  t.equal(enter('waits', clock.now() + 130), 'queued')
  t.equal(enter('waits'), 'queued')
})

t.test('a place is not given to a waiter that can no longer be served in time', async (t) => {
  const lane = oneLane(t, { limits: { concurrent: 1, queue: 100 }, queueMs: 1000 })
  const { clock, enter, enterAs, leave, called, waiter, limiter, model } = lane
  learn(lane, 100)
  enter('held')
  const late = waiter('late')
  t.equal(limiter.enter(model, late, clock.now(), clock.now() + 160), 'queued')
  t.equal(enterAs(waiter('next')), 'queued')
  clock.advance(100)
  leave(100)
  t.same(called, ['next'], 'with 60 ms left what takes 100 is not begun')
  t.equal(limiter.cancel(late), false, 'it is out of the line; its own time tells it')
})

t.test('places that stop coming back shorten the line', async (t) => {
  const lane = oneLane(t, { limits: { concurrent: 8, queue: 1000 }, queueMs: 50 })
  const { clock, enter } = lane
  learn(lane, 20)
  for (let count = 0; count < 8; count += 1) enter('held')
  t.equal(enter('waits'), 'queued')
  clock.advance(2_000)
  t.equal(enter('waits'), 'hopeless', 'nothing came back for 2 s')
})

t.test('what was seen before a long rest is forgotten', async (t) => {
  const lane = oneLane(t, { limits: { concurrent: 1, queue: 10 }, queueMs: 50 })
  learn(lane, 5_000)
  lane.enter('held')
  t.equal(lane.enter('waits'), 'hopeless')
  lane.leave(5_000)
  lane.clock.advance(10_001)
  lane.enter('held')
  t.equal(lane.enter('waits'), 'queued')
})

t.test('a wrong estimate corrects itself, because free places are given without it', async (t) => {
  const lane = oneLane(t, { limits: { concurrent: 1, queue: 10 }, queueMs: 50 })
  const { enter, leave } = lane
  learn(lane, 5_000)
  enter('held')
  t.equal(enter('waits'), 'hopeless')
  leave(5_000)
  learn(lane, 5)
  let rounds = 0
  for (; rounds < 20; rounds += 1) {
    enter('held')
    const told = enter('waits')
    leave(5)
    if (told === 'queued') break
    learn(lane, 5)
  }
  t.ok(rounds < 20, `after ${rounds * 10} quick requests there is hope again`)
})

t.test('under pressure first lines go, then models of low priority, then everybody', async (t) => {
  // What a newcomer is told that finds a place free, and one that does not, at levels 0 to 3.
  const expected = {
    high: ['go queued', 'go queued', 'go queued', 'shed shed'],
    normal: ['go queued', 'go queued', 'go shed', 'shed shed'],
    low: ['go queued', 'go queued', 'shed shed', 'shed shed'],
  }
  for (const priority of ['high', 'normal', 'low'] as const) {
    const told = ([0, 1, 2, 3] as const).map((level) => {
      const { pressure, enter } = oneLane(t, { limits: { concurrent: 2, queue: 2 }, priority })
      enter('held')
      pressure.level = level
      const free = enter('free')
      pressure.level = 0
      if (free !== 'go') enter('held')
      pressure.level = level
      return `${free} ${enter('not free')}`
    })
    t.same(told, expected[priority], priority)
  }
})

t.test('who waits already keeps its place in line under pressure', async (t) => {
  const { pressure, enter, leave, called } = oneLane(t, {
    limits: { concurrent: 1, queue: 2 },
    priority: 'low',
  })
  enter('held')
  enter('waits')
  pressure.level = 3
  leave()
  t.same(called, ['waits'])
})

t.test('over any course no place is lost, none is given twice, and order is kept', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('enter', 'leave', 'cancel'), fc.nat(9))), (actions) => {
      const lane = oneLane(t, { limits: { concurrent: 2, queue: 2 } })
      const { called } = lane
      let queue: NamedWaiter[] = []
      let running = 0
      for (const [index, [action, which]] of actions.entries()) {
        if (action === 'enter') {
          const waiter = new NamedWaiter(String(index), called)
          const expected = running < 2 ? 'go' : queue.length < 2 ? 'queued' : 'full'
          if (lane.enterAs(waiter) !== expected) throw new Error(`expected ${expected}`)
          if (expected === 'go') running += 1
          if (expected === 'queued') queue.push(waiter)
        } else if (action === 'leave' && running > 0) {
          const before = called.length
          lane.leave(0)
          const next = queue.shift()
          if (next === undefined) running -= 1
          else if (called[before] !== next.name || called.length !== before + 1)
            throw new Error('wrong waiter')
        } else if (action === 'cancel' && queue.length > 0) {
          const waiter = queue[which % queue.length]!
          lane.limiter.cancel(waiter)
          queue = queue.filter((one) => one !== waiter)
        }
        const load = lane.load()
        if (load.running !== running || load.queued !== queue.length) throw new Error('lost count')
      }
    }),
    { numRuns: 300 },
  )
})

function manyLanes(t: Test, lanes: number, limits: LimitersSetup['limits'], queueMs = 1000) {
  const made = makeLimiters(t, { limits, lanes, queueMs })
  const { clock, model } = made
  const called: string[] = []
  return {
    ...made,
    called,
    enter: (lane: number, name = `${lane}`) =>
      made.lanes[lane]!.limiter.enter(model, new NamedWaiter(name, called), clock.now(), NEVER),
    leave: (lane: number) => made.lanes[lane]!.limiter.leave(model, 1, clock.now()),
    /** A tick of each lane's sweep. */
    tick: (ms = 10) => {
      clock.advance(ms)
      for (const { sweep } of made.lanes) sweep.run()
    },
  }
}

t.test('limits hold over all lanes, not for each', async (t) => {
  const { enter } = manyLanes(t, 4, { concurrent: 3, queue: 2 })
  t.same(
    [0, 0, 0, 1].map((lane) => enter(lane)),
    ['go', 'go', 'go', 'queued'],
    'one lane may have them all',
  )
  t.same(
    [2, 3, 0].map((lane) => enter(lane)),
    ['queued', 'full', 'full'],
  )
})

t.test('what one lane frees another takes with its next tick', async (t) => {
  const { enter, leave, tick, called } = manyLanes(t, 2, { concurrent: 1, queue: 8 })
  enter(0)
  t.equal(enter(1, 'other'), 'queued')
  leave(0)
  t.same(called, [])
  tick()
  t.same(called, ['other'])
})

t.test('no lane is starved by one that has a line of its own', async (t) => {
  const { enter, leave, tick, called, clock } = manyLanes(t, 2, { concurrent: 1, queue: 100 })
  enter(0, 'first')
  enter(1, 'other')
  clock.advance(PATIENCE_MS + 1)
  enter(0, 'own')
  leave(0)
  t.same(called, [], 'the older head of the other lane comes first')
  tick()
  t.same(called, ['other'])
  t.equal(enter(0, 'late'), 'queued')
  leave(1)
  tick(0)
  t.same(called, ['other', 'own'])
})

t.test('within the patience a lane serves its own line, without waiting for a tick of another', async (t) => {
  const { enter, leave, called } = manyLanes(t, 2, { concurrent: 1, queue: 100 })
  enter(0, 'first')
  enter(1, 'other')
  enter(0, 'own')
  leave(0)
  t.same(called, ['own'])
})

t.test('newcomers do not overtake another lane’s line', async (t) => {
  const { enter, leave, tick, called, clock } = manyLanes(t, 2, { concurrent: 1, queue: 100 })
  enter(0, 'first')
  enter(1, 'other')
  clock.advance(PATIENCE_MS + 1)
  leave(0)
  t.equal(enter(0, 'new'), 'queued')
  tick(0)
  t.same(called, ['other'])
})

t.test('nobody is held back for a lane that no longer looks', async (t) => {
  const { enter, leave, clock, called } = manyLanes(t, 2, { concurrent: 1, queue: 100 })
  enter(0, 'first')
  enter(1, 'other')
  clock.advance(500)
  enter(0, 'own')
  leave(0)
  t.same(called, ['own'])
})

t.test('what an ended lane held and waited for is given back', async (t) => {
  const { enter, lanes, called, model, clock } = manyLanes(t, 2, { concurrent: 2, queue: 2 })
  t.same(
    [1, 1, 1, 0].map((lane) => enter(lane)),
    ['go', 'go', 'queued', 'queued'],
  )
  lanes[0]!.places.reclaim(1)
  t.match(lanes[0]!.limiter.load(model, clock.now()), { running: 0, queued: 1 })
  clock.advance(10)
  lanes[0]!.sweep.run()
  t.same(called, ['0'])
  t.equal(lanes[0]!.places.own(0), 1)
})

t.test(
  'over any course of several lanes the limits hold and everybody gets its place in the end',
  async (t) => {
    const step = fc.tuple(fc.constantFrom('enter', 'leave', 'tick', 'pass'), fc.nat(2))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { enter, leave, tick, called, clock, lanes, model } = manyLanes(
          t,
          3,
          { concurrent: 2, queue: 5 },
          1e6,
        )
        const held = [0, 0, 0]
        let queued = 0
        let seen = 0
        const account = () => {
          for (; seen < called.length; seen += 1) {
            held[Number(called[seen]![0])]! += 1
            queued -= 1
          }
        }
        for (const [action, lane] of steps) {
          if (action === 'enter') {
            const told = enter(lane)
            account()
            if (told === 'go') held[lane]! += 1
            if (told === 'queued') queued += 1
          } else if (action === 'leave' && held[lane]! > 0) {
            held[lane]! -= 1
            leave(lane)
          } else if (action === 'tick') tick()
          else if (action === 'pass') clock.advance(4)
          account()
          const running = held[0]! + held[1]! + held[2]!
          const load = lanes[0]!.limiter.load(model, clock.now())
          if (running > 2 || queued > 5) throw new Error(`${running} running, ${queued} queued`)
          if (load.running !== running || load.queued !== queued) throw new Error('lost count')
        }
        for (let round = 0; round < 40; round += 1) {
          tick()
          account()
          const lane = held.findIndex((count) => count > 0)
          if (lane === -1) break
          held[lane]! -= 1
          leave(lane)
          account()
        }
        if (queued !== 0) throw new Error(`${queued} still wait although places are free`)
      }),
      { numRuns: 300 },
    )
  },
)
