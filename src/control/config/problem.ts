/**
 * What the checker says. A `Draft` names the place by its path in the document; a `Problem` names it by
 * line and column too, and is what people and programs read. Problems are values, never thrown: every
 * check reports and goes on, so one run shows everything that is wrong.
 */
export type Path = readonly (string | number)[]

export interface Problem {
  readonly severity: 'error' | 'warning'
  readonly file: string
  /** Both from 1. */
  readonly line: number
  readonly column: number
  /** Columns the offending text is long on its line; at least 1. */
  readonly length: number
  /** `models.fraud.route.canary.percent`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  readonly expected: string
  /** What was probably meant, as it would be typed. */
  readonly suggestion?: string
}

export interface Draft {
  readonly severity: 'error' | 'warning'
  readonly at: Path
  /** What to point at: the key's name, or what stands behind it. */
  readonly on: 'key' | 'value'
  readonly message: string
  readonly expected: string
  readonly suggestion?: string | undefined
  /** The problem is that something is not there, which may only seem so where lines are unreadable. */
  readonly absence?: boolean
}

export type Report = (draft: Draft) => void

const BARE_KEY = /^[A-Za-z0-9_-]+$/

/** As it would be written in TOML, with list positions in brackets: `route.rules[0].when."x y"`. */
export function pathText(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += `${text === '' ? '' : '.'}${BARE_KEY.test(step) ? step : JSON.stringify(step)}`
  }
  return text
}

/** A key that is not needed to find a path in a map, only unique for it. */
export function pathId(path: Path): string {
  return JSON.stringify(path)
}

/** In the order of the file; at one place, errors first. */
export function byPlace(left: Problem, right: Problem): number {
  if (left.line !== right.line) return left.line - right.line
  if (left.column !== right.column) return left.column - right.column
  if (left.severity !== right.severity) return left.severity === 'error' ? -1 : 1
  return left.path < right.path ? -1 : left.path > right.path ? 1 : 0
}

const SHOWN_MAX = 60

/** A value of the document as a message shows it; never longer than 60 characters or so. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}…` : value)
  }
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value)
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a date'
  return 'a table'
}
