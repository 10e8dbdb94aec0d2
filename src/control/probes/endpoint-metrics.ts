/** What is known of endpoints, as metrics read at scrape from shared memory. */
import type { RemoteVersion, Snapshot } from '../../domain/routes.ts'
import type { EndpointBoard } from '../../forward/balance/endpoint-board.ts'
import type { Metric } from '../../observe/metric-table.ts'
import type { EndpointHealth } from './endpoint-health.ts'

export interface EndpointMetricsParts {
  readonly snapshot: Snapshot
  readonly board: EndpointBoard
  readonly health: EndpointHealth
}

export function endpointMetrics({ snapshot, board, health }: EndpointMetricsParts): readonly Metric[] {
  const remote = snapshot.versions.filter((version) => version.kind === 'remote')
  const asked = remote.filter((version) => version.health !== null)
  return [
    gauge(
      'modelgate_endpoints_out',
      'Endpoints that are passed over because they kept failing.',
      remote,
      (version) => countOf(version, (endpoint) => standing(board, endpoint) !== 'in'),
    ),
    gauge(
      'modelgate_endpoints_unhealthy',
      'Endpoints that say they are not well, or do not answer when asked; of versions with `health`.',
      asked,
      (version) => version.endpoints.length - health.healthyCount(version),
    ),
    gauge(
      'modelgate_endpoint_health_ignored',
      '1 while fewer than half of a version’s endpoints are healthy: then all are used.',
      asked,
      (version) => Number(health.isIgnored(version)),
    ),
    {
      name: 'modelgate_endpoint_healthy',
      type: 'gauge',
      labels: ['model', 'version', 'endpoint'],
      help: '1 if the endpoint said that it is well, 0 if not; absent until it was asked, and without `health`.',
      samples: () => asked.flatMap((version) => healthSamples(version, board)),
    },
    {
      name: 'modelgate_probes_total',
      type: 'counter',
      labels: ['model', 'version', 'result'],
      help: 'Questions to endpoints whether they are well, by what they say of the endpoint; one that several versions share counts for each of them.',
      samples: () => asked.flatMap((version) => probeSamples(version, health)),
    },
  ]
}

function gauge(
  name: string,
  help: string,
  versions: readonly RemoteVersion[],
  value: (version: RemoteVersion) => number,
): Metric {
  const samples = () =>
    versions.map((version) => ({ labels: [version.model, version.name], value: value(version) }))
  return { name, type: 'gauge', labels: ['model', 'version'], help, samples }
}

function healthSamples({ model, name, endpoints, firstEndpoint }: RemoteVersion, board: EndpointBoard) {
  return endpoints.flatMap(({ url }, index) => {
    const health = board.healthOf(firstEndpoint + index)
    return health === 'unknown' ? [] : [{ labels: [model, name, url], value: Number(health === 'healthy') }]
  })
}

function probeSamples({ model, name, endpoints, firstEndpoint }: RemoteVersion, health: EndpointHealth) {
  return (['passed', 'failed', 'neutral'] as const).map((result) => {
    const counts = endpoints.map((_, index) => health.probedOf(firstEndpoint + index)?.[result] ?? 0)
    return { labels: [model, name, result], value: counts.reduce((sum, count) => sum + count, 0) }
  })
}

function countOf({ endpoints, firstEndpoint }: RemoteVersion, is: (endpoint: number) => boolean): number {
  return endpoints.filter((_, index) => is(firstEndpoint + index)).length
}

function standing(board: EndpointBoard, endpoint: number): string {
  return board.standingOf({ side: 'serving', endpoint }).is
}
