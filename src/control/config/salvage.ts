/**
 * Checks a document against the schema and, when it fails, cuts out what is wrong until the rest passes,
 * so that the rules about meaning still see everything that is right and one run shows all problems.
 *
 * What was cut is remembered: rules say nothing about a place whose value is not the written one.
 */
import type { z } from 'zod'
import { Cuts } from './cuts.ts'
import { explainIssue, schemaAt, specialKey, unwrapped } from './explain-issue.ts'
import { wordsOf } from './leaf.ts'
import { type Draft, type Path, pathId, type Report } from './problem.ts'
import type { Checked } from './schema.ts'
import { configSchema } from './schema.ts'

export interface Salvaged {
  /** What is right, with defaults; null when cutting did not lead to anything valid. */
  readonly checked: Checked | null
  /** Where something was cut, in the document's own positions. */
  readonly cuts: Cuts
  /** Position in the document of what is at a path of `checked` (lists may have become shorter). */
  original(path: Path): Path
}

/** Deeper than any place the schema knows (8); what is below belongs to a key that is refused itself. */
const GRAMMAR_DEPTH = 16
const SPECIAL = '__proto__'
const OPTIONAL: ReadonlySet<string> = new Set(['optional', 'default', 'prefault'])

type Container = Record<string | number, unknown>

/** Cutting a required key cuts the table around it in the next round; tables nest less deep than this. */
const ROUNDS_MAX = 16

export function salvage(value: unknown, report: Report): Salvaged {
  const special = specialKeys(value)
  for (const path of special) report(specialKey(path, configSchema))
  const first = special.length === 0 ? configSchema.safeParse(value) : undefined
  if (first?.success === true) return { checked: first.data, cuts: new Cuts(), original: (path) => path }
  const surgery = new Surgery(copied(value))
  for (const path of special) surgery.remove(path)
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const result = configSchema.safeParse(surgery.value)
    if (result.success) return surgery.salvaged(result.data)
    if (round === 0) for (const draft of draftsOf(result.error, surgery, value)) report(draft)
    surgery.cutAll(result.error.issues)
  }
  return surgery.salvaged(null)
}

function draftsOf(error: z.ZodError, surgery: Surgery, value: unknown): Draft[] {
  return error.issues.flatMap((issue) => {
    const path = surgery.original(issue.path as Path) as PropertyKey[]
    return explainIssue({ ...issue, path } as z.core.$ZodIssue, configSchema, value)
  })
}

/** Keys that zod's records pass over in silence. */
function specialKeys(value: unknown): Path[] {
  if (!hasSpecialKey(value)) return []
  const found: Path[] = []
  const waiting: { value: unknown; path: Path }[] = [{ value, path: [] }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next.value !== 'object' || next.value === null || next.path.length > GRAMMAR_DEPTH) continue
    for (const [key, inner] of Object.entries(next.value)) {
      const path = [...next.path, Array.isArray(next.value) ? Number(key) : key]
      if (key === SPECIAL) found.push(path)
      else if (typeof inner === 'object') waiting.push({ value: inner, path })
    }
  }
  return found
}

/** The usual answer is no; found without a path for each of thousands of values, and without recursion. */
function hasSpecialKey(value: unknown): boolean {
  const waiting: unknown[] = [value]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null) continue
    if (Object.hasOwn(next, SPECIAL)) return true
    for (const inner of Array.isArray(next) ? next : Object.values(next)) {
      if (typeof inner === 'object') waiting.push(inner)
    }
  }
  return false
}

/** Below the grammar's depth nothing is ever cut, so what is there may be shared. */
function copied(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date || depth > GRAMMAR_DEPTH)
    return value
  if (Array.isArray(value)) return value.map((inner) => copied(inner, depth + 1))
  // fromEntries defines properties, so a key named __proto__ stays a key.
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copied(inner, depth + 1)]))
}

class Surgery {
  readonly value: unknown
  readonly #cuts = new Cuts()
  /** For each list that lost entries: the original position of every entry that is left. */
  readonly #positions = new Map<string, number[]>()

  constructor(value: unknown) {
    this.value = value
  }

  salvaged(checked: Checked | null): Salvaged {
    return { checked, cuts: this.#cuts, original: (path) => this.original(path) }
  }

  original(path: Path): Path {
    const result: (string | number)[] = []
    for (const step of path) {
      const positions = typeof step === 'number' ? this.#positions.get(pathId(result)) : undefined
      result.push(positions?.[step as number] ?? step)
    }
    return result
  }

  /** Removes what each issue is about, or the table around it when the key is missing. */
  cutAll(issues: readonly z.core.$ZodIssue[]): void {
    const targets = new Map<string, Path>()
    for (const issue of issues) {
      const path = issue.path as Path
      const paths = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path]
      for (const each of paths) {
        if (this.#standIn(each)) continue
        const target = this.#present(each)
        targets.set(pathId(target), target)
      }
    }
    // From the back and inside first, so that no removal moves what another one is about.
    for (const path of [...targets.values()].sort(fromTheBack)) this.remove(path)
  }

  remove(path: Path): void {
    const parent = this.#at(path.slice(0, -1))
    const step = path[path.length - 1]
    if (step === undefined || parent === undefined || !Object.hasOwn(parent, step)) return
    this.#cuts.add(this.original(path))
    if (Array.isArray(parent)) this.#splice(path.slice(0, -1), parent, step as number)
    else delete parent[step]
  }

  /** Puts a harmless value where a required one is wrong or missing; false where there is none to put. */
  #standIn(path: Path): boolean {
    const step = path[path.length - 1]
    const parent = this.#at(path.slice(0, -1))
    const table = unwrapped(schemaAt(configSchema, path.slice(0, -1)))
    const schema = schemaAt(configSchema, path)
    if (typeof step !== 'string' || parent === undefined || schema === undefined) return false
    const { standIn } = wordsOf(schema)
    const required = table?._zod.def.type === 'object' && !OPTIONAL.has(schema._zod.def.type)
    if (!required || standIn === undefined) return false
    this.#cuts.add(this.original(path))
    parent[step] = standIn
    return true
  }

  /** The path, or the longest beginning of it that exists. */
  #present(path: Path): Path {
    let depth = path.length
    while (depth > 0) {
      const parent = this.#at(path.slice(0, depth - 1))
      if (parent !== undefined && Object.hasOwn(parent, path[depth - 1]!)) break
      depth -= 1
    }
    return path.slice(0, depth)
  }

  #splice(path: Path, list: unknown[], index: number): void {
    const id = pathId(this.original(path))
    const positions = this.#positions.get(id) ?? list.map((_, position) => position)
    positions.splice(index, 1)
    this.#positions.set(id, positions)
    list.splice(index, 1)
  }

  #at(path: Path): Container | undefined {
    let current: unknown = this.value
    for (const step of path) {
      if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined
      current = (current as Container)[step]
    }
    return typeof current === 'object' && current !== null ? (current as Container) : undefined
  }
}

function fromTheBack(left: Path, right: Path): number {
  const shared = Math.min(left.length, right.length)
  for (let index = 0; index < shared; index += 1) {
    const [a, b] = [left[index]!, right[index]!]
    if (a === b) continue
    if (typeof a === 'number' && typeof b === 'number') return b - a
    return String(a) < String(b) ? 1 : -1
  }
  return right.length - left.length
}
