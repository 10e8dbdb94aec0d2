/**
 * Parts of the grammar that are checked but do nothing yet. Using one is an error that says so: a
 * setting that is silently ignored is worse than one that is refused. Whoever implements a row removes
 * it here, and nothing else needs to change in this folder but compile.ts.
 */

import type { Path, Report } from './problem.ts'

export interface NotYet {
  /** `*` stands for any key or position. */
  readonly path: readonly string[]
  readonly what: string
  /** Values that ask for nothing and are therefore allowed. */
  readonly off: (value: unknown) => boolean
  readonly instead: string
}

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0

const MODEL = ['models', '*']
const REMOVE = 'nothing: remove the key'

export const NOT_YET: readonly NotYet[] = [
  {
    path: ['governance', 'principals'],
    what: 'principals and tokens',
    off: isEmpty,
    instead: `${REMOVE}; the admin API listens on loopback only`,
  },
  { path: [...MODEL, 'compare', 'segments'], what: 'comparing by segments', off: isEmpty, instead: REMOVE },
]

/** `value` at `path` would be refused because nothing implements it. */
export function isNotYet(path: Path, value: unknown): boolean {
  return NOT_YET.some(
    (row) =>
      row.path.length === path.length &&
      row.path.every((step, depth) => step === '*' || step === path[depth]) &&
      !row.off(value),
  )
}

/** Reports every use in the document; `isSound` tells where the form was right. */
export function refuseNotYet(document: unknown, isSound: (path: Path) => boolean, report: Report): void {
  for (const row of NOT_YET) {
    eachMatch(document, row.path, [], (path, value) => {
      if (row.off(value) || !isSound(path)) return
      report({
        severity: 'error',
        at: path,
        on: 'value',
        message: `recognised, but this version of modelgate does not implement ${row.what} yet`,
        expected: row.instead,
      })
    })
  }
}

type Visit = (path: Path, value: unknown) => void

/** `walked` is reused from call to call; `visit` gets a copy. Depth is the pattern's, never the document's. */
function eachMatch(
  value: unknown,
  pattern: readonly string[],
  walked: (string | number)[],
  visit: Visit,
): void {
  const step = pattern[walked.length]
  if (step === undefined) {
    visit([...walked], value)
    return
  }
  if (typeof value !== 'object' || value === null) return
  const table = value as Readonly<Record<string, unknown>>
  const keys = step !== '*' ? [step] : Object.keys(table)
  for (const key of keys) {
    if (!Object.hasOwn(table, key)) continue
    walked.push(Array.isArray(value) ? Number(key) : key)
    eachMatch(table[key], pattern, walked, visit)
    walked.pop()
  }
}
