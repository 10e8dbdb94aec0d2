/**
 * A zod issue in the words of the configuration: what stands there, what was expected, what was probably
 * meant. The words come from the schema itself (leaf.ts), so a new key needs nothing here.
 */
import type { z } from 'zod'
import { nearestName } from '../../kernel/nearest-name.ts'
import { innerOf, wordsOf } from './leaf.ts'
import { type Draft, type Path, shown } from './problem.ts'
import { suggestionFor } from './suggestion.ts'

type Issue = z.core.$ZodIssue
type Schema = z.core.$ZodType

/** One issue may name several unknown keys, so the answer is a list. */
export function explainIssue(issue: Issue, root: Schema, value: unknown): Draft[] {
  const at = issue.path as Path
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownKey([...at, key], root, value))
  const schema = schemaAt(root, at)
  const words = schema === undefined ? {} : wordsOf(schema)
  if (issue.code === 'invalid_key') return [badName(at, root)]
  const actual = valueAt(value, at)
  const expected = words.expected ?? 'something else'
  // A text has a length, too, and zod holds it against the limits of the list that it should have been.
  if (isOfSize(issue) && words.what === 'a list' && !Array.isArray(actual)) return []
  if (actual === undefined) {
    return [
      {
        severity: 'error',
        at,
        on: 'key',
        message: 'this key is required and missing',
        expected,
        absence: true,
      },
    ]
  }
  const message = messageOf(issue, actual, words.what ?? expected)
  return [
    {
      severity: 'error',
      at,
      on: 'value',
      message,
      expected,
      suggestion: schema === undefined ? undefined : suggestionFor(issue, actual, schema, at),
    },
  ]
}

function isOfSize(issue: Issue): issue is z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig {
  return issue.code === 'too_small' || issue.code === 'too_big'
}

function messageOf(issue: Issue, actual: unknown, what: string): string {
  if (issue.code === 'custom') return `${shown(actual)}: ${issue.message}`
  if (isOfSize(issue)) {
    const small = issue.code === 'too_small'
    if (Array.isArray(actual)) return `the list has ${actual.length} entries, too ${small ? 'few' : 'many'}`
    if (issue.origin === 'string')
      return actual === '' ? 'the text is empty' : `the text is too ${small ? 'short' : 'long'}`
    return `${shown(actual)} is too ${small ? 'small' : 'large'}`
  }
  return `${shown(actual)} is not ${what}`
}

function unknownKey(at: Path, root: Schema, value: unknown): Draft {
  const key = String(at[at.length - 1])
  const keys = keysOf(schemaAt(root, at.slice(0, -1)))
  const expected = keys.length === 0 ? 'no such key' : `one of: ${keys.join(', ')}`
  const message = `unknown key ${JSON.stringify(key)}`
  // What is already there cannot be what was meant: it would be there twice.
  const free = keys.filter((each) => valueAt(value, [...at.slice(0, -1), each]) === undefined)
  return {
    severity: 'error',
    at,
    on: 'key',
    message,
    expected,
    suggestion: nearestName(key, free) ?? undefined,
  }
}

function badName(at: Path, root: Schema): Draft {
  const record = unwrapped(schemaAt(root, at.slice(0, -1)))
  const keyType = record === undefined ? undefined : (record._zod.def as { keyType?: Schema }).keyType
  const words = keyType === undefined ? {} : wordsOf(keyType)
  const message = `${shown(at[at.length - 1])} is not ${words.what ?? 'a name'}`
  return { severity: 'error', at, on: 'key', message, expected: words.expected ?? 'a name' }
}

/** A name that objects treat specially; refused wherever it stands. */
export function specialKey(at: Path, root: Schema): Draft {
  const table = unwrapped(schemaAt(root, at.slice(0, -1)))
  return table?._zod.def.type === 'record' ? badName(at, root) : unknownKey(at, root, {})
}

export function keysOf(schema: Schema | undefined): string[] {
  const table = unwrapped(schema)
  return table === undefined ? [] : Object.keys(shapeOf(table) ?? {})
}

/** The schema of what stands at a path; undefined where the grammar has nothing. */
export function schemaAt(root: Schema, path: Path): Schema | undefined {
  let current: Schema | undefined = root
  for (const step of path) {
    const table: Schema | undefined = unwrapped(current)
    if (table === undefined) return undefined
    const def = table._zod.def as { element?: Schema; valueType?: Schema }
    const shape = shapeOf(table)
    if (typeof step === 'number') current = def.element
    else if (shape !== undefined) current = Object.hasOwn(shape, step) ? shape[step] : undefined
    else current = def.valueType
  }
  return current
}

export function shapeOf(schema: Schema): Record<string, Schema> | undefined {
  return (schema._zod.def as { shape?: Record<string, Schema> }).shape
}

export function unwrapped(schema: Schema | undefined): Schema | undefined {
  let current = schema
  for (let inner = current && innerOf(current); inner !== undefined; inner = innerOf(inner)) current = inner
  return current
}

export function valueAt(value: unknown, path: Path): unknown {
  let current = value
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined
    current = (current as Record<string | number, unknown>)[step]
  }
  return current
}
