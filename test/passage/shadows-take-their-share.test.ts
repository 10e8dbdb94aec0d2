import t from 'tap'
import type { AttemptResult } from '../../src/domain/outcome.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { PacedAnswer } from '../../src/passage/paced-answer.ts'
import { ShadowBodies } from '../../src/passage/shadow-bodies.ts'
import {
  LOSSES_BURST,
  LOSSES_PER_SECOND,
  OPENED_LOSS,
  ShadowLosses,
} from '../../src/passage/shadow-losses.ts'
import {
  ANSWER_COST_MAX,
  COST_BURST,
  COST_PER_SECOND,
  FREE_BYTES,
  PIECE_COST,
  READ_COST,
  ShadowPace,
} from '../../src/passage/shadow-pace.ts'
import { ManualClock } from '../support/manual-clock.ts'

const MIB = 1024 * 1024
const TICK_MS = 10

function stage() {
  const clock = new ManualClock()
  const sweep = new Sweep(clock)
  return { clock, sweep, pace: new ShadowPace(clock, sweep) }
}

const ENDED: AttemptResult = {
  endpoint: '',
  phases: { queueMs: 0, connectMs: 0, firstByteMs: 0, totalMs: 0 },
  reused: true,
  answer: null,
  fault: null,
}

function reading(pace: ShadowPace, bodyBytesMax = MIB) {
  const told: AttemptResult[] = []
  let resumed = 0
  const answer = new PacedAnswer((result) => told.push(result), bodyBytesMax, pace)
  const resume = (): void => {
    resumed += 1
  }
  answer.progress = { cancel: () => {}, soFar: () => ENDED, resume }
  answer.head({ status: 200, headers: [], bodyBytes: -1 })
  return { answer, told, resumed: () => resumed }
}

t.test('an answer of the usual size is read at once, however many there are', async (t) => {
  const { pace, sweep } = stage()
  let waits = 0
  for (let round = 0; round < 500; round += 1) {
    const { answer, told } = reading(pace)
    if (!answer.body(Buffer.alloc(FREE_BYTES - PIECE_COST, 7))) waits += 1
    answer.done(ENDED)
    if (told[0]?.answer?.body.length !== FREE_BYTES - PIECE_COST) t.fail('not whole')
  }
  t.equal(waits, 0)
  t.equal(sweep.size, 0)
})

t.test('large ones share one pace, wait in turn, and all come to their end', async (t) => {
  const { clock, sweep, pace } = stage()
  t.teardown(() => sweep.stop())
  const readers = Array.from({ length: 8 }, () => ({ ...reading(pace, 8 * MIB), left: MIB, isOpen: true }))
  let read = 0
  let most = 0
  let ticks = 0
  while (readers.some(({ left }) => left > 0) && ticks < 2_000) {
    const before = read
    for (const reader of readers) {
      while (reader.isOpen && reader.left > 0) {
        reader.isOpen = reader.answer.body(Buffer.alloc(READ_COST))
        reader.left -= READ_COST
        read += READ_COST
      }
      if (reader.left === 0) reader.answer.done(ENDED)
    }
    most = ticks === 0 ? 0 : Math.max(most, read - before)
    ticks += 1
    const seen = readers.map(({ resumed }) => resumed())
    clock.advance(TICK_MS)
    sweep.run()
    readers.forEach((reader, index) => {
      reader.isOpen ||= reader.resumed() > seen[index]!
    })
  }
  t.ok(readers.every(({ told, left }) => left === 0 && told[0]?.answer?.body.length === MIB))
  const seconds = (ticks * TICK_MS) / 1000
  const fastest = (8 * (MIB - FREE_BYTES)) / COST_PER_SECOND
  t.ok(seconds > 0.9 * fastest && seconds < 3 * fastest, `${seconds} s for 8 MiB`)
  t.ok(most <= COST_BURST + readers.length * READ_COST, `${most} bytes in one turn at most`)
  t.equal(sweep.size, 0, 'nobody waits any more')
})

t.test('a body in tiny chunks is given up before it has cost much', async (t) => {
  const { sweep, pace } = stage()
  t.teardown(() => sweep.stop())
  const { answer } = reading(pace)
  let bytes = 0
  while (bytes <= answer.bodyBytesMax) {
    answer.body(Buffer.alloc(16))
    bytes += 16
  }
  t.ok(bytes <= ANSWER_COST_MAX / (PIECE_COST / 16), `after ${bytes} bytes`)
  answer.done(ENDED)
  t.equal(sweep.size, 0, 'one that ended while it waited is forgotten')
})

t.test('who loses connections all the time is asked now and then, who does sometimes as ever', async (t) => {
  const clock = new ManualClock()
  const losses = new ShadowLosses(clock)
  const asked = (version: number, times: number, share: number): number => {
    let count = 0
    for (let round = 0; round < times; round += 1) {
      if (!losses.mayLose(version)) continue
      count += 1
      losses.lost(version, share)
    }
    return count
  }
  t.equal(asked(1, 1_000, 1), LOSSES_BURST)
  t.ok(losses.mayLose(2), 'another version has its own')
  clock.advance(1_000)
  t.equal(asked(1, 1_000, 1), LOSSES_PER_SECOND)
  t.equal(asked(3, 10_000, OPENED_LOSS), 1 + (LOSSES_BURST - 1) / OPENED_LOSS, 'opening one counts for less')
  clock.advance(3_600_000)
  t.equal(asked(1, 1_000, 1), LOSSES_BURST, 'what is saved has a limit')
})

t.test(
  'a body counts once however many copies share it, and its bytes come back with the last',
  async (t) => {
    const bodies = new ShadowBodies(100)
    const [first, second] = [{}, {}]
    t.ok(bodies.enter(first, 60))
    t.ok(bodies.enter(first, 60), 'it is there already')
    t.notOk(bodies.enter(second, 41))
    t.ok(bodies.enter(second, 40), 'what found no room holds none')
    bodies.leave(first, 60)
    t.notOk(bodies.enter({}, 1), 'a copy of the first is still under way')
    bodies.leave(first, 60)
    t.ok(bodies.enter({}, 60))
    bodies.leave(first, 60)
    t.notOk(bodies.enter({}, 1), 'nothing is given back twice')
  },
)
