/** The levels of pressure: when each is entered and left, over every level and kind of reading. */
import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { PressureLevel } from '../../src/domain/pressure.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import {
  AT_REST,
  CALM_MS,
  HEAP_SHARE,
  type Pressure,
  type PressureReading,
  READINGS_UP,
  step,
  TURN_MS,
} from '../../src/observe/pressure.ts'
import { type PressureChange, PressureGauge } from '../../src/observe/pressure-gauge.ts'
import { eventually } from '../support/eventually.ts'

const LEVELS: readonly PressureLevel[] = [0, 1, 2, 3]
const turn = (turnMs: number): PressureReading => ({ turnMs, heapShare: 0.1 })
const heap = (heapShare: number): PressureReading => ({ turnMs: 0.1, heapShare })
/** What just calls for a level, by time and by memory. */
const CALLS = LEVELS.map((level) => [turn(TURN_MS[level]!), heap(HEAP_SHARE[level]!)] as const)

/** So many readings in a row, 100 ms apart. */
function run(from: Pressure, reading: PressureReading, count: number, startAt = 10_000): Pressure {
  let state = from
  for (let index = 0; index < count; index += 1) state = step(state, reading, startAt + index * 100)
  return state
}
const at = (level: PressureLevel): Pressure => ({ level, readings: [], calmSince: 0, why: 'x' })

t.test('every level meets every kind of reading', async (t) => {
  for (const level of LEVELS) {
    for (const called of LEVELS) {
      for (const reading of CALLS[called]!) {
        const what = `at ${level}, ${JSON.stringify(reading)}`
        t.equal(
          run(at(level), reading, READINGS_UP - 1).level <= Math.max(level, 0),
          true,
          `${what}: not yet`,
        )
        const after = run(at(level), reading, READINGS_UP)
        if (called > level) t.equal(after.level, called, `${what}: risen at once to what is called for`)
        if (called === level) t.equal(after.level, level, `${what}: held`)
      }
    }
  }
})

t.test('a level is left one by one, each after a while without a reading that comes near it', async (t) => {
  const calm = turn(1)
  let state = run({ ...at(3), calmSince: 10_000 }, calm, CALM_MS / 100, 10_000)
  t.equal(state.level, 3)
  state = step(state, calm, 10_000 + CALM_MS)
  t.equal(state.level, 2)
  state = step(state, calm, 10_000 + 2 * CALM_MS - 1)
  t.equal(state.level, 2)
  state = step(state, turn(TURN_MS[2]! * 0.6), 10_000 + 2 * CALM_MS)
  t.equal(state.level, 2, 'near it: the calm begins anew')
  state = step(state, calm, 10_000 + 3 * CALM_MS - 1)
  t.equal(state.level, 2)
  state = step(state, calm, 10_000 + 3 * CALM_MS)
  t.equal(state.level, 1)
  state = step(state, calm, 10_000 + 4 * CALM_MS)
  t.equal(state.level, 0)
})

t.test('one long pause is no overload', async (t) => {
  let state = run(AT_REST, turn(1), 10)
  state = step(state, turn(2_000), 11_000)
  state = step(state, turn(2_000), 13_000)
  t.equal(state.level, 0)
  state = step(state, turn(3), 13_100)
  t.equal(run(state, turn(2_000), READINGS_UP - 1, 13_200).level, 0, 'they must be in a row')
})

t.test('the change says why, with its numbers', async (t) => {
  t.match(run(AT_REST, { turnMs: 310.4, heapShare: 0.314 }, 3), {
    level: 2,
    why: 'a turn of the loop takes 310 ms, 31 % of the heap is in use',
  })
})

t.test(
  'over any course it rises only when all of the last readings call for it, and falls by one',
  async (t) => {
    const reading = fc.record({
      turnMs: fc.oneof(fc.double({ min: 0, max: 2_000, noNaN: true }), fc.constantFrom(...TURN_MS)),
      heapShare: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(
          fc.array(fc.tuple(reading, fc.integer({ min: 50, max: 2_000 })), { maxLength: 100 }),
          (all) => {
            let state = AT_REST
            let now = 1_000
            const seen: PressureReading[] = []
            for (const [one, passMs] of all) {
              now += passMs
              seen.push(one)
              const before = state
              state = step(state, one, now)
              const last = seen.slice(-READINGS_UP)
              const calls = ({ turnMs, heapShare }: PressureReading) =>
                turnMs >= TURN_MS[state.level]! || heapShare >= HEAP_SHARE[state.level]!
              if (state.level > before.level && !last.every(calls))
                throw new Error('rose without being called')
              if (state.level < before.level - 1) throw new Error('fell by more than one')
              if (state.readings.length > READINGS_UP) throw new Error('keeps too much')
            }
          },
        ),
        { numRuns: 500 },
      ),
    )
  },
)

t.test('the gauge sees a thread that is kept busy, and that it is idle again', async (t) => {
  const changes: PressureChange[] = []
  const gauge = new PressureGauge(systemClock, (change) => changes.push(change))
  t.teardown(() => gauge.stop())
  let busy = true
  const work = () => {
    const until = performance.now() + 320
    while (performance.now() < until);
    if (busy) setImmediate(work)
  }
  work()
  await eventually(
    () => {
      gauge.read()
      return gauge.level >= 2
    },
    { withinMs: 30_000, until: 'turns of 320 ms are seen' },
  )
  busy = false
  t.match(changes[0], { from: 0, why: /a turn of the loop takes \d{3,} ms/ })
  await eventually(
    async () => {
      await pause(50)
      gauge.read()
      return gauge.level === 0
    },
    { withinMs: 60_000, until: 'it is calm' },
  )
  t.equal(changes.at(-1)?.to, 0)
})
