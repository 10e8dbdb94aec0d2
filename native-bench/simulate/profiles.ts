/**
 * How endpoints behave, profile by profile. All serve a request in 5 ms and a random time of 5 ms on average, four at a
 * time; the first endpoint of a profile is the one that is ill, unless all are.
 */
import type { SeededChance } from './seeded-chance.ts'

export const ENDPOINTS = 5
export const SLOTS = 4
export const MEAN_MS = 10
const FIXED_MS = 5

/** What an endpoint does with a request that reaches it. */
export type Manner =
  /** Works on it for so long, when one of its slots is free. */
  | { readonly does: 'serve'; readonly ms: number }
  /** Answers with this status after so long, without any work. */
  | { readonly does: 'answer'; readonly status: number; readonly ms: number }
  | { readonly does: 'refuse' }
  | { readonly does: 'hang' }

export interface Profile {
  readonly name: string
  readonly says: string
  /** `index`: of the endpoint; `share`: of the simulated time, 0 to 1. */
  manner(index: number, chance: SeededChance, moment: Moment): Manner
  /** The work of all endpoints rests now and then. */
  readonly pauses?: Pauses
}

export interface Moment {
  /** Ms since the beginning, and of how many. */
  readonly now: number
  readonly lengthMs: number
}

export interface Pauses {
  readonly everyMs: number
  readonly forMs: number
}

const serve = (chance: SeededChance, times = 1): Manner => ({
  does: 'serve',
  ms: times * (FIXED_MS + chance.exponential(MEAN_MS - FIXED_MS)),
})

/** 5 % take 300 ms more, and need no slot for it: they wait for something else. */
const LATE_SHARE = 0.05
const LATE_MS = 300
const bimodal = (chance: SeededChance): Manner =>
  chance.next() < LATE_SHARE ? { does: 'answer', status: 200, ms: LATE_MS } : serve(chance)

const RESTART_AT = 0.25
const DOWN_FOR_MS = 2_000
const WARM_AFTER_MS = 10_000
const COLD_TIMES = 10

/** Refuses while it restarts, and is cold at first. */
function restarted(chance: SeededChance, { now, lengthMs }: Moment): Manner {
  const sinceMs = now - RESTART_AT * lengthMs
  if (sinceMs < 0) return serve(chance)
  if (sinceMs < DOWN_FOR_MS) return { does: 'refuse' }
  const warmth = Math.min(1, (sinceMs - DOWN_FOR_MS) / WARM_AFTER_MS)
  return serve(chance, COLD_TIMES + (1 - COLD_TIMES) * warmth)
}

export const PROFILES: readonly Profile[] = [
  { name: 'uniform', says: 'all well', manner: (_, chance) => serve(chance) },
  {
    name: 'one slow',
    says: 'one takes ten times as long',
    manner: (index, chance) => serve(chance, index === 0 ? 10 : 1),
  },
  {
    name: 'one bimodal',
    says: 'of one, 5 % of answers take 300 ms',
    manner: (index, chance) => (index === 0 ? bimodal(chance) : serve(chance)),
  },
  { name: 'all bimodal', says: 'of all, 5 % of answers take 300 ms', manner: (_, chance) => bimodal(chance) },
  {
    name: 'one failing fast',
    says: 'one answers 500 after 1 ms',
    manner: (index, chance) => (index === 0 ? { does: 'answer', status: 500, ms: 1 } : serve(chance)),
  },
  {
    name: 'one refusing',
    says: 'one refuses connections',
    manner: (index, chance) => (index === 0 ? { does: 'refuse' } : serve(chance)),
  },
  {
    name: 'one hanging',
    says: 'one takes requests and never answers',
    manner: (index, chance) => (index === 0 ? { does: 'hang' } : serve(chance)),
  },
  {
    name: 'pauses',
    says: 'each rests for 150 ms every 5 s, one after the other',
    manner: (_, chance) => serve(chance),
    pauses: { everyMs: 5_000, forMs: 150 },
  },
  {
    name: 'one restarting',
    says: 'one is down for 2 s, then ten times slower, and warm after 10 s',
    manner: (index, chance, moment) => (index === 0 ? restarted(chance, moment) : serve(chance)),
  },
  {
    name: 'all slower',
    says: 'all take twice as long in the second half',
    manner: (_, chance, { now, lengthMs }) => serve(chance, now < lengthMs / 2 ? 1 : 2),
  },
]
