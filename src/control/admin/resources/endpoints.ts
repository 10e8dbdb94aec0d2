/** Every endpoint of every remote version: whether it is well, whether it is passed over and why, and what it has to do. */
import type { RemoteVersion, Snapshot } from '../../../domain/routes.ts'
import type { EndpointBoard } from '../../../forward/balance/endpoint-board.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { EndpointHealth } from '../../probes/endpoint-health.ts'
import type { Probed } from '../../probes/prober.ts'
import { json } from '../reply.ts'
import type { Resource } from '../resource.ts'

export interface EndpointsParts {
  readonly snapshot: Snapshot
  readonly clock: Clock
  readonly board: EndpointBoard
  readonly health: EndpointHealth
}

export function endpoints(parts: EndpointsParts): Resource {
  return {
    path: '/api/v1/endpoints',
    summary: 'endpoints of each version: health, standing, load',
    get: () => {
      const remote = parts.snapshot.versions.filter((version) => version.kind === 'remote')
      const at = dated(parts.clock.wall())
      return json({ at, versions: remote.map((version) => describe(version, parts)) })
    },
  }
}

function describe(version: RemoteVersion, { board, health, clock }: EndpointsParts): object {
  const { model, name, balance, firstEndpoint } = version
  return {
    model,
    version: name,
    balance,
    health_ignored: version.health === null ? null : health.isIgnored(version),
    endpoints: version.endpoints.map(({ url }, index) => {
      const number = firstEndpoint + index
      const { outstanding, averageMs } = board.loadOf(number)
      return {
        url,
        health: describeHealth(health.probedOf(number)),
        standing: describeStanding(board, number, clock),
        outstanding,
        average_ms: averageMs === null ? null : rounded(averageMs),
      }
    }),
  }
}

/** Null: it is not asked. */
function describeHealth(probed: Probed | undefined): object | null {
  if (probed === undefined) return null
  const { health, since, last, passed, failed, neutral, target } = probed
  return {
    state: health.is,
    since: since === 0 ? null : dated(since),
    path: target.settings.path,
    passed,
    failed,
    neutral,
    last:
      last === null
        ? null
        : { at: dated(last.at), verdict: last.verdict, detail: last.detail, took_ms: rounded(last.tookMs) },
  }
}

function describeStanding(board: EndpointBoard, endpoint: number, clock: Clock): object {
  const standing = board.standingOf({ side: 'serving', endpoint })
  const { is: state, times } = standing
  if (standing.is === 'in')
    return { state, failures_in_a_row: standing.failures, times_out: times, until: null }
  const until = dated(clock.wall() + standing.until - clock.now())
  return { state, failures_in_a_row: null, times_out: times, until }
}

function dated(unixMs: number): string {
  return new Date(unixMs).toISOString()
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
