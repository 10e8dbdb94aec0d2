/**
 * Which endpoint of a version comes next. For now each in turn; the cursor is an argument, so that one
 * version's traffic (every second request a shadow, say) cannot fall in step with another's.
 */
import type { Endpoint } from '../domain/routes.ts'

/** `cursor`: how many were chosen before, of this version. */
export function roundRobin(endpoints: readonly Endpoint[], cursor: number): Endpoint {
  return endpoints[cursor % endpoints.length]!
}
