import t from 'tap'
import type { RemoteVersion } from '../../../src/domain/routes.ts'
import { EndpointBoard } from '../../../src/forward/balance/endpoint-board.ts'
import { FAILURES_MAX, OUT_MS } from '../../../src/forward/balance/outlier.ts'
import {
  type KnownPeer,
  OWN_FAILURES_MIN,
  Peers,
  type StandingChange,
} from '../../../src/forward/balance/peers.ts'
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
      changes.map(({ endpoint, isOut, forMs, cause }) => ({ endpoint, isOut, forMs, cause })),
      [{ endpoint: 'http://a:80', isOut: true, forMs: OUT_MS, cause: '5 failures in a row' }],
    )
    const tried = Array.from({ length: 12 }, () => peers.choose(WISH, OUT_MS).endpoint.host)
    t.equal(tried.filter((host) => host === 'a').length, 1, 'one request is enough to find out')
    peers.noted(a!, 'success', OUT_MS)
    t.match(changes.at(-1), {
      endpoint: 'http://a:80',
      isOut: false,
      forMs: 0,
      cause: 'an attempt succeeded',
    })
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

/** Two lanes that share what they know, and what each of them told. */
function lanesOf(more: Partial<RemoteVersion>, ...hosts: readonly string[]) {
  const version = { ...versionOf(...hosts.map((host) => endpointAt(host, 80))), ...more }
  const board = new EndpointBoard({ endpoints: hosts.length, versions: 1, lanes: 2 })
  const changes: (readonly [lane: number, endpoint: string, isOut: boolean])[] = []
  const lanes = [0, 1].map(
    (lane) =>
      new Peers(version, {
        chance: { next: () => 0 },
        share: { board, lane, side: 'serving' },
        onStanding: ({ endpoint, isOut }) => changes.push([lane, endpoint, isOut]),
      }),
  )
  return { board, changes, first: lanes[0]!, second: lanes[1]! }
}
const at = (endpoint: number) => ({ version: 0, endpoint })

t.test('what one lane finds out, all lanes know, and one trial is enough for all of them', async (t) => {
  const { first, second, changes } = lanesOf({}, 'a', 'b', 'c', 'd')
  fail(first, first.all[0]!, 0, 3)
  fail(second, second.all[0]!, 0, FAILURES_MAX - 3)
  t.same(chosenOf(first, 0), ['b', 'c', 'd'], 'failures of both lanes count together')
  t.same(chosenOf(second, 0), ['b', 'c', 'd'])
  t.same(changes, [[1, 'http://a:80', true]], 'told by the lane that saw the last one')
  const tried = [first, second, first, second].flatMap((lane) =>
    Array.from({ length: 6 }, () => lane.choose(WISH, OUT_MS).endpoint.host),
  )
  t.equal(tried.filter((host) => host === 'a').length, 1)
  second.noted(second.all[0]!, 'success', OUT_MS)
  t.same(changes.at(-1), [1, 'http://a:80', false])
  t.same(chosenOf(first, OUT_MS), ['a', 'b', 'c', 'd'])
})

t.test('a success at any lane ends a row of failures', async (t) => {
  const { first, second, changes } = lanesOf({}, 'a', 'b')
  for (let round = 0; round < 5; round += 1) {
    fail(first, first.all[0]!, round, FAILURES_MAX - 1)
    second.noted(second.all[0]!, 'success', round)
  }
  t.same(changes, [])
})

t.test('an endpoint that says it is not well is not chosen, until it says that it is', async (t) => {
  const { first, second, board } = lanesOf({}, 'a', 'b', 'c', 'd')
  board.setHealth(at(1), 'unhealthy')
  for (const lane of [first, second]) t.same(chosenOf(lane, 0), ['a', 'c', 'd'])
  fail(first, first.all[0]!, 0)
  t.same(chosenOf(second, 0), ['c', 'd'], 'beside one that fails')
  t.same(
    chosenOf(second, 0, 12, ['http://c:80', 'http://d:80']),
    ['a'],
    'a retry rather goes to one that is out than to one that is not well',
  )
  t.same(
    chosenOf(second, 0, 12, ['http://a:80', 'http://c:80', 'http://d:80']),
    ['b'],
    'but rather there than nowhere',
  )
  board.setHealth(at(1), 'healthy')
  t.same(chosenOf(first, 0), ['b', 'c', 'd'])
})

t.test('where fewer than half are healthy, what they say is ignored', async (t) => {
  const { first, board } = lanesOf({}, 'a', 'b', 'c', 'd')
  for (const endpoint of [0, 1]) board.setHealth(at(endpoint), 'unhealthy')
  t.equal(first.sieve, null)
  t.same(chosenOf(first, 0), ['c', 'd'], 'half of them is enough')
  t.same(first.sieve, { eligible: 2, endpoints: 4, isHealthIgnored: false })
  board.setHealth(at(2), 'unhealthy')
  t.same(chosenOf(first, 0), ['a', 'b', 'c', 'd'])
  t.same(first.sieve, { eligible: 4, endpoints: 4, isHealthIgnored: true })
  for (const endpoint of [0, 1, 2]) fail(first, first.all[endpoint]!, endpoint)
  t.same(chosenOf(first, 10), ['a', 'd'], 'what requests find out still counts')
  board.setHealth(at(0), 'healthy')
  t.same(chosenOf(first, 10), ['a', 'd'])
  board.setHealth(at(3), 'unhealthy')
  board.setHealth(at(0), 'unhealthy')
  fail(first, first.all[3]!, 100)
  board.setHealth(at(3), 'healthy')
  t.same(chosenOf(first, 100), ['a', 'd'], 'of those that are out, a healthy one comes first')
  const single = lanesOf({}, 'only')
  single.board.setHealth(at(0), 'unhealthy')
  t.same(chosenOf(single.first, 0), ['only'])
})

t.test('what shadows find out is theirs alone', async (t) => {
  const version = versionOf(endpointAt('a', 80), endpointAt('b', 80))
  const board = new EndpointBoard({ endpoints: 2, versions: 1, lanes: 1 })
  const [serving, shadow] = (['serving', 'shadow'] as const).map(
    (side) => new Peers(version, { chance: { next: () => 0 }, share: { board, lane: 0, side } }),
  )
  fail(shadow!, shadow!.all[0]!, 0)
  t.same(chosenOf(shadow!, 0), ['b'])
  t.same(chosenOf(serving!, 0), ['a', 'b'])
  t.equal(board.loadOf(1).outstanding, 6, 'and what callers have under way is what the board tells')
})

t.test('an endpoint that comes back is not judged by what it was before', async (t) => {
  const { first, board } = lanesOf({ balance: 'least-loaded' }, 'a', 'b')
  for (const [index, peer] of first.all.entries()) {
    peer.load.started()
    peer.load.ended(0, index === 0 ? 1000 : 5)
  }
  t.same(chosenOf(first, 10), ['b'], 'it was slow')
  board.setHealth(at(0), 'unhealthy')
  chosenOf(first, 20)
  board.setHealth(at(0), 'healthy')
  board.note({ ...at(0), side: 'serving' }, 'recovered', 30)
  t.equal(first.choose(WISH, 40).endpoint.host, 'a')
})

t.test('failures are an endpoint’s own when it fails in a row and no other does', async (t) => {
  const { first, second, board } = lanesOf({}, 'a', 'b', 'c', 'd')
  const [a, b, c] = first.all
  fail(first, a!, 0, OWN_FAILURES_MIN - 1)
  t.equal(first.failsAlone(a!), false, 'not the first ones: they may be anybody’s')
  fail(first, a!, 0, 1)
  t.equal(second.failsAlone(second.all[0]!), true)
  t.equal(first.failsAlone(b!), false)
  fail(second, second.all[1]!, 0, 1)
  t.equal(first.failsAlone(a!), false, 'another one fails, too')
  first.noted(b!, 'success', 0)
  fail(first, a!, 0)
  t.equal(first.failsAlone(a!), true, 'and when it is out')
  board.setHealth(at(1), 'unhealthy')
  t.equal(first.failsAlone(a!), true, 'the other two are half of them')
  board.setHealth(at(2), 'unhealthy')
  t.equal(first.failsAlone(a!), false)
  board.setHealth(at(2), 'healthy')
  fail(first, c!, 0, 1)
  t.equal(first.failsAlone(a!), false)
  const single = lanesOf({}, 'only')
  fail(single.first, single.first.all[0]!, 0)
  t.equal(single.first.failsAlone(single.first.all[0]!), false, 'the only one is its version')
})

t.test('where all endpoints fail now and then, hardly a failure is one endpoint’s own', async (t) => {
  const chance = seededChance()
  for (const [count, rate] of [
    [2, 0.1],
    [2, 0.5],
    [4, 0.1],
    [4, 0.5],
  ] as const) {
    const { first } = lanesOf({}, ...Array.from({ length: count }, (_, index) => `h${index}`))
    let failures = 0
    let own = 0
    for (let now = 0; now < 5000; now += 1) {
      const peer = first.choose(WISH, now)
      peer.load.ended(now, 10)
      const isFailure = chance() < rate
      if (isFailure) failures += 1
      if (isFailure && first.failsAlone(peer)) own += 1
      first.noted(peer, isFailure ? 'failure' : 'success', now)
    }
    t.ok(own / failures < 0.2, `${count} endpoints, ${rate} of the requests fail: ${own} of ${failures}`)
  }
})

function seededChance(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
