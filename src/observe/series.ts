/**
 * The histograms there can be, numbered: one for each version × role × phase, then one for each model's
 * requests as their callers saw them, then one for requests of no known model. The number is what a lane
 * announces, so it means the same on both sides of one configuration.
 */
import { PHASES, type Phase, ROLES, type Role } from '../domain/outcome.ts'
import type { Snapshot } from '../domain/routes.ts'
import type { SlabShape } from './slab-layout.ts'

const OF_A_VERSION = ROLES.length * PHASES.length

/** Numbers of roles and phases, so that a series' number is arithmetic and not a search. */
export const ROLE_NUMBER = Object.fromEntries(ROLES.map((role, index) => [role, index])) as Readonly<
  Record<Role, number>
>
export const PHASE_NUMBER = Object.fromEntries(PHASES.map((phase, index) => [phase, index])) as Readonly<
  Record<Phase, number>
>

export function seriesCount({ versions, models }: SlabShape): number {
  return versions * OF_A_VERSION + models + 1
}

export function versionSeries(versionIndex: number, role: Role, phase: Phase): number {
  return versionIndex * OF_A_VERSION + ROLE_NUMBER[role] * PHASES.length + PHASE_NUMBER[phase]
}

/** From receipt to the answer ready to leave. `modelIndex` -1: no known model. */
export function requestSeries({ versions, models }: SlabShape, modelIndex: number): number {
  return versions * OF_A_VERSION + (modelIndex === -1 ? models : modelIndex)
}

export interface SeriesName {
  /** Empty: no known model. */
  readonly model: string
  /** Empty where it is a series of the model. */
  readonly version: string
  readonly role: Role | ''
  readonly phase: Phase | 'request'
}

export function nameOfSeries(series: number, snapshot: Snapshot): SeriesName {
  const ofVersions = snapshot.versions.length * OF_A_VERSION
  if (series < ofVersions) {
    const version = snapshot.versions[Math.floor(series / OF_A_VERSION)]!
    const within = series % OF_A_VERSION
    const role = ROLES[Math.floor(within / PHASES.length)]!
    return { model: version.model, version: version.name, role, phase: PHASES[within % PHASES.length]! }
  }
  const modelIndex = series - ofVersions
  const model = [...snapshot.models.values()].find(({ index }) => index === modelIndex)
  return { model: model?.name ?? '', version: '', role: '', phase: 'request' }
}
