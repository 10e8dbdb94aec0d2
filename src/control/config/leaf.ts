/**
 * Building blocks of the schema: one function for each kind of value in gateway.toml. Each carries, as
 * zod metadata, the words people read: `description` (what it does), `what` (what it is) and `expected`
 * (what may stand there). Messages, the JSON schema and the table in config/README.md all derive from it.
 */
import { z } from 'zod'
import type { Parsed } from './address.ts'
import { DURATION, durationMs, durationText, SIZE, sizeBytes, sizeText } from './units.ts'

export interface Words {
  readonly description?: string
  readonly what?: string
  readonly expected?: string
  /** Said in documents where the default is not a fixed value. */
  readonly defaultText?: string
  /** Stands where a required value is wrong, so that what is around it can still be checked. */
  readonly standIn?: unknown
}

/** The words attached to a schema, looking through optional, default and similar wrappers. */
export function wordsOf(schema: z.core.$ZodType): Words {
  const own = (z.globalRegistry.get(schema) ?? {}) as Words
  const inner = innerOf(schema)
  return inner === undefined ? own : { ...wordsOf(inner), ...own }
}

/** What a wrapper wraps; undefined for everything else. A pipe counts as what goes in. */
export function innerOf(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  const def = schema._zod.def as { type: string; innerType?: z.core.$ZodType; in?: z.core.$ZodType }
  return def.innerType ?? (def.type === 'pipe' ? def.in : undefined)
}

/** Milliseconds. Bounds as written, inclusive. */
export function duration(min: string, max: string, description: string) {
  const [minMs, maxMs] = [durationMs(min), durationMs(max)]
  return z
    .string()
    .regex(DURATION)
    .transform(durationMs)
    .pipe(z.number().min(minMs).max(maxMs))
    .meta({
      description,
      what: 'a duration',
      expected: `a duration from ${durationText(minMs)} to ${durationText(maxMs)}, such as "250ms", "1s" or "5m"`,
    })
}

/** Bytes. */
export function size(min: string, max: string, description: string) {
  const [minBytes, maxBytes] = [sizeBytes(min), sizeBytes(max)]
  return z
    .string()
    .regex(SIZE)
    .transform(sizeBytes)
    .pipe(z.number().min(minBytes).max(maxBytes))
    .meta({
      description,
      what: 'a size',
      expected: `a size from ${sizeText(minBytes)} to ${sizeText(maxBytes)}, such as "16KiB" or "4MiB"`,
    })
}

export function whole(min: number, max: number, description: string) {
  const expected = `a whole number from ${min} to ${max}`
  return z.int().min(min).max(max).meta({ description, what: 'a whole number', expected })
}

export function number(min: number, max: number, description: string) {
  return z
    .number()
    .min(min)
    .max(max)
    .meta({ description, what: 'a number', expected: `a number from ${min} to ${max}` })
}

/** Any finite number. */
export function quantity(description: string) {
  return z.number().meta({ description, what: 'a number', expected: 'a finite number' })
}

export function percent(description: string) {
  return number(0, 100, description).meta({ standIn: 0 })
}

/** A part of the whole, above 0. */
export function share(description: string) {
  return z.number().gt(0).max(1).meta({ description, what: 'a share', expected: 'a number above 0, up to 1' })
}

export function flag(description: string) {
  return z.boolean().meta({ description, what: 'true or false', expected: 'true or false' })
}

export function choice<const T extends readonly [string, ...string[]]>(values: T, description: string) {
  const expected = values.map((value) => `"${value}"`).join(' or ')
  return z.enum(values).meta({ description, what: expected, expected, standIn: values[0] })
}

export function auto(max: number, description: string) {
  const expected = `"auto" or a whole number from 1 to ${max}`
  return z.union([z.literal('auto'), z.int().min(1).max(max)]).meta({ description, what: expected, expected })
}

/** Any text of 1 to `max` characters. */
export function text(max: number, what: string, description: string) {
  return z
    .string()
    .min(1)
    .max(max)
    .meta({ description, what, expected: `${what}, 1 to ${max} characters` })
}

/** Text that must match as a whole. */
export function pattern(grammar: RegExp, what: string, expected: string, description: string) {
  return z.string().regex(grammar).meta({ description, what, expected })
}

/** Text in a small language of its own. */
export function parsed<T>(
  parse: (text: string) => Parsed<T>,
  words: { what: string; expected: string; description: string; standIn?: string },
) {
  return z
    .string()
    .transform((text, issues): T => {
      const result = parse(text)
      if (result.ok) return result.value
      issues.addIssue({ code: 'custom', message: result.message, params: { suggestion: result.suggestion } })
      return z.NEVER
    })
    .meta(words)
}

/** A list with its own limits. */
export function list<T extends z.ZodType>(
  item: T,
  limits: { min: number; max: number },
  description: string,
) {
  const expected =
    limits.min === 0
      ? `a list of at most ${limits.max} entries`
      : `a list of ${limits.min} to ${limits.max} entries`
  return z.array(item).min(limits.min).max(limits.max).meta({ description, what: 'a list', expected })
}

/** A table with exactly these keys. */
export function table<T extends z.core.$ZodLooseShape>(shape: T, description: string) {
  return z.strictObject(shape).meta({ description, what: 'a table', expected: 'a table' })
}

/** A table whose keys are names chosen by whoever writes the file. */
export function named<K extends z.ZodType<string, string>, V extends z.ZodType>(
  name: K,
  value: V,
  description: string,
) {
  return z
    .record(name as never, value)
    .meta({ description, what: 'a table', expected: 'a table' }) as unknown as z.ZodRecord<z.ZodString, V>
}
