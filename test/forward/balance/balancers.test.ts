/** Which endpoint is chosen, over every way of balancing. */
import fc from 'fast-check'
import t from 'tap'
import type { BalanceQuestion, Balancer, Peer } from '../../../src/forward/balance/balancer.ts'
import { EndpointLoad } from '../../../src/forward/balance/endpoint-load.ts'
import { BALANCERS } from '../../../src/forward/balance/index.ts'
import { leastLoaded } from '../../../src/forward/balance/least-loaded.ts'
import { ringHash } from '../../../src/forward/balance/ring-hash.ts'
import { roundRobin } from '../../../src/forward/balance/round-robin.ts'
import type { Chance } from '../../../src/kernel/chance.ts'
import { endpointAt } from '../../support/endpoint-at.ts'

function peersOf(...hosts: readonly string[]): readonly Peer[] {
  return hosts.map((host) => ({ endpoint: endpointAt(host, 1), load: new EndpointLoad() }))
}

/** Numbers in [0, 1) that look like chance and are always the same. */
function seeded(seed = 1): Chance {
  let state = seed
  return {
    next: () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 32
    },
  }
}

const question = (all: readonly Peer[], more: Partial<BalanceQuestion> = {}): BalanceQuestion => ({
  all,
  eligible: all,
  cursor: 0,
  model: 'm',
  key: 'k',
  now: 0,
  chance: seeded(),
  ...more,
})

function shares(balancer: Balancer, all: readonly Peer[], more: Partial<BalanceQuestion> = {}, times = 6000) {
  const counts = new Map<Peer, number>(all.map((peer) => [peer, 0]))
  const chance = seeded()
  for (let index = 0; index < times; index += 1) {
    const peer = balancer.choose(question(all, { cursor: index, key: `key-${index}`, chance, ...more }))
    counts.set(peer, counts.get(peer)! + 1)
  }
  return all.map((peer) => counts.get(peer)! / times)
}

for (const balancer of BALANCERS) {
  t.test(`${balancer.name} chooses nobody who may not be chosen, and everybody who may`, async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), (allowed) => {
          const all = peersOf(...allowed.map((_, index) => `h${index}`))
          const eligible = all.filter((_, index) => allowed[index])
          if (eligible.length === 0) return
          const met = new Set<Peer>()
          const chance = seeded(7)
          for (let cursor = 0; cursor < 300; cursor += 1) {
            const peer = balancer.choose(question(all, { eligible, cursor, key: `k${cursor}`, chance }))
            if (!eligible.includes(peer)) throw new Error(`${peer.endpoint.url} may not be chosen`)
            met.add(peer)
          }
          if (met.size !== eligible.length) throw new Error(`${met.size} of ${eligible.length}`)
        }),
        { numRuns: 40 },
      ),
    )
  })

  t.test(`${balancer.name} spreads equal endpoints evenly`, async (t) => {
    for (const share of shares(balancer, peersOf('a', 'b', 'c', 'd')))
      t.ok(Math.abs(share - 0.25) < 0.05, `${share}`)
  })
}

t.test('round-robin takes each in its turn', async (t) => {
  const all = peersOf('a', 'b', 'c')
  const order = [0, 1, 2, 3, 4].map((cursor) => roundRobin.choose(question(all, { cursor })).endpoint.host)
  t.strictSame(order, ['a', 'b', 'c', 'a', 'b'])
})

t.test(
  'least-loaded leaves a slow endpoint alone, and one that never answered to a single request',
  async (t) => {
    const all = peersOf('slow', 'fast', 'quick')
    for (const [peer, ms] of [
      [all[0]!, 400],
      [all[1]!, 10],
      [all[2]!, 10],
    ] as const) {
      peer.load.started()
      peer.load.ended(0, ms)
    }
    const [slow] = shares(leastLoaded, all)
    t.equal(slow, 0, 'whoever it is drawn with is cheaper')
    const fresh = peersOf('new', 'fast')
    fresh[1]!.load.started()
    fresh[1]!.load.ended(0, 10)
    t.equal(leastLoaded.choose(question(fresh)).endpoint.host, 'new', 'nothing is known of it: it is tried')
    fresh[0]!.load.started()
    t.equal(
      leastLoaded.choose(question(fresh)).endpoint.host,
      'fast',
      'until it answers it gets no second one',
    )
  },
)

t.test('ring-hash keeps a key where it is, and moves only the keys of an endpoint that goes', async (t) => {
  const all = peersOf('a', 'b', 'c', 'd', 'e')
  const without = all.slice(0, 4)
  let moved = 0
  for (let index = 0; index < 4000; index += 1) {
    const key = `user-${index}`
    const before = ringHash.choose(question(all, { key }))
    const again = ringHash.choose(question(all, { key, cursor: index, chance: seeded(index) }))
    if (again !== before) t.fail(`${key} goes elsewhere the second time`)
    const out = ringHash.choose(question(all, { key, eligible: without }))
    const gone = ringHash.choose(question(without, { key }))
    if (before === all[4]) moved += 1
    else if (out !== before || gone !== before) t.fail(`${key} moved`)
    if (out !== gone) t.fail(`${key}: one that is out and one that is gone are passed over alike`)
  }
  t.ok(Math.abs(moved / 4000 - 0.2) < 0.05, `${moved} keys were its own`)
})

t.test('ring-hash tells addresses that are written twice apart', async (t) => {
  const twice = shares(ringHash, peersOf('a', 'a'))
  t.ok(Math.abs(twice[0]! - 0.5) < 0.08, `${twice}`)
})
