/** A request's place, as the passage asks for it: admitted, in line, or turned away in words of use. */
import t, { type Test } from 'tap'
import type { Fault } from '../../src/domain/fault.ts'
import { HeldPlace } from '../../src/passage/held-place.ts'
import { Places } from '../../src/passage/places.ts'
import { type LimitersSetup, makeLimiters, NEVER } from '../observe/make-limiters.ts'
import { makeIntent } from '../support/make-model.ts'

function makePassages(t: Test, setup: LimitersSetup) {
  const { clock, model, pressure, lanes } = makeLimiters(t, setup)
  const [{ limiter, sweep }] = lanes as [(typeof lanes)[number]]
  const lane = { clock, limiter, sweep, pressure, sparePlaces: new Places(1) }
  const seek = (deadlineAt = NEVER) => {
    const told: (Fault | 'admitted')[] = []
    const place = new HeldPlace(makeIntent(model, { deadlineAt }), lane, {
      admitted: () => void told.push('admitted'),
      turnedAway: (reason) => void told.push(reason),
      broke: (bug) => {
        throw bug
      },
    })
    place.enter()
    return { place, told, fault: () => told[0] as Fault }
  }
  const pass = (ms: number) => {
    clock.advance(ms)
    sweep.run()
  }
  /** Ten requests that held a place for so long. */
  const learn = (heldMs: number) => {
    for (let count = 0; count < 10; count += 1) {
      const { place } = seek()
      clock.advance(heldMs)
      place.leave()
    }
  }
  return { clock, pressure, seek, pass, learn }
}

t.test('who waited is told how long, once', async (t) => {
  const { seek, pass } = makePassages(t, { limits: { concurrent: 1, queue: 1 }, queueMs: 100 })
  const first = seek()
  const second = seek()
  t.same([first.told, second.told], [['admitted'], []])
  pass(30)
  first.place.leave()
  t.same(second.told, ['admitted'])
  t.same([second.place.takeWaitedMs(), second.place.takeWaitedMs()], [30, 0])
})

t.test('a refusal at the door says what was in force and when to come again', async (t) => {
  const { seek, learn } = makePassages(t, { limits: { concurrent: 2, queue: 1 }, queueMs: 5_000 })
  const full = () => [seek(), seek(), seek(), seek()][3]!.fault()
  t.match(full(), {
    code: 'overloaded',
    message: "model 'fraud' is at its limits (limits.concurrent 2, limits.queue 1, over all lanes)",
    detail: /^2 of 2 places held, 1 waiting: /,
    headers: ['retry-after', '1'],
  })
  const known = makePassages(t, { limits: { concurrent: 2, queue: 100 }, queueMs: 5_000 })
  known.learn(3_000)
  learn(0)
  known.seek()
  known.seek()
  const told = Array.from({ length: 5 }, () => known.seek())
  const hopeless = told.find((one) => one.told.length > 0)!
  t.match(hopeless.fault(), {
    code: 'overloaded',
    message:
      /a place would be free in about 5250 ms, later than timeouts\.queue or the caller’s deadline allow/,
    headers: ['retry-after', '6'],
  })
})

t.test('an estimate of hours is told as a minute', async (t) => {
  const { seek, learn } = makePassages(t, { limits: { concurrent: 1, queue: 9 }, queueMs: 1_000 })
  learn(3_600_000)
  seek()
  t.same(seek().fault().headers, ['retry-after', '60'])
})

t.test('what was let in and outlives its wait is told by its own time', async (t) => {
  const { seek, pass, clock } = makePassages(t, { limits: { concurrent: 1, queue: 9 }, queueMs: 100 })
  seek()
  const byQueue = seek()
  const byDeadline = seek(clock.now() + 60)
  pass(60)
  t.match([byQueue.told, byDeadline.told], [[], [{ code: 'deadline-exceeded', message: /60 ms/ }]])
  pass(40)
  t.match(byQueue.told, [{ code: 'queue-timeout' }])
})

t.test(
  'under pressure the gateway speaks of itself, and starts no fallback for whom it refuses',
  async (t) => {
    const { seek, pressure } = makePassages(t, { limits: { concurrent: 1, queue: 9 } })
    const held = seek()
    pressure.level = 3
    const shed = seek()
    t.match(shed.fault(), {
      code: 'gateway-overloaded',
      message: /short of time or memory/,
      detail: /^priority normal: /,
      headers: ['retry-after', '1'],
    })
    t.equal(shed.place.hasRoom(), false, 'a fallback would be as much work')
    t.equal(held.place.hasRoom(), true, 'what was let in goes on')
    pressure.level = 2
    t.equal(shed.place.hasRoom(), true)
    shed.place.leave()
    held.place.leave()
  },
)
