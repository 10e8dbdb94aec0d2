/**
 * The same key goes to the same endpoint, for models that keep something of a caller (a cache, a sequence). Each
 * endpoint has POINTS_EACH places on a ring (Karger et al. 1997); a key goes to the next one. Adding or losing an
 * endpoint moves only the keys that are its own, and its keys spread over all others.
 */
import { pointOf } from '../../kernel/hash64.ts'
import type { BalanceQuestion, Balancer, Peer } from './balancer.ts'

/** Shares of ten endpoints differ by about 1/√POINTS_EACH. */
export const POINTS_EACH = 160

export const ringHash: Balancer = {
  name: 'ring-hash',
  choose,
  // By the key, so that keys come home one after another, and each only once.
  draw: ({ model, key }, { endpoint }) => pointOf(`${model}\u0000${key}\u0000${endpoint.url}\u0000warm`),
}

interface Place {
  readonly point: number
  readonly peer: Peer
}

const RINGS = new WeakMap<readonly Peer[], readonly Place[]>()

function choose({ all, eligible, model, key }: BalanceQuestion): Peer {
  const ring = ringOf(all)
  const start = firstAtOrAfter(ring, pointOf(`${model}\u0000${key}`))
  // Whoever may not be chosen is passed over; where few may, that is still fewer steps than places.
  const allowed = eligible.length === all.length ? null : new Set(eligible)
  for (let step = 0; step < ring.length; step += 1) {
    const { peer } = ring[(start + step) % ring.length]!
    if (allowed === null || allowed.has(peer)) return peer
  }
  return eligible[0]!
}

/** Made once for the endpoints of a version. Equal addresses written twice are two endpoints. */
function ringOf(all: readonly Peer[]): readonly Place[] {
  let ring = RINGS.get(all)
  if (ring === undefined) {
    const seen = new Map<string, number>()
    ring = all
      .flatMap((peer) => {
        const { url } = peer.endpoint
        const copy = seen.get(url) ?? 0
        seen.set(url, copy + 1)
        return Array.from({ length: POINTS_EACH }, (_, place) => ({
          point: pointOf(`${url}\u0000${copy}\u0000${place}`),
          peer,
        }))
      })
      .sort((one, other) => one.point - other.point)
    RINGS.set(all, ring)
  }
  return ring
}

/** Index of the first place not before `point`; the ring's first behind the last. */
function firstAtOrAfter(ring: readonly Place[], point: number): number {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ring[middle]!.point < point) low = middle + 1
    else high = middle
  }
  return low === ring.length ? 0 : low
}
