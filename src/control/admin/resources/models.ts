/**
 * Each model as configured beside what is in effect: breaker states, load, and how many requests each
 * version really answered. Configured and effective weights differ when fallbacks or rules take part.
 */
import type { Consequence, Model, Version } from '../../../domain/routes.ts'
import type { BreakerReport, ModelTraffic } from '../../../observe/reports.ts'
import { plain } from '../plain.ts'
import { json } from '../reply.ts'
import type { AdminParts, Resource } from '../resource.ts'

export function models({ observatory, snapshot }: AdminParts): Resource {
  return {
    path: '/api/v1/models',
    summary: 'models and versions: route as configured, and what is in effect',
    get: () => {
      const { models: configured, generation } = snapshot()
      const breakers = observatory.breakers()
      const traffic = new Map(observatory.traffic().map((one) => [one.model, one]))
      const described = [...configured.values()].map((model) =>
        describe(model, traffic.get(model.name), breakers),
      )
      return json({ generation, models: described })
    },
  }
}

function describe(
  model: Model,
  traffic: ModelTraffic | undefined,
  breakers: readonly BreakerReport[],
): object {
  const { name, protocol, route, limits, onFailure, compare } = model
  const requests = traffic?.requests ?? 0
  return {
    name,
    protocol,
    route: plain(route),
    limits,
    on_failure: Object.fromEntries(
      Object.entries(onFailure).map(([key, steps]) => [key, steps.map(written)]),
    ),
    compared_outputs: compare.length,
    requests,
    running: traffic?.running ?? 0,
    queued: traffic?.queued ?? 0,
    versions: [...model.versions.values()].map((version) => {
      const served = traffic?.served.get(version.name) ?? 0
      const breaker = breakers.find((one) => one.model === name && one.version === version.name)
      return {
        ...placeOf(version),
        breaker: breaker?.state ?? 'closed',
        served,
        served_share: requests === 0 ? null : Math.round((served / requests) * 1e4) / 1e4,
      }
    }),
  }
}

function placeOf(version: Version): object {
  const { name, kind } = version
  if (version.kind === 'local') return { name, kind, runtime: version.runtime, file: version.fileAsWritten }
  return { name, kind, endpoints: version.endpoints.map(({ url }) => url), rename: version.rename }
}

/** As the configuration writes it. */
function written(step: Consequence): string {
  if (step.do === 'version') return `version:${step.version}`
  return step.do === 'reply' ? `reply:${step.file}` : 'fail'
}
