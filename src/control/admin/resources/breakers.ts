/** The state of every breaker, with the reason of its last changes. */
import { json } from '../reply.ts'
import type { AdminParts, Resource } from '../resource.ts'

export function breakers({ observatory, clock }: AdminParts): Resource {
  return {
    path: '/api/v1/breakers',
    summary: 'state of each version’s breaker, since when and why, and recent changes',
    get: () => json({ at: new Date(clock.wall()).toISOString(), breakers: observatory.breakers() }),
  }
}
