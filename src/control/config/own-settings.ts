/**
 * The grammar, checks and values of tables that strategies declare themselves (decide/strategies), so
 * that a new strategy needs no line in this folder.
 */
import type { z } from 'zod'
import { STRATEGIES } from '../../decide/strategies/index.ts'
import { FALLBACK } from '../../domain/plan.ts'
import type { Field, Settings, SettingValue } from '../../domain/settings.ts'
import * as leaf from './leaf.ts'
import { header, versionName } from './schema-words.ts'

/** Entries of one list in a strategy's own table. */
const LIST_MAX = 1024
const TEXT_MAX = 4096

/** Keys under `route` as people write them, in order of precedence. */
export const PRECEDENCE: readonly string[] = STRATEGIES.map(({ reason }) =>
  reason === 'rule' ? 'rules' : reason,
)

/** Snapshot.reasons. */
export const REASONS: readonly string[] = [...STRATEGIES.map(({ reason }) => reason), FALLBACK]

export function ownTables(): Record<string, z.ZodType> {
  const tables: Record<string, z.ZodType> = {}
  for (const { reason, form } of STRATEGIES) {
    if (form === null) continue
    const shape: Record<string, z.ZodType> = {}
    for (const [key, field] of Object.entries(form.fields)) shape[key] = withFallback(schemaOf(field), field)
    tables[reason] = leaf.table(shape, form.about).optional()
  }
  return tables
}

/** What is written for strategies with a form of their own, by reason; `route` as checked. */
export function ownSettings(route: object): ReadonlyMap<string, Settings> {
  const settings = new Map<string, Settings>()
  const written = route as Readonly<Record<string, Settings | undefined>>
  for (const { reason, form } of STRATEGIES) {
    const own = form === null ? undefined : written[reason]
    if (own !== undefined) settings.set(reason, own)
  }
  return settings
}

export interface VersionReference {
  /** Below `route`: `['canary', 'version']`. */
  readonly at: readonly (string | number)[]
  readonly version: string
}

/** Every place in the own tables that names a version. */
export function ownReferences(route: object): readonly VersionReference[] {
  const references: VersionReference[] = []
  for (const [reason, settings] of ownSettings(route)) {
    const fields = STRATEGIES.find((strategy) => strategy.reason === reason)?.form?.fields ?? {}
    for (const [key, field] of Object.entries(fields)) {
      const value = settings[key]
      if (field.kind === 'version') references.push({ at: [reason, key], version: String(value) })
      if (field.kind !== 'versions' || !Array.isArray(value)) continue
      for (const [index, version] of value.entries()) references.push({ at: [reason, key, index], version })
    }
  }
  return references
}

function schemaOf(field: Field): z.ZodType {
  const { about } = field
  switch (field.kind) {
    case 'version':
      return versionName(about)
    case 'versions':
      return leaf.list(versionName(about), { min: 1, max: LIST_MAX }, about)
    case 'percent':
      return leaf.percent(about)
    case 'whole':
      return leaf.whole(field.min, field.max, about)
    case 'flag':
      return leaf.flag(about)
    case 'text':
      return leaf.text(TEXT_MAX, 'text', about)
    case 'texts':
      return leaf.list(leaf.text(TEXT_MAX, 'text', about), { min: 1, max: LIST_MAX }, about)
    case 'header':
      return header(about)
    case 'duration':
      return leaf.duration('1ms', '400d', about)
  }
}

/** `fallback` is in the parsed form; a duration's is written back as the user would write it. */
function withFallback(schema: z.ZodType, field: Field): z.ZodType {
  if (field.fallback === undefined) return schema
  const written: SettingValue = field.kind === 'duration' ? `${String(field.fallback)}ms` : field.fallback
  return schema.prefault(written)
}
