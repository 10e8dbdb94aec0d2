/**
 * When an endpoint is passed over because of what it did: a machine with one `step`, told how attempts ended.
 * FAILURES_MAX failures in a row put it out for a while; then the next request that comes its way is a trial: whether
 * it is in again, or out for longer, is decided by how that ends. Envoy's outlier detection with shorter times: an
 * endpoint of a version is one of few.
 *
 * It says only what this endpoint deserves. How many of a version may be out at once is decided by whoever chooses
 * (peers.ts).
 */
export const FAILURES_MAX = 5
/** Each time it is put out again the time grows by this, up to OUT_MS_MAX. */
export const OUT_MS = 5_000
export const OUT_MS_MAX = 60_000
/** A trial that says nothing for so long is not waited for: another request may be one. */
export const TRIAL_MS = 5_000
/** So long in good standing makes up for one time out. */
export const FORGIVEN_AFTER_MS = 60_000

export type Standing =
  /** `times`: how often it was put out before `since`, when it came back; 0: it was always there. */
  | { readonly is: 'in'; readonly failures: number; readonly times: number; readonly since: number }
  | { readonly is: 'out'; readonly until: number; readonly times: number }
  | { readonly is: 'trial'; readonly until: number; readonly times: number }

/**
 * `neutral` says nothing of the endpoint: a caller that left, 429. `chosen`: a request goes there. `recovered`: it was
 * found unhealthy by asking, and now healthy.
 */
export type StandingEvent = 'success' | 'failure' | 'neutral' | 'chosen' | 'recovered'

export const GOOD_STANDING: Standing = { is: 'in', failures: 0, times: 0, since: 0 }

export function step(standing: Standing, event: StandingEvent, now: number): Standing {
  if (event === 'recovered') return backIn(standing.times, now)
  switch (standing.is) {
    case 'in':
      return inStep(standing, event, now)
    case 'out':
      // Others end that were sent before, or because too many were out: a success is good news whenever it comes.
      if (event === 'success') return backIn(standing.times, now)
      return event === 'chosen' ? tried(standing, now) : standing
    case 'trial':
      if (event === 'success') return backIn(standing.times, now)
      if (event === 'failure') return putOut(standing.times, now)
      if (event === 'chosen') return tried(standing, now)
      // A trial that said nothing is tried again at once.
      return { is: 'out', until: now, times: standing.times }
  }
}

/** It may be chosen for its own sake. While a trial is under way it may not. */
export function isWelcome(standing: Standing, now: number): boolean {
  return standing.is === 'in' || standing.until <= now
}

type In = Extract<Standing, { is: 'in' }>

function tried(standing: Exclude<Standing, In>, now: number): Standing {
  return standing.until <= now ? { is: 'trial', until: now + TRIAL_MS, times: standing.times } : standing
}

function inStep(standing: In, event: StandingEvent, now: number): Standing {
  if (event === 'success') return standing.failures === 0 ? standing : { ...standing, failures: 0 }
  if (event !== 'failure') return standing
  const failures = standing.failures + 1
  if (failures < FAILURES_MAX) return { ...standing, failures }
  const forgiven = Math.floor((now - standing.since) / FORGIVEN_AFTER_MS)
  return putOut(Math.max(0, standing.times - forgiven), now)
}

function backIn(times: number, now: number): Standing {
  return { is: 'in', failures: 0, times, since: now }
}

function putOut(times: number, now: number): Standing {
  return { is: 'out', until: now + Math.min(OUT_MS * (times + 1), OUT_MS_MAX), times: times + 1 }
}
