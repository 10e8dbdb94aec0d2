/**
 * How an endpoint that came back gets its share again, little by little ("slow start"): its caches are cold, its
 * connections are not made yet, and everybody waits for it. From SHARE_AT_FIRST the share grows evenly over the time
 * that the configuration gives it. Deterministic: time and chance are arguments.
 */
export const SHARE_AT_FIRST = 0.1

/** Of its own share, above 0 up to 1. `since`: when it came back; 0: it was always there. */
export function warmth(since: number, now: number, slowStartMs: number): number {
  if (since === 0 || slowStartMs === 0) return 1
  return Math.min(1, Math.max(SHARE_AT_FIRST, (now - since) / slowStartMs))
}

/**
 * Whether the one whose turn it is has to let another one go first: as often as it is colder than the warmest. `draw`
 * in [0, 1). The warmest never gives way, so that asking again among the others comes to an end.
 */
export function givesWay(one: number, warmest: number, draw: number): boolean {
  return draw * warmest >= one
}
