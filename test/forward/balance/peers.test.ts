import t from 'tap'
import { FAILURES_MAX, OUT_MS } from '../../../src/forward/balance/outlier.ts'
import { type KnownPeer, Peers, type StandingChange } from '../../../src/forward/balance/peers.ts'
import { endpointAt } from '../../support/endpoint-at.ts'
import { versionOf } from '../carry.ts'

const WISH = { key: 'k', avoid: [] }

function peersOf(...hosts: readonly string[]) {
  const changes: StandingChange[] = []
  const version = versionOf(...hosts.map((host) => endpointAt(host, 80)))
  const peers = new Peers(version, {
    chance: { next: () => 0 },
    onStanding: (change) => changes.push(change),
  })
  return { peers, changes }
}

function fail(peers: Peers, peer: KnownPeer, now: number, times = FAILURES_MAX): void {
  for (let time = 0; time < times; time += 1) peers.noted(peer, 'failure', now)
}

function chosenOf(peers: Peers, now: number, times = 12, avoid: readonly string[] = []): string[] {
  const hosts = Array.from({ length: times }, () => peers.choose({ key: 'k', avoid }, now).endpoint.host)
  return [...new Set(hosts)].sort()
}

t.test(
  'an endpoint that keeps failing is passed over, told of once, and tried by one request when its time is up',
  async (t) => {
    const { peers, changes } = peersOf('a', 'b', 'c', 'd')
    const [a] = peers.all
    fail(peers, a!, 0, FAILURES_MAX - 1)
    t.same(chosenOf(peers, 0), ['a', 'b', 'c', 'd'], 'not yet')
    fail(peers, a!, 0, 1)
    t.same(chosenOf(peers, 0), ['b', 'c', 'd'])
    t.same(
      changes.map(({ endpoint, isOut, forMs, out }) => ({ endpoint, isOut, forMs, out })),
      [{ endpoint: 'http://a:80', isOut: true, forMs: OUT_MS, out: 1 }],
    )
    const tried = Array.from({ length: 12 }, () => peers.choose(WISH, OUT_MS).endpoint.host)
    t.equal(tried.filter((host) => host === 'a').length, 1, 'one request is enough to find out')
    peers.noted(a!, 'success', OUT_MS)
    t.match(changes.at(-1), { endpoint: 'http://a:80', isOut: false, forMs: 0, out: 0 })
    t.same(chosenOf(peers, OUT_MS), ['a', 'b', 'c', 'd'])
  },
)

t.test('at least half of the endpoints can be chosen, whatever they did', async (t) => {
  const { peers } = peersOf('a', 'b', 'c', 'd')
  for (const [index, peer] of peers.all.entries()) fail(peers, peer, index)
  t.same(chosenOf(peers, 10), ['a', 'b'], 'those come back first that were to come back first')
  const single = peersOf('only')
  fail(single.peers, single.peers.all[0]!, 0)
  t.same(chosenOf(single.peers, 0), ['only'])
  t.same(single.changes, [], 'and nobody is told that it is passed over')
  const pair = peersOf('a', 'b')
  for (const peer of pair.peers.all) fail(pair.peers, peer, 0)
  t.equal(chosenOf(pair.peers, 0).length, 1)
})

t.test('what a request has tried is chosen again only when nothing else is left', async (t) => {
  const { peers } = peersOf('a', 'b', 'c')
  t.same(chosenOf(peers, 0, 12, ['http://a:80']), ['b', 'c'])
  fail(peers, peers.all[1]!, 0)
  t.same(chosenOf(peers, 0, 12, ['http://a:80']), ['c'])
  t.same(chosenOf(peers, 0, 12, ['http://a:80', 'http://c:80']), ['b'], 'rather one that is out')
  t.same(chosenOf(peers, 0, 12, ['http://a:80', 'http://b:80', 'http://c:80']), ['a', 'c'])
})

t.test('second choices do not decide who is next in turn', async (t) => {
  const { peers } = peersOf('a', 'b')
  const first = [0, 1, 2, 3].map(() => {
    const { endpoint } = peers.choose(WISH, 0)
    peers.choose({ key: 'k', avoid: [endpoint.url] }, 0)
    return endpoint.host
  })
  t.same(first, ['a', 'b', 'a', 'b'])
})
