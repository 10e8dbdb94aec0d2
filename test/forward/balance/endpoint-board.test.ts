import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { EndpointBoard, type Side } from '../../../src/forward/balance/endpoint-board.ts'
import {
  FAILURES_MAX,
  GOOD_STANDING,
  OUT_MS,
  type Standing,
  type StandingEvent,
  step,
} from '../../../src/forward/balance/outlier.ts'
import type { TrialStart } from '../../support/trial-thread.ts'

const SHAPE = { endpoints: 3, versions: 2, lanes: 2 }
const PLACE = { side: 'serving' as Side, version: 1, endpoint: 2 }
const EVENTS: readonly StandingEvent[] = ['success', 'failure', 'neutral', 'chosen', 'recovered']

t.test('through any board of the memory a standing is what the machine alone would make of it', async (t) => {
  const happening = fc.record({
    event: fc.constantFrom(...EVENTS, 'failure' as const, 'failure' as const),
    afterMs: fc.nat({ max: 20_000 }),
    board: fc.nat({ max: 2 }),
  })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 120 }), (happenings) => {
        const first = new EndpointBoard(SHAPE)
        const boards = [first, new EndpointBoard(SHAPE, first.buffer), new EndpointBoard(SHAPE, first.buffer)]
        let expected: Standing = GOOD_STANDING
        let now = 1
        for (const { event, afterMs, board } of happenings) {
          now += afterMs
          boards[board]!.note(PLACE, event, now)
          expected = step(expected, event, now)
          const seen = boards[(board + 1) % 3]!.standingOf(PLACE)
          if (JSON.stringify(seen) !== JSON.stringify({ ...seen, ...expected })) {
            throw new Error(`${JSON.stringify(seen)} after ${event}, not ${JSON.stringify(expected)}`)
          }
        }
      }),
      { numRuns: 300 },
    ),
  )
})

t.test('a fraction of a millisecond, and a machine that runs for years, fit into a standing', async (t) => {
  const board = new EndpointBoard(SHAPE)
  const years = 20 * 365 * 86_400_000
  for (let failure = 0; failure < FAILURES_MAX; failure += 1) board.note(PLACE, 'failure', years + 0.4)
  t.same(board.standingOf(PLACE), { is: 'out', until: years + OUT_MS, times: 1 })
})

t.test('sides and endpoints are apart, and only what changes a choice counts as a change', async (t) => {
  const board = new EndpointBoard(SHAPE)
  const fail = (times: number) => {
    for (let time = 0; time < times; time += 1) board.note(PLACE, 'failure', 1000)
  }
  fail(FAILURES_MAX - 1)
  t.equal(board.changesOf(1), 0, 'failures that are only counted')
  fail(1)
  t.equal(board.changesOf(1), 1)
  t.equal(board.changesOf(0), 0, 'of another version')
  t.equal(board.note(PLACE, 'failure', 1000), null, 'it is out already')
  t.equal(board.changesOf(1), 1)
  t.same(board.standingOf({ ...PLACE, side: 'shadow' }), GOOD_STANDING)
  t.same(board.standingOf({ ...PLACE, endpoint: 1 }), GOOD_STANDING)
  t.equal(board.healthOf(2), 'unknown')
  board.setHealth(PLACE, 'unhealthy')
  t.same([board.healthOf(2), board.isUnhealthy(2), board.isUnhealthy(1)], ['unhealthy', true, false])
  t.equal(board.changesOf(1), 2)
})

t.test('what lanes have under way adds up, and a lane that comes anew begins with nothing', async (t) => {
  const board = new EndpointBoard(SHAPE)
  t.same(board.loadOf(2), { outstanding: 0, averageMs: null })
  board.takeLoad(0, 2).set([3, 10])
  board.takeLoad(1, 2).set([4, 30])
  t.same(board.loadOf(2), { outstanding: 7, averageMs: 20 })
  t.same(board.loadOf(1), { outstanding: 0, averageMs: null })
  board.takeLoad(1, 2)
  t.same(board.loadOf(2), { outstanding: 3, averageMs: 10 })
})

t.test('of threads that choose at the same time, one gets the trial', async (t) => {
  const shape = { endpoints: 20_000, versions: 1, lanes: 2 }
  const board = new EndpointBoard(shape)
  for (let endpoint = 0; endpoint < shape.endpoints; endpoint += 1) {
    const place = { side: 'serving' as Side, version: 0, endpoint }
    for (let failure = 0; failure < FAILURES_MAX; failure += 1) board.note(place, 'failure', 1)
  }
  const barrier = new SharedArrayBuffer(4)
  new Int32Array(barrier)[0] = 2
  const start: TrialStart = { shape, buffer: board.buffer, barrier, now: 1 + OUT_MS }
  const threads = [0, 1].map(
    () => new Worker(new URL('../../support/trial-thread.js', import.meta.url), { workerData: start }),
  )
  const taken = await Promise.all(
    threads.map(async (thread) => ((await once(thread, 'message')) as [number[]])[0]),
  )
  await Promise.all(threads.map((thread) => thread.terminate()))
  const all = taken.flat()
  t.equal(all.length, shape.endpoints)
  t.equal(new Set(all).size, shape.endpoints, 'none twice')
  t.equal(board.changesOf(0), 2 * shape.endpoints)
})
