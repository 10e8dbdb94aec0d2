/**
 * Documents derived from the schema, so that they cannot say anything else than what is checked: the
 * JSON schema editors complete from, and the table of all keys in config/README.md.
 */
import { z } from 'zod'
import { shapeOf, unwrapped } from './explain-issue.ts'
import { innerOf, wordsOf } from './leaf.ts'
import { NOT_YET } from './not-yet.ts'
import { configSchema } from './schema.ts'

type Schema = z.core.$ZodType

/** Words that are ours and not JSON schema's. */
const OWN_WORDS = ['what', 'expected', 'defaultText', 'standIn']
/** Bounds zod adds because numbers are doubles; they say nothing about the configuration. */
const DOUBLE_BOUNDS = [Number.MAX_SAFE_INTEGER, Number.MAX_VALUE]

export function jsonSchema(): Record<string, unknown> {
  const document = z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema: node, zodSchema }) => {
      const own = node as Record<string, unknown>
      const { expected } = wordsOf(zodSchema)
      if (expected !== undefined && typeof own.description === 'string' && own.type !== 'object') {
        own.description = `${own.description} Expected: ${expected}.`
      }
      for (const word of OWN_WORDS) delete own[word]
      if (DOUBLE_BOUNDS.includes(own.maximum as number)) delete own.maximum
    },
  })
  const { $schema, ...rest } = document
  return { $schema, title: 'modelgate configuration', ...rest }
}

export interface KeyRow {
  readonly key: string
  readonly type: string
  readonly default: string
  readonly meaning: string
}

/** One row for each key, in the order of the schema. `NAME` stands for a chosen name, `[]` for an entry. */
export function keyRows(): KeyRow[] {
  const rows: KeyRow[] = []
  collect(configSchema, [], rows)
  return rows
}

function collect(schema: Schema, path: readonly string[], rows: KeyRow[]): void {
  const inner = unwrapped(schema) ?? schema
  const def = inner._zod.def as { element?: Schema; valueType?: Schema }
  for (const [key, value] of Object.entries(shapeOf(inner) ?? {})) {
    const place = [...path, key]
    rows.push({
      key: keyText(place),
      type: typeOf(value),
      default: defaultOf(value),
      meaning: meaningOf(value, place),
    })
    collect(value, place, rows)
  }
  if (def.valueType !== undefined) {
    const place = [...path, 'NAME']
    const type = typeOf(def.valueType)
    rows.push({ key: keyText(place), type, default: '', meaning: meaningOf(def.valueType, place) })
    collect(def.valueType, place, rows)
  }
  if (def.element !== undefined) collect(def.element, [...path, '[]'], rows)
}

function keyText(path: readonly string[]): string {
  return path.join('.').replaceAll('.[]', '[]')
}

function typeOf(schema: Schema): string {
  const { expected = '' } = wordsOf(schema)
  const element = (unwrapped(schema)?._zod.def as { element?: Schema } | undefined)?.element
  const of = element === undefined ? '' : wordsOf(element).expected
  return of === undefined || of === '' || of === 'a table' ? expected : `${expected}: ${of}`
}

function defaultOf(schema: Schema): string {
  const { defaultText } = wordsOf(schema)
  if (defaultText !== undefined) return defaultText
  const value = fallback(schema)
  if (value === undefined) return schema._zod.def.type === 'optional' ? 'none' : '**required**'
  return isTable(value) ? '' : `\`${JSON.stringify(value)}\``
}

function fallback(schema: Schema): unknown {
  const def = schema._zod.def as { type: string; defaultValue?: unknown }
  if (def.type === 'prefault' || def.type === 'default') return def.defaultValue
  const inner = innerOf(schema)
  return inner === undefined ? undefined : fallback(inner)
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && !Array.isArray(value)
}

function meaningOf(schema: Schema, path: readonly string[]): string {
  const pattern = path.map((step) => (step === 'NAME' || step === '[]' ? '*' : step)).join('.')
  const rows = NOT_YET.filter((row) => row.path.join('.') === pattern)
  const later = rows.length === 0 ? '' : ` *Not implemented yet: ${rows.map((row) => row.what).join(', ')}.*`
  return `${wordsOf(schema).description ?? ''}${later}`
}

/** As Markdown. */
export function keyTable(): string {
  const lines = ['| key | type | default | meaning |', '|---|---|---|---|']
  for (const row of keyRows()) {
    const cells = [`\`${row.key}\``, row.type, row.default, row.meaning]
    lines.push(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
  }
  return lines.join('\n')
}
