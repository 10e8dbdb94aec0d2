/** Percentiles of every duration, from the merged histograms of all lanes; and the limits in force. */
import { json } from '../reply.ts'
import type { AdminParts, Resource } from '../resource.ts'

export function stats({ observatory, clock }: AdminParts): Resource {
  return {
    path: '/api/v1/stats',
    summary: 'percentiles per model, version, role and phase, in ms; limits in force per model',
    get: () =>
      json({
        at: new Date(clock.wall()).toISOString(),
        limits: observatory.limits(),
        durations: observatory.stats(),
      }),
  }
}
