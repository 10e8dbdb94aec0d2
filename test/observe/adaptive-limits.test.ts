/** The adaptive limit over several lanes: one window, one step, one limit for all. */
import fc from 'fast-check'
import t from 'tap'
import {
  AdaptiveLimits,
  firstLimit,
  makeAdaptive,
  SAMPLES_MIN,
  WINDOW_MS,
} from '../../src/observe/adaptive-limits.ts'
import { GlobalPlaces, makePlaces } from '../../src/observe/global-places.ts'
import { FLOOR, INITIAL } from '../../src/observe/gradient.ts'
import { makeModel } from '../support/make-model.ts'

const plain = { ...makeModel({ name: 'plain' }), index: 0 }
const found = {
  ...makeModel({ name: 'found', limits: { concurrent: 100, queue: 10, adaptive: true } }),
  index: 1,
}
const MODELS = [plain, found]

function makeLanes(lanes: number) {
  const memory = makeAdaptive({ models: MODELS, lanes })!
  const places = makePlaces(MODELS.map(firstLimit), lanes)
  return Array.from({ length: lanes }, (_, lane) => {
    const own = new GlobalPlaces(places, { models: MODELS.length, lanes }, lane)
    return { places: own, adaptive: new AdaptiveLimits(memory, { models: MODELS, lanes }, own, lane) }
  })
}

/** A window of attempts, in turn from each lane, the last of them after its end. */
function window(lanes: ReturnType<typeof makeLanes>, from: number, tookMs: number, isDrop = false): void {
  for (let count = 0; count < SAMPLES_MIN; count += 1) {
    const now = count === SAMPLES_MIN - 1 ? from + WINDOW_MS : from + 1
    lanes[count % lanes.length]!.adaptive.attempt(found, isDrop ? 'drop' : tookMs, now)
  }
}

t.test(
  'a model that does not adapt has the limit of its configuration, and none costs nothing',
  async (t) => {
    const [lane] = makeLanes(1)
    t.equal(lane!.places.limit(0), 256)
    t.equal(lane!.places.limit(1), INITIAL)
    t.equal(makeAdaptive({ models: [plain], lanes: 4 }), null)
  },
)

t.test('lanes add up their attempts, and one of them takes the step for all', async (t) => {
  const lanes = makeLanes(3)
  for (let held = 0; held < 18; held += 1) lanes[held % 3]!.places.take(1)
  let now = 1_000
  for (let round = 0; round < 100; round += 1, now += WINDOW_MS) window(lanes, now, 10)
  const limits = lanes.map(({ places }) => places.limit(1))
  t.same(limits, [limits[0], limits[0], limits[0]])
  t.ok(
    limits[0]! > INITIAL && limits[0]! <= 37,
    `18 in flight grow it until they are less than half: ${limits[0]}`,
  )
  t.equal(lanes[2]!.adaptive.baselineMs(found), 10)
})

t.test('slow windows shrink it, and so do drops', async (t) => {
  for (const isDrop of [false, true]) {
    const lanes = makeLanes(2)
    lanes[0]!.places.setLimit(1, 100)
    for (let held = 0; held < 60; held += 1) lanes[held % 2]!.places.take(1)
    let now = 1_000
    for (let round = 0; round < 200; round += 1, now += WINDOW_MS) window(lanes, now, 10)
    const before = lanes[0]!.places.limit(1)
    for (let round = 0; round < 5; round += 1, now += WINDOW_MS) window(lanes, now, isDrop ? 10 : 100, isDrop)
    const after = lanes[1]!.places.limit(1)
    t.ok(after < before * 0.75, `${isDrop ? 'drops' : 'slowness'}: ${before} to ${after}`)
  }
})

t.test('a window is long enough, and has enough in it', async (t) => {
  const lanes = makeLanes(1)
  const [lane] = lanes
  for (let held = 0; held < 20; held += 1) lane!.places.take(1)
  window(lanes, 1_000, 10)
  const first = lane!.adaptive.baselineMs(found)
  t.equal(first, 10)
  for (let count = 0; count < 200; count += 1) lane!.adaptive.attempt(found, 10, 1_000 + WINDOW_MS + 1)
  t.equal(lane!.places.limit(1), INITIAL, 'many attempts in a moment are no window')
  lane!.adaptive.attempt(found, 10, 1_000 + 2 * WINDOW_MS)
  const grown = lane!.places.limit(1)
  lane!.adaptive.attempt(found, 500, 60_000)
  t.equal(lane!.places.limit(1), grown, 'nor is one attempt in a long time')
})

t.test('whatever lanes tell in whatever order, the limit is within its bounds', async () => {
  const attempt = fc.record({
    lane: fc.nat(2),
    tookMs: fc.double({ min: 0, max: 5_000, noNaN: true }),
    isDrop: fc.boolean(),
    passMs: fc.nat(60),
    held: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(attempt, { maxLength: 400 }), (attempts) => {
      const lanes = makeLanes(3)
      let now = 1_000
      for (const { lane, tookMs, isDrop, passMs, held } of attempts) {
        now += passMs
        const { places, adaptive } = lanes[lane]!
        if (held) places.take(1)
        adaptive.attempt(found, isDrop ? 'drop' : tookMs, now)
        const limit = places.limit(1)
        if (!(limit >= FLOOR && limit <= 100)) throw new Error(`${limit}`)
      }
    }),
    { numRuns: 200 },
  )
})
