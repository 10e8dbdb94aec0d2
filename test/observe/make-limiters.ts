/** Limiters of several lanes over the same places, and waiters that tell when they were called: for tests. */
import type { Test } from 'tap'
import type { PressureLevel } from '../../src/domain/pressure.ts'
import type { Model, ModelLimits } from '../../src/domain/routes.ts'
import { Sweep } from '../../src/kernel/sweep.ts'
import { GlobalPlaces, makePlaces } from '../../src/observe/global-places.ts'
import { Limiter } from '../../src/observe/limiter.ts'
import type { Waiter } from '../../src/observe/waiting-line.ts'
import { makeModel } from '../support/make-model.ts'
import { ManualClock } from '../support/manual-clock.ts'

export interface LimitersSetup {
  readonly priority?: Model['priority']

  readonly limits: Partial<ModelLimits>
  readonly lanes?: number
  readonly queueMs?: number
}

export const NEVER = Number.POSITIVE_INFINITY

export function makeLimiters(
  t: Pick<Test, 'teardown'>,
  { limits, lanes = 1, queueMs = 50, priority = 'normal' }: LimitersSetup,
) {
  const clock = new ManualClock()
  const pressure: { level: PressureLevel } = { level: 0 }
  const base = makeModel()
  const model: Model = {
    ...base,
    timeouts: { ...base.timeouts, queueMs },
    limits: { ...base.limits, ...limits },
    priority,
  }
  const memory = makePlaces([model.limits.concurrent], lanes)
  const all = Array.from({ length: lanes }, (_, lane) => {
    const places = new GlobalPlaces(memory, { models: 1, lanes }, lane)
    // Ticks only when a test says so.
    const sweep = new Sweep(clock, 3_600_000)
    t.teardown(() => sweep.stop())
    return { limiter: new Limiter({ places, adaptive: null, pressure, sweep }), places, sweep }
  })
  return { clock, model, memory, pressure, lanes: all }
}

export class NamedWaiter implements Waiter {
  readonly name: string
  readonly called: string[]

  constructor(name: string, called: string[]) {
    this.name = name
    this.called = called
  }

  proceed(): void {
    this.called.push(this.name)
  }
}
