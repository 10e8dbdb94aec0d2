/**
 * Whether an endpoint is healthy, by what it answers when it is asked: a machine with one `step`. The first answer of all
 * decides alone: of an endpoint nothing is known that a single bad answer could contradict. From then on it takes
 * several in a row to change anything.
 */
export type Health =
  | { readonly is: 'unknown' }
  /** `against`: answers in a row that say otherwise. */
  | { readonly is: 'healthy'; readonly against: number }
  | { readonly is: 'unhealthy'; readonly against: number }

export type HealthEvent = 'passed' | 'failed'

/** How many in a row make it so. */
export interface HealthTerms {
  readonly healthy: number
  readonly unhealthy: number
}

export const UNKNOWN: Health = { is: 'unknown' }
const HEALTHY: Health = { is: 'healthy', against: 0 }
const UNHEALTHY: Health = { is: 'unhealthy', against: 0 }

export function step(health: Health, event: HealthEvent, terms: HealthTerms): Health {
  switch (health.is) {
    case 'unknown':
      return event === 'passed' ? HEALTHY : UNHEALTHY
    case 'healthy':
      if (event === 'passed') return HEALTHY
      return health.against + 1 < terms.unhealthy ? { is: 'healthy', against: health.against + 1 } : UNHEALTHY
    case 'unhealthy':
      if (event === 'failed') return UNHEALTHY
      return health.against + 1 < terms.healthy ? { is: 'unhealthy', against: health.against + 1 } : HEALTHY
  }
}
