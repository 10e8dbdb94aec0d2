/**
 * One run: a strategy meets a profile at a utilisation. Requests come at random moments (Poisson) of a fixed rate and do
 * not wait for each other, so an overload shows. Same seed, same run.
 */
import { Agenda } from './agenda.ts'
import { ENDPOINTS, MEAN_MS, type Profile, SLOTS } from './profiles.ts'
import { SeededChance } from './seeded-chance.ts'
import { SimulatedEndpoint } from './simulated-endpoint.ts'
import { SimulatedGateway } from './simulated-gateway.ts'
import { configured, type Strategy } from './strategies.ts'

export interface Run {
  readonly strategy: Strategy
  readonly profile: Profile
  /** Work that comes, as a share of what all endpoints can do when they are well. */
  readonly utilisation: number
  readonly requests: number
  readonly seed: number
}

export interface Outcome {
  readonly strategy: string
  readonly profile: string
  readonly utilisation: number
  readonly requests: number
  /** Of all requests; Infinity where one without a good answer stands. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  /** Requests without a good answer, as a share. */
  readonly errors: number
  /** Of all that was sent, what the first endpoint got. */
  readonly firstShare: number
  /** Sent beyond one for each request, as a share. */
  readonly extraLoad: number
}

const KEYS = Array.from({ length: 10_000 }, (_, user) => `user-${user}`)

export function simulate({ strategy, profile, utilisation, requests, seed }: Run): Outcome {
  const agenda = new Agenda()
  const everyMs = MEAN_MS / (ENDPOINTS * SLOTS * utilisation)
  const lengthMs = requests * everyMs
  const chanceOf = (part: number) => new SeededChance(seed * 1_000 + part)
  const endpoints = Array.from(
    { length: ENDPOINTS },
    (_, index) => new SimulatedEndpoint({ index, agenda, profile, chance: chanceOf(index), lengthMs }),
  )
  const took = new Float64Array(requests).fill(Number.POSITIVE_INFINITY)
  let good = 0
  const gateway = new SimulatedGateway({
    agenda,
    chance: chanceOf(ENDPOINTS),
    configured: configured(strategy),
    endpoints,
    done: (tookMs, isGood) => {
      if (!isGood) return
      took[good] = tookMs
      good += 1
    },
  })
  const arrivals = chanceOf(ENDPOINTS + 1)
  let left = requests
  const arrive = (): void => {
    left -= 1
    if (left > 0) agenda.at(agenda.now + arrivals.exponential(everyMs), arrive)
    gateway.take(KEYS[Math.floor(arrivals.next() * KEYS.length)]!)
  }
  agenda.at(0, arrive)
  agenda.run()
  const sorted = took.sort()
  const sent = endpoints.reduce((sum, { came }) => sum + came, 0)
  return {
    strategy: strategy.name,
    profile: profile.name,
    utilisation,
    requests,
    p50Ms: nearestRank(sorted, 0.5),
    p99Ms: nearestRank(sorted, 0.99),
    p999Ms: nearestRank(sorted, 0.999),
    errors: 1 - good / requests,
    firstShare: endpoints[0]!.came / sent,
    extraLoad: sent / requests - 1,
  }
}

function nearestRank(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
