/**
 * What comes of asking endpoints whether they are well: all lanes see it in shared memory when they next choose, and it
 * is told in the log and as a record when it changes, and in metrics and the admin API at any time. Nothing of it is
 * on a request's path.
 *
 * What most endpoints of a version say may be wrong, or right and still no reason to run the others over: lanes ignore it
 * where fewer than half are healthy. This says so.
 */
import type { Notes } from '../../audit/records/notes.ts'
import type { RemoteVersion, Snapshot } from '../../domain/routes.ts'
import type { EndpointBoard } from '../../forward/balance/endpoint-board.ts'
import type { Chance } from '../../kernel/chance.ts'
import type { Clock } from '../../kernel/clock.ts'
import { leastEligible } from '../../kernel/least-eligible.ts'
import type { Health } from './health.ts'
import { type AddressesOf, probeOf } from './probe.ts'
import { AT_ONCE, type Probed, type ProbePlace, Prober, probeTargets } from './prober.ts'

export interface EndpointHealthParts {
  readonly snapshot: Snapshot
  readonly board: EndpointBoard
  readonly clock: Clock
  readonly chance: Chance
  readonly addressesOf: AddressesOf
  /** How many endpoints are asked at once; default AT_ONCE. */
  readonly atOnce?: number
  record(note: Notes['endpoint']): void
  log(line: string): void
}

export class EndpointHealth {
  readonly #parts: EndpointHealthParts
  readonly #prober: Prober
  /** By the endpoint's number. */
  readonly #probed: ReadonlyMap<number, Probed>

  constructor(parts: EndpointHealthParts) {
    const { snapshot, clock, chance, atOnce = AT_ONCE } = parts
    this.#parts = parts
    this.#prober = new Prober({
      targets: probeTargets(snapshot),
      clock,
      chance,
      atOnce,
      askOf: ({ endpoint, settings }) => probeOf(endpoint, settings, parts.addressesOf),
      onChange: (probed, from) => {
        for (const place of probed.target.places) this.#changed(place, probed, from)
      },
    })
    this.#probed = new Map(
      this.#prober.probed.flatMap((probed) =>
        probed.target.places.map(({ endpoint }) => [endpoint, probed] as const),
      ),
    )
  }

  start(): void {
    this.#prober.start()
  }

  stop(): void {
    this.#prober.stop()
  }

  /** Undefined: it is not asked. */
  probedOf(endpoint: number): Probed | undefined {
    return this.#probed.get(endpoint)
  }

  healthyCount({ endpoints, firstEndpoint }: RemoteVersion): number {
    return endpoints.filter((_, index) => !this.#parts.board.isUnhealthy(firstEndpoint + index)).length
  }

  /** So few endpoints are healthy that lanes use all of them. */
  isIgnored(version: RemoteVersion): boolean {
    return this.healthyCount(version) < leastEligible(version.endpoints.length)
  }

  #changed({ version, endpoint }: ProbePlace, { target, health, last }: Probed, from: Health['is']): void {
    const { board, clock, record } = this.#parts
    const wasIgnored = this.isIgnored(version)
    const place = { version: version.index, endpoint }
    const isOut = health.is === 'unhealthy'
    // Before anybody may choose it again, so that its share begins small.
    if (from === 'unhealthy') {
      for (const side of ['serving', 'shadow'] as const)
        board.note({ ...place, side }, 'recovered', clock.now())
    }
    board.setHealth(place, health.is)
    if (from === 'unknown' && !isOut) return
    const cause = `${target.settings.path} ${last?.detail ?? ''}`
    const what = { endpoint: target.endpoint.url, model: version.model, version: version.name }
    record({ at: clock.wall(), lane: -1, ...what, out: isOut, forMs: 0, cause })
    this.#tell(version, { url: target.endpoint.url, cause, isOut, wasIgnored })
  }

  #tell(version: RemoteVersion, { url, cause, isOut, wasIgnored }: Told): void {
    const { log } = this.#parts
    const whose = `model ${version.model}, version ${version.name}`
    const isIgnored = this.isIgnored(version)
    const outcome = isIgnored ? 'it is used all the same' : 'it gets no requests'
    log(
      isOut
        ? `endpoint ${url} of ${whose} is unhealthy (${cause}): ${outcome}`
        : `endpoint ${url} of ${whose} is healthy again`,
    )
    if (isIgnored === wasIgnored) return
    const healthy = `${this.healthyCount(version)} of ${version.endpoints.length} endpoints healthy`
    log(
      isIgnored
        ? `${whose}: ${healthy}, fewer than half: HEALTH IS IGNORED, all endpoints are used`
        : `${whose}: ${healthy}: those that are not get no requests`,
    )
  }
}

interface Told {
  readonly url: string
  readonly cause: string
  readonly isOut: boolean
  /** Before this change. */
  readonly wasIgnored: boolean
}
