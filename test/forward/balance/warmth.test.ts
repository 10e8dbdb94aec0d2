/** How an endpoint that came back gets its share again, over every way of balancing. */
import fc from 'fast-check'
import t from 'tap'
import { EndpointBoard } from '../../../src/forward/balance/endpoint-board.ts'
import { BALANCERS } from '../../../src/forward/balance/index.ts'
import { Peers } from '../../../src/forward/balance/peers.ts'
import { givesWay, SHARE_AT_FIRST, warmth } from '../../../src/forward/balance/warmth.ts'
import { endpointAt } from '../../support/endpoint-at.ts'
import { versionOf } from '../carry.ts'

const SLOW_START_MS = 10_000
const BACK_AT = 50_000

/** Numbers in [0, 1) that look like chance and are always the same. */
function seeded() {
  let state = 1
  return {
    next: () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 32
    },
  }
}

/** A version whose first endpoint came back at BACK_AT, while the others were always there. */
function peersOf(balance: string, count: number, slowStartMs = SLOW_START_MS): Peers {
  const hosts = Array.from({ length: count }, (_, index) => `h${index}`)
  const version = { ...versionOf(...hosts.map((host) => endpointAt(host, 80))), balance, slowStartMs }
  const board = new EndpointBoard({ endpoints: count, versions: 1, lanes: 1 })
  board.note({ side: 'serving', version: 0, endpoint: 0 }, 'recovered', BACK_AT)
  return new Peers(version, { chance: seeded(), share: { board, lane: 0, side: 'serving' } })
}

/** Of `times` requests, each answered in 10 ms before the next comes, the share of the first endpoint. */
function shareOf(peers: Peers, now: number, times = 4000): number {
  let first = 0
  for (let index = 0; index < times; index += 1) {
    const peer = peers.choose({ key: `key-${index}`, avoid: [] }, now)
    peer.load.ended(now, 10)
    if (peer === peers.all[0]) first += 1
  }
  return first / times
}

t.test('warmth grows evenly from a tenth, whatever the time; who was always there is warm', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(1e6), fc.nat(1e5), (since, later, slowStartMs) => {
        const [soon, late] = [0, later].map((after) => warmth(since + 1, since + 1 + after, slowStartMs))
        if (!(soon! > 0 && soon! <= late! && late! <= 1)) throw new Error(`${soon} ${late}`)
        if (later >= slowStartMs && late !== 1) throw new Error(`${late} at the end`)
      }),
    ),
  )
  t.equal(warmth(0, 1, SLOW_START_MS), 1)
  t.equal(warmth(100, 100, SLOW_START_MS), SHARE_AT_FIRST)
  t.equal(warmth(100, 100 + SLOW_START_MS / 2, SLOW_START_MS), 0.5)
  t.equal(warmth(100, 100, 0), 1, 'without slow_start everybody is')
})

t.test('whoever is colder than the warmest gives way that often', async (t) => {
  t.same(
    [0, 0.24, 0.25, 0.99].map((draw) => givesWay(0.25, 1, draw)),
    [false, false, true, true],
  )
  t.same(
    [0, 0.5, 0.999].map((draw) => givesWay(0.25, 0.25, draw)),
    [false, false, false],
    'the warmest never does',
  )
})

for (const { name } of BALANCERS) {
  t.test(`${name} gives an endpoint that came back the share that its warmth allows`, async (t) => {
    for (const count of [2, 4, 7]) {
      const whole = shareOf(peersOf(name, count, 0), BACK_AT)
      for (const after of [0, 0.25, 0.5, 0.75, 1]) {
        const share = shareOf(peersOf(name, count), BACK_AT + after * SLOW_START_MS)
        const expected = whole * Math.max(after, SHARE_AT_FIRST)
        t.ok(
          Math.abs(share - expected) < 0.03,
          `${count} endpoints, at ${after}: ${share.toFixed(3)}, not about ${expected.toFixed(3)}`,
        )
      }
    }
  })

  t.test(`${name} gives all that come back at once the same`, async (t) => {
    const peers = peersOf(name, 2)
    const board = new EndpointBoard({ endpoints: 2, versions: 1, lanes: 1 })
    for (const endpoint of [0, 1]) board.note({ side: 'serving', version: 0, endpoint }, 'recovered', BACK_AT)
    const cold = new Peers(
      {
        ...versionOf(...peers.all.map(({ endpoint }) => endpoint)),
        balance: name,
        slowStartMs: SLOW_START_MS,
      },
      { chance: seeded(), share: { board, lane: 0, side: 'serving' } },
    )
    const share = shareOf(cold, BACK_AT + 1)
    t.ok(Math.abs(share - shareOf(peersOf(name, 2, 0), BACK_AT)) < 0.05, `${share}`)
  })
}

t.test('with ring-hash keys come home one after another, and each only once', async (t) => {
  const peers = peersOf('ring-hash', 4)
  const homeAt = (key: string, now: number): boolean => peers.choose({ key, avoid: [] }, now) === peers.all[0]
  let came = 0
  for (let index = 0; index < 400; index += 1) {
    const times = Array.from({ length: 21 }, (_, step) => BACK_AT + (step / 20) * SLOW_START_MS)
    const homes = times.map((now) => homeAt(`user-${index}`, now))
    const first = homes.indexOf(true)
    if (first === -1) continue
    came += 1
    if (homes.slice(first).includes(false)) t.fail(`user-${index} went away again: ${homes}`)
  }
  t.ok(came > 60, `${came} keys are its own`)
})
