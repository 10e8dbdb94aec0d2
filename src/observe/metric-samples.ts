/**
 * Where the samples of metrics come from: the counts of all lanes, by the names that the configuration gives. What
 * is configured is there from the start, with zero; what is not, only once something was counted.
 */
import { type Phase, ROLES } from '../domain/outcome.ts'
import type { BreakerName } from '../domain/plan.ts'
import type { Model, Version } from '../domain/routes.ts'
import { isShadow, reasonsOf, rolesOf } from './configured.ts'
import type { Hdr } from './hdr.ts'
import type { Reading } from './reading.ts'
import { requestSeries, versionSeries } from './series.ts'
import { ATTEMPT_VERDICTS, FAULT_CODES, STATUS_CLASSES } from './slab-layout.ts'
import { reasonNames } from './vitals-slab.ts'

const BREAKER_STATES: readonly BreakerName[] = ['closed', 'half-open', 'open']

/** Label of requests whose model is not configured, and of those that no version answered. */
export const UNKNOWN_MODEL = '(unknown)'
export const NO_VERSION = '(none)'

export interface Sample<Value> {
  /** In the order of the metric's labels. */
  readonly labels: readonly string[]
  readonly value: Value
}

export function* requests(reading: Reading): Iterable<Sample<number>> {
  const { layout, models, snapshot } = reading
  const rows = [
    ...snapshot.versions.map((version) => {
      const reasons: ReadonlySet<string> = reasonsOf(modelOf(reading, version), version.name)
      return { row: version.index, model: version.model, version: version.name, reasons }
    }),
    ...models.map(({ index, name }) => ({
      row: layout.rowWithoutVersion(index),
      model: name,
      ...UNANSWERED,
    })),
    { row: layout.rowWithoutVersion(-1), model: UNKNOWN_MODEL, ...UNANSWERED },
  ]
  for (const { row, model, version, reasons } of rows) {
    for (const [reasonNumber, reason] of reasonNames(snapshot).entries()) {
      for (const [classNumber, statusClass] of STATUS_CLASSES.entries()) {
        const value = reading.sum(layout.requestAt(row, reasonNumber, classNumber))
        if (value === 0 && !reasons.has(reason)) continue
        yield { labels: [model, version, reason === '' ? 'none' : reason, statusClass], value }
      }
    }
  }
}

const UNANSWERED = { version: NO_VERSION, reasons: new Set(['']) }

export function* faults(reading: Reading): Iterable<Sample<number>> {
  const rows = [
    ...reading.models.map(({ index, name }) => ({ index, name })),
    { index: -1, name: UNKNOWN_MODEL },
  ]
  for (const { index, name } of rows) {
    for (const [number, code] of FAULT_CODES.entries()) {
      yield { labels: [name, code], value: reading.sum(reading.layout.faultAt(index, number)) }
    }
  }
}

export function* attempts(reading: Reading): Iterable<Sample<number>> {
  for (const version of reading.snapshot.versions) {
    const configured = rolesOf(modelOf(reading, version), version.name)
    for (const [roleNumber, role] of ROLES.entries()) {
      for (const [number, verdict] of ATTEMPT_VERDICTS.entries()) {
        const value = reading.sum(reading.layout.attemptAt(version.index, roleNumber, number))
        if (value === 0 && !configured.has(role)) continue
        yield { labels: [version.model, version.name, role, verdict], value }
      }
    }
  }
}

export function* breakerStates(reading: Reading): Iterable<Sample<number>> {
  for (const { index, model, name } of reading.snapshot.versions) {
    const { state: current } = reading.breaker(index)
    for (const state of BREAKER_STATES) {
      yield { labels: [model, name, state], value: state === current ? 1 : 0 }
    }
  }
}

/** Of the lane that waits longest. */
export function* hedgeDelays(reading: Reading): Iterable<Sample<number>> {
  for (const { index, model, name } of reading.snapshot.versions) {
    yield { labels: [model, name], value: reading.most(reading.layout.hedgeAt(index, 'after')) / 1000 }
  }
}

export function* requestDurations(reading: Reading): Iterable<Sample<Hdr>> {
  const { shape } = reading.layout
  for (const { index, name } of reading.models) {
    yield { labels: [name], value: reading.histogram(requestSeries(shape, index)) }
  }
  yield { labels: [UNKNOWN_MODEL], value: reading.histogram(requestSeries(shape, -1)) }
}

export function* durations(reading: Reading, phase: Phase): Iterable<Sample<Hdr>> {
  for (const version of reading.snapshot.versions) {
    const configured = rolesOf(modelOf(reading, version), version.name)
    for (const role of ROLES) {
      const value = reading.histogram(versionSeries(version.index, role, phase))
      const isExpected = configured.has(role) && (phase !== 'overhead' || role !== 'shadow')
      if (value.count > 0 || isExpected) yield { labels: [version.model, version.name, role], value }
    }
  }
}

/** Versions that are somebody's shadow, and others only where something was counted. */
export function* ofShadows(
  reading: Reading,
  names: readonly string[],
  at: (versionIndex: number, number: number) => number,
): Iterable<Sample<number>> {
  for (const version of reading.snapshot.versions) {
    const configured = isShadow(modelOf(reading, version).route, version.name)
    for (const [number, name] of names.entries()) {
      const value = reading.sum(at(version.index, number))
      if (value > 0 || configured) yield { labels: [version.model, version.name, name], value }
    }
  }
}

/** Versions whose answers callers can get, and others only where something was counted. */
export function* ofServing<Name extends string>(
  reading: Reading,
  names: readonly Name[],
  at: (version: Version, name: Name, number: number) => number,
): Iterable<Sample<number>> {
  for (const version of reading.snapshot.versions) {
    const roles = rolesOf(modelOf(reading, version), version.name)
    const isServing = [...roles].some((role) => role !== 'shadow')
    for (const [number, name] of names.entries()) {
      const value = reading.sum(at(version, name, number))
      if (value !== 0 || isServing) yield { labels: [version.model, version.name, name], value }
    }
  }
}

export function ofVersions(reading: Reading, at: (version: Version) => number): Iterable<Sample<number>> {
  return reading.snapshot.versions.map((version) => ({
    labels: [version.model, version.name],
    value: reading.sum(at(version)),
  }))
}

export function ofModels(reading: Reading, at: (model: Model) => number): Iterable<Sample<number>> {
  return reading.models.map((model) => ({ labels: [model.name], value: reading.sum(at(model)) }))
}

function modelOf({ snapshot }: Reading, { model }: Version): Model {
  return snapshot.models.get(model)!
}
