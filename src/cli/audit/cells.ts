/**
 * Values of an answer as text: cells of CSV (RFC 4180), of a table on a terminal, and lines of JSON.
 *
 * CSV is opened with spreadsheets, which run text that looks like a formula, and user agents and paths are what callers
 * sent. So text that begins with = + - @, a tab or a carriage return gets an apostrophe in front, as spreadsheets
 * themselves write text; numbers of ours do not. Whoever needs the bytes as they are takes JSON Lines or Parquet.
 */
import type { Plain } from '../../audit/index/plain-value.ts'
import { legible } from '../legible.ts'

const FORMULA = /^[=+\-@\t\r]/

/** Null is an empty cell, empty text is `""`. */
export function csvCell(value: Plain): string {
  if (value === null) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return `"${(FORMULA.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`
}

/** The same in SQL, of a column or expression of text; must agree with `csvCell`. */
export function csvCellInSql(column: string): string {
  const guarded = `CASE WHEN regexp_matches(${column}, '^[=+\\-@\\t\\r]') THEN '''' || ${column} ELSE ${column} END`
  return `'"' || replace(${guarded}, '"', '""') || '"'`
}

/** One line; a line break in a value is shown, not made. */
export function shownCell(value: Plain): string {
  if (value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return legible(text).replaceAll('\n', '\\n')
}

export function jsonRow(columns: readonly string[], row: readonly Plain[]): string {
  return JSON.stringify(Object.fromEntries(columns.map((name, at) => [name, row[at] ?? null])))
}
