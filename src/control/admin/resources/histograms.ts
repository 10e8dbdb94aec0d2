/** The histograms themselves, in a form that other nodes and other languages can add up. */
import { json } from '../reply.ts'
import type { AdminParts, Resource } from '../resource.ts'

export function histograms({ observatory, clock }: AdminParts): Resource {
  return {
    path: '/api/v1/histograms',
    summary: 'the same durations as encoded HdrHistogram V2 (base64, µs), mergeable',
    get: () => {
      const series = observatory.histograms()
      return json({ at: new Date(clock.wall()).toISOString(), unit: 'us', encoding: 'hdr-v2', series })
    },
  }
}
