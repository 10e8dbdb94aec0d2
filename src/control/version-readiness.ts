/**
 * What is ready and what is not, in words: the log, the lanes, and for each model whether its primary
 * version can answer. A model whose local primary is down makes the gateway not ready; any other version that
 * is down is told but has a declared consequence. Endpoints that say they are not well are told, too, and no reason:
 * every gateway before them would leave at once, and take all other models along.
 */
import type { Model, Snapshot } from '../domain/routes.ts'
import type { VersionState } from '../lane-messages.ts'
import type { EndpointHealth } from './probes/endpoint-health.ts'

export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

export class VersionReadiness {
  readonly #snapshot: Snapshot
  readonly #endpoints: Pick<EndpointHealth, 'healthyCount'>
  /** By lane, the last word of each on its local versions. */
  readonly #states = new Map<number, readonly VersionState[]>()

  constructor(snapshot: Snapshot, endpoints: Pick<EndpointHealth, 'healthyCount'>) {
    this.#snapshot = snapshot
    this.#endpoints = endpoints
  }

  update(lane: number, states: readonly VersionState[]): void {
    this.#states.set(lane, states)
  }

  /** Local versions that do not answer, each once, for the start-up message. */
  problems(): readonly string[] {
    const words = [...this.#states.values()].flat().filter(({ ready }) => !ready)
    return [...new Set(words.map(({ detail, reason }) => (reason === '' ? detail : `${detail}: ${reason}`)))]
  }

  checks(): readonly Check[] {
    return [...this.#snapshot.models.values()].map((model) => {
      const down = this.#downOf(model.name, model.route.primary)
      return {
        name: `model ${model.name}`,
        ok: down === undefined,
        detail: down?.detail ?? this.#wellOf(model),
      }
    })
  }

  #wellOf({ versions, route }: Model): string {
    const primary = versions.get(route.primary)
    if (primary?.kind !== 'remote' || primary.health === null) return 'primary can answer'
    const { length } = primary.endpoints
    const healthy = this.#endpoints.healthyCount(primary)
    if (healthy === length) return 'primary can answer'
    return `${healthy} of ${length} endpoints of the primary are healthy`
  }

  #downOf(model: string, version: string): VersionState | undefined {
    for (const states of this.#states.values()) {
      const down = states.find((state) => state.model === model && state.version === version && !state.ready)
      if (down !== undefined) return down
    }
    return undefined
  }
}
