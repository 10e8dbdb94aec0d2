/** Each endpoint in its turn. The cursor is of one version, so that shadows cannot fall in step with their primary. */
import type { Balancer } from './balancer.ts'

export const roundRobin: Balancer = {
  name: 'round-robin',
  choose: ({ eligible, cursor }) => eligible[cursor % eligible.length]!,
  draw: ({ chance }) => chance.next(),
}
