/**
 * The cheaper of two endpoints drawn at random ("power of two choices", Mitzenmacher 2001): nearly as even as asking
 * all, without everybody running to the same one at once.
 */
import type { BalanceQuestion, Balancer, Peer } from './balancer.ts'

export const leastLoaded: Balancer = {
  name: 'least-loaded',
  choose,
  draw: ({ chance }) => chance.next(),
}

function choose({ eligible, chance, now }: BalanceQuestion): Peer {
  const count = eligible.length
  if (count === 1) return eligible[0]!
  const first = Math.floor(chance.next() * count)
  // Drawn from the others, so never the same twice.
  const second = (first + 1 + Math.floor(chance.next() * (count - 1))) % count
  const [one, other] = [eligible[first]!, eligible[second]!]
  return other.load.cost(now) < one.load.cost(now) ? other : one
}
