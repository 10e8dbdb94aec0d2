/** Everything the admin server answers, in the order of the front page. One file per resource. */
import type { AdminParts, Resource } from './resource.ts'
import { breakers } from './resources/breakers.ts'
import { config } from './resources/config.ts'
import { frontPage } from './resources/front-page.ts'
import { healthz } from './resources/healthz.ts'
import { histograms } from './resources/histograms.ts'
import { metrics } from './resources/metrics.ts'
import { models } from './resources/models.ts'
import { readyz } from './resources/readyz.ts'
import { stats } from './resources/stats.ts'

export function resources(parts: AdminParts): readonly Resource[] {
  const listed = [
    healthz(),
    readyz(parts),
    metrics(parts),
    stats(parts),
    histograms(parts),
    breakers(parts),
    models(parts),
    config(parts),
    ...(parts.more ?? []),
  ]
  return [frontPage(parts, listed), ...listed]
}
