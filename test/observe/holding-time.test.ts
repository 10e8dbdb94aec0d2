/** The wait that is told at the door, beside the wait that came of it: simulated, with a clock moved by hand. */
import t, { type Test } from 'tap'
import { makeLimiters, NEVER } from './make-limiters.ts'

/** The same numbers in [0, 1) in each run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 16_807) % 2_147_483_647
    return state / 2_147_483_647
  }
}

interface World {
  readonly places: number
  /** Kept in line all the while. */
  readonly inLine: number
  readonly serviceMs: (n: number) => number
  readonly requests: number
}

/** Sums over all that waited. */
function simulate(t: Test, { places, inLine, serviceMs, requests }: World) {
  const limits = { concurrent: places, queue: 1_000 }
  const { clock, model, lanes } = makeLimiters(t, { limits, queueMs: 1e9 })
  const { limiter } = lanes[0]!
  const ends: { readonly at: number; readonly heldMs: number }[] = []
  let served = 0
  let toldMs = 0
  let waitedMs = 0
  const begin = () => {
    const heldMs = serviceMs(served)
    served += 1
    ends.push({ at: clock.now() + heldMs, heldMs })
    ends.sort((a, b) => a.at - b.at)
  }
  const arrive = () => {
    const told = limiter.load(model, clock.now()).waitMs
    const since = clock.now()
    const proceed = () => {
      if (told > 0) {
        toldMs += told
        waitedMs += clock.now() - since
      }
      begin()
    }
    if (limiter.enter(model, { proceed }, since, NEVER) === 'go') begin()
  }
  while (served < requests) {
    while (limiter.load(model, clock.now()).queued < inLine) arrive()
    const next = ends.shift()!
    clock.advance(next.at - clock.now())
    limiter.leave(model, next.heldMs, clock.now())
  }
  return toldMs / waitedMs
}

t.test('what is told at the door is what is waited, on the whole', async (t) => {
  const chance = seeded(42)
  const exponential = () => -20 * Math.log(1 - chance())
  const worlds: Readonly<Record<string, World>> = {
    'one place, always as long': { places: 1, inLine: 5, serviceMs: () => 20, requests: 2_000 },
    'eight places, by chance': { places: 8, inLine: 12, serviceMs: exponential, requests: 20_000 },
    'a long line': { places: 4, inLine: 100, serviceMs: exponential, requests: 20_000 },
    'short answers and long streams': {
      places: 64,
      inLine: 20,
      serviceMs: () => (chance() < 0.02 ? 5_000 : 20),
      requests: 40_000,
    },
  }
  for (const [name, world] of Object.entries(worlds)) {
    const ratio = simulate(t, world)
    t.ok(ratio > 0.75 && ratio < 1.3, `${name}: told ${ratio.toFixed(2)} of what was waited`)
  }
})

t.test('a model that becomes ten times slower is believed within a line’s length', async (t) => {
  const ratio = simulate(t, {
    places: 4,
    inLine: 8,
    serviceMs: (n) => (Math.floor(n / 500) % 2 === 0 ? 10 : 100),
    requests: 10_000,
  })
  t.ok(ratio > 0.75 && ratio < 1.3, `told ${ratio.toFixed(2)} of what was waited`)
})
