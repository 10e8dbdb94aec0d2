/**
 * Of so many endpoints, how many can be chosen at least, whatever they did and say: half. The others would be run over
 * next; and where more than half look ill, it is as likely that the look is wrong.
 */
export const ELIGIBLE_SHARE_MIN = 0.5

export function leastEligible(endpoints: number): number {
  return Math.ceil(endpoints * ELIGIBLE_SHARE_MIN)
}
