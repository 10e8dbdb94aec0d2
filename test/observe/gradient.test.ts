/** The adaptive limit: its table, its laws, and where it settles before endpoints of known capacity. */
import fc from 'fast-check'
import t from 'tap'
import {
  boundsOf,
  FLOOR,
  type Gradient,
  type GradientEvent,
  INITIAL,
  step,
  unmeasured,
} from '../../src/observe/gradient.ts'

const BOUNDS = boundsOf(200)
const measured = (limit: number, baselineMs: number, windows = 600): Gradient => ({
  kind: 'measured',
  limit,
  baselineMs,
  windows,
})

const probing = (windows: number): Gradient => ({
  kind: 'probing',
  limit: FLOOR,
  sumMs: windows * 30,
  windows,
})

t.test('every state meets every event', async (t) => {
  const window = (meanMs: number, inFlight: number): GradientEvent => ({ kind: 'window', meanMs, inFlight })
  const drop = (inFlight: number): GradientEvent => ({ kind: 'drop', inFlight })
  const near = (state: Gradient) => ({ ...state, limit: Math.round(state.limit * 10) / 10 })
  const table: [string, Gradient, GradientEvent, object][] = [
    [
      'the first window is the baseline',
      { kind: 'unmeasured', limit: 20 },
      window(30, 20),
      { kind: 'measured', limit: 20, baselineMs: 30, windows: 1 },
    ],
    [
      'a drop takes a tenth before anything is known',
      { kind: 'unmeasured', limit: 40 },
      drop(40),
      { kind: 'unmeasured', limit: 36 },
    ],
    [
      'as fast as ever: a fifth of the headroom more',
      measured(100, 10),
      window(10, 100),
      { limit: 100.8, baselineMs: 10 },
    ],
    ['within the tolerance: the same', measured(100, 10), window(15, 100), { limit: 100.8, baselineMs: 10 }],
    [
      'twice as slow: three quarters, smoothed',
      measured(100, 10),
      window(20, 100),
      { limit: 95.8, baselineMs: 10 },
    ],
    [
      'a hundred times as slow: half, smoothed',
      measured(100, 10),
      window(1000, 100),
      { limit: 90.8, baselineMs: 10 },
    ],
    ['little under way: no growth', measured(100, 10), window(10, 49), { limit: 100 }],
    ['little under way and slow: no shrinking', measured(100, 10), window(500, 49), { limit: 100 }],
    ['a drop takes a tenth', measured(100, 10), drop(50), { limit: 90, baselineMs: 10 }],
    ['a drop with little under way takes nothing', measured(100, 10), drop(49), { limit: 100 }],
    ['never below the floor', measured(20, 10), drop(20), { limit: FLOOR }],
    [
      'slow at the floor: the baseline is taken anew',
      measured(20, 10),
      window(90, 20),
      { kind: 'probing', limit: FLOOR, sumMs: 0, windows: 0 },
    ],
    ['not yet', probing(28), window(30, 20), { kind: 'probing', windows: 29 }],
    [
      'from so many windows',
      probing(29),
      window(30, 20),
      { kind: 'measured', limit: FLOOR, baselineMs: 30, windows: 30 },
    ],
    [
      'a drop changes nothing at the floor',
      probing(5),
      drop(20),
      { kind: 'probing', limit: FLOOR, windows: 5 },
    ],
    ['never above what is configured', measured(200, 10), window(10, 200), { limit: 200 }],
  ]
  for (const [name, state, event, expected] of table)
    t.match(near(step(state, event, BOUNDS)), expected, name)
})

t.test('slowness of our own doing never becomes the baseline; that of light load does, slowly', async (t) => {
  const after = (state: Gradient, meanMs: number, inFlight: number) => {
    const next = step(state, { kind: 'window', meanMs, inFlight }, BOUNDS)
    return next.kind === 'measured' ? next.baselineMs : Number.NaN
  }
  t.equal(after(measured(100, 10), 20, 100), 10)
  t.ok(after(measured(100, 10), 20, 10) > 10, 'with little under way')
  t.ok(after(measured(100, 10), 8, 100) < 10, 'faster is always learned')
  t.ok(after(measured(100, 100), 10, 100) < 96, 'and what is long past is forgotten fast')
})

t.test('the limit starts low and stays in its bounds, whatever comes', async (t) => {
  t.same(unmeasured(BOUNDS), { kind: 'unmeasured', limit: INITIAL })
  t.same(boundsOf(8), { floor: 8, ceiling: 8 })
  const event = fc.oneof(
    fc.record({
      kind: fc.constant('window' as const),
      meanMs: fc.double({ min: 0.001, max: 1e7, noNaN: true }),
      inFlight: fc.nat(5_000),
    }),
    fc.record({ kind: fc.constant('drop' as const), inFlight: fc.nat(5_000) }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.array(event), (concurrent, events) => {
      const bounds = boundsOf(concurrent)
      let state = unmeasured(bounds)
      for (const one of events) {
        const before = state
        state = step(state, one, bounds)
        const { limit } = state
        if (!(limit >= bounds.floor && limit <= bounds.ceiling)) throw new Error(`${limit}`)
        if (limit > before.limit + 0.8 + 1e-9) throw new Error('grew by more than a fifth of the headroom')
        if (limit < before.limit * 0.9 - 1e-9) throw new Error('shrank by more than a tenth')
        if (one.inFlight < before.limit / 2 && limit !== before.limit) throw new Error('moved by light load')
        if (state.kind === 'measured' && !(state.baselineMs > 0)) throw new Error('no baseline')
      }
    }),
    { numRuns: 500 },
  )
})

/** An endpoint that answers in `baseMs` until `knee` requests are under way, and shares its time beyond. */
function simulate(
  state: Gradient,
  windows: number,
  how: { knee: number; baseMs: number; demand: number; noise?: (n: number) => number },
) {
  let now = state
  const limits: number[] = []
  for (let n = 0; n < windows; n += 1) {
    const inFlight = Math.min(Math.floor(now.limit), how.demand)
    const meanMs = how.baseMs * Math.max(1, inFlight / how.knee) * (how.noise?.(n) ?? 1)
    now = step(now, { kind: 'window', meanMs, inFlight }, BOUNDS)
    limits.push(now.limit)
  }
  return { state: now, limits }
}

t.test('it settles a little beyond the knee, and stays there however long the overload lasts', async (t) => {
  for (const knee of [30, 60, 100]) {
    const { limits } = simulate(unmeasured(BOUNDS), 50_000, { knee, baseMs: 20, demand: 10_000 })
    const settled = limits.slice(300)
    const [low, high] = [Math.min(...settled), Math.max(...settled)]
    t.ok(low > knee, `knee ${knee}: never less than it can do: ${low}`)
    t.ok(high < knee * 1.5 + 8, `knee ${knee}: and little more: ${high}`)
  }
})

t.test('noise does not carry it away', async (t) => {
  let seed = 7
  const chance = () => {
    seed = (seed * 16_807) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const noise = () => 0.8 + 0.4 * chance()
  const { limits } = simulate(unmeasured(BOUNDS), 36_000, { knee: 60, baseMs: 20, demand: 10_000, noise })
  const last = limits.slice(-1_000)
  const mean = last.reduce((sum, limit) => sum + limit, 0) / last.length
  t.ok(mean > 55 && mean < 110, `after an hour of overload: ${mean}`)
})

t.test('a capacity that halves takes the limit with it within seconds, and brings it back', async (t) => {
  const before = simulate(unmeasured(BOUNDS), 600, { knee: 80, baseMs: 20, demand: 10_000 })
  const halved = simulate(before.state, 100, { knee: 40, baseMs: 20, demand: 10_000 })
  t.ok(halved.state.limit < 40 * 1.5 + 8, `10 s of windows later: ${halved.state.limit}`)
  const back = simulate(halved.state, 200, { knee: 80, baseMs: 20, demand: 10_000 })
  t.ok(back.state.limit > 80, `and 20 s after it is back: ${back.state.limit}`)
})

t.test(
  'a model that became slower for good is measured anew at the floor, and gets its limit back',
  async (t) => {
    const before = simulate(unmeasured(BOUNDS), 600, { knee: 80, baseMs: 20, demand: 10_000 })
    const slower = simulate(before.state, 1_200, { knee: 80, baseMs: 60, demand: 10_000 })
    t.ok(Math.min(...slower.limits) <= FLOOR + 1, 'first it takes the slowness for its own doing')
    t.ok(slower.state.limit > 80, `two minutes later it is back: ${slower.state.limit}`)
  },
)

t.test('light load does not move it', async (t) => {
  const before = simulate(unmeasured(BOUNDS), 600, { knee: 60, baseMs: 20, demand: 10_000 })
  const light = simulate(before.state, 10_000, { knee: 60, baseMs: 20, demand: 5 })
  t.equal(light.state.limit, before.state.limit)
})
