/**
 * Sections of a TOML text, read line by line: where they begin and end, and which keys they are about.
 * Works on text that no parser accepts, so it guesses; a wrong guess may hide a problem for one run, and
 * must never make one up.
 */
import type { Path } from './problem.ts'

const HEADER = /^\s*\[{1,2}[^[\]{},=]+\]{1,2}\s*(?:#.*)?$/
/** As HEADER, but also with brackets missing or astray. */
const LIKE_HEADER = /^[\s[]*(?=["'A-Za-z0-9_-])/
const KEY_PART = /[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*/y

export function isHeader(line: string): boolean {
  return HEADER.test(line)
}

/** Index of the header above `line`, or 0. All lines from 0 here. */
export function sectionStart(lines: readonly string[], line: number): number {
  for (let index = Math.min(line, lines.length - 1); index > 0; index -= 1) {
    if (isHeader(lines[index]!)) return index
  }
  return 0
}

/** Index after the last line of the section that begins at `start`. */
export function sectionEnd(lines: readonly string[], start: number): number {
  for (let index = start + 1; index < lines.length; index += 1) {
    if (isHeader(lines[index]!)) return index
  }
  return lines.length
}

export interface WrittenKey {
  readonly path: readonly string[]
  /** Characters it takes, blanks around it not counted. */
  readonly length: number
}

/** The dotted key that begins at `from`; its path is empty when there is none. */
export function keyAt(line: string, from: number): WrittenKey {
  const path: string[] = []
  let end = from
  let next = from
  for (;;) {
    KEY_PART.lastIndex = next
    const match = KEY_PART.exec(line)
    if (match === null) break
    path.push(match[1] ?? match[2] ?? match[3] ?? '')
    end = next + match[0].trimEnd().length
    next = KEY_PART.lastIndex
    if (line[next] !== '.') break
    next += 1
  }
  return { path, length: end - from }
}

/** The path a header names, without positions in lists; empty when `line` is no header. */
export function headerPath(line: string): readonly string[] {
  return isHeader(line) ? looseKey(line) : []
}

/** What the lines from `from` to before `to` may be about; the first may be the section's header. */
export function subjects(lines: readonly string[], from: number, to: number): Path[] {
  const base = headerPath(lines[sectionStart(lines, from)] ?? '')
  const found: Path[] = base.length === 0 ? [] : [base]
  for (const line of lines.slice(from, to)) {
    const path = looseKey(line)
    if (path.length === 0) continue
    // A pair belongs to its section; what is no pair may have been meant as a header of its own.
    if (base.length === 0 || !line.includes('=')) found.push(path)
  }
  return found
}

function looseKey(line: string): readonly string[] {
  const lead = LIKE_HEADER.exec(line)
  return lead === null ? [] : keyAt(line, lead[0].length).path
}
