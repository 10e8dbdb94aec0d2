import t from 'tap'
import { Peers } from '../../../src/forward/balance/peers.ts'
import { tell, verdictOf } from '../../../src/forward/balance/verdict.ts'
import { endpointAt } from '../../support/endpoint-at.ts'
import { LoadedChance } from '../../support/loaded-chance.ts'
import { versionOf } from '../carry.ts'

const NOW = 5_000
const PATIENCE_MS = 1_000

/** The cost of an endpoint that took 10 ms before, once it is told of one more request. */
function costAfter(observed: Omit<Parameters<typeof tell>[2], 'patienceMs'>): number {
  const version = versionOf(endpointAt('a', 1), endpointAt('b', 1))
  const peers = new Peers(version, { chance: new LoadedChance(0) })
  const [peer] = peers.all
  for (const one of [{ verdict: 'success', tookMs: 12, firstByteMs: 10 } as const, observed]) {
    peer!.load.started()
    tell(peers, peer!, { ...one, patienceMs: PATIENCE_MS }, NOW)
  }
  t.equal(peer!.load.outstanding, 0)
  return peer!.load.cost(NOW)
}

t.test('what an end says of its endpoint', async (t) => {
  t.strictSame([200, 404, 429, 500, 599].map(verdictOf), [
    'success',
    'success',
    'neutral',
    'failure',
    'failure',
  ])
  t.equal(
    costAfter({ verdict: 'success', tookMs: 900, firstByteMs: 40 }),
    40,
    'its answer began after so long',
  )
  t.equal(
    costAfter({ verdict: 'failure', tookMs: 1, firstByteMs: 1 }),
    PATIENCE_MS,
    'failing fast is no virtue',
  )
  t.equal(costAfter({ verdict: 'failure', tookMs: 4_000, firstByteMs: 1 }), 4_000)
  t.equal(costAfter({ verdict: 'neutral', tookMs: 5, firstByteMs: -1 }), 10, 'a caller that left at once')
  t.equal(costAfter({ verdict: 'neutral', tookMs: 60, firstByteMs: -1 }), 60, 'at least so long')
  t.equal(costAfter({ verdict: 'neutral', tookMs: 60_000, firstByteMs: 10 }), 10, 'a stream that was left')
})
