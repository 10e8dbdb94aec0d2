/**
 * Text to plain values, with every syntax error. Parsing stops at the first error, so the section it is
 * in is blanked (line numbers and, where possible, its header stay) and the rest is parsed again: one
 * error per section, no cascades. A duplicate blanks only its own line, and its section if that does not
 * heal it.
 *
 * Only door to smol-toml. Deterministic; never throws, whatever the text.
 */
import { parse, TomlError } from 'smol-toml'
import { type Duplicate, duplicateAt } from './duplicate.ts'
import { isHeader, sectionEnd, sectionStart } from './sections.ts'
import { Unreadable } from './unreadable.ts'

export interface SyntaxProblem {
  /** Both from 1. */
  readonly line: number
  readonly column: number
  readonly message: string
  /** Not null when something valid is written twice. */
  readonly duplicate: Duplicate | null
}

export interface TomlDocument {
  readonly value: Readonly<Record<string, unknown>>
  /** What was parsed in the end: the text with unreadable lines blanked. */
  readonly text: string
  readonly problems: readonly SyntaxProblem[]
  /** What `value` may lack although it is written. */
  readonly unreadable: Unreadable
}

/** More syntax errors than this are not looked for. */
export const SYNTAX_PROBLEMS_MAX = 50
const NESTING_MAX = 64

interface Failure {
  readonly line: number
  readonly column: number
  readonly message: string
  readonly repeated: boolean
}

export function parseToml(text: string): TomlDocument {
  const problems: SyntaxProblem[] = []
  const lines = text.replace(/^\uFEFF/, '').split('\n')
  const unreadable = new Unreadable()
  // Sections in which something was already reported: what else breaks there is blanked without a word.
  const reported = new Set<number>()
  while (problems.length < SYNTAX_PROBLEMS_MAX) {
    const remaining = lines.join('\n')
    const outcome = attempt(remaining)
    if ('value' in outcome) return { value: outcome.value, text: remaining, problems, unreadable }
    const found = atItsCause(lines, outcome)
    const { line, column, message, repeated } = found
    const start = sectionStart(lines, line - 1)
    const duplicate = repeated ? duplicateAt(lines, start, found) : null
    if (!reported.has(start) || repeated) problems.push({ line, column, message, duplicate })
    reported.add(start)
    if (!cut(lines, start, found, unreadable)) break
  }
  unreadable.addAll()
  return { value: {}, text: '', problems, unreadable }
}

function attempt(text: string): { value: Record<string, unknown> } | Failure {
  try {
    return { value: parse(text, { maxDepth: NESTING_MAX }) }
  } catch (error) {
    if (error instanceof TomlError) return described(error)
    // A parser that gives up in its own way (stack, memory) still yields a problem, at the top.
    return { line: 1, column: 1, message: 'this is not valid TOML', repeated: false }
  }
}

function described(error: TomlError): Failure {
  const reason = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '')
  const repeated = reason.includes('redefine')
  const message = repeated ? 'this key or table is already defined' : `invalid TOML: ${reason}`
  return { line: error.line, column: Math.max(1, error.column), message, repeated }
}

/** A list or table that is not closed is noticed at the next header; its own section is to blame. */
function atItsCause(lines: readonly string[], failure: Failure): Failure {
  const index = failure.line - 1
  if (failure.repeated || index === 0 || !isHeader(lines[index] ?? '')) return failure
  const before = attempt(lines.slice(0, index).join('\n'))
  if ('value' in before || before.repeated) return failure
  let last = index - 1
  while (last > 0 && lines[last]!.trim() === '') last -= 1
  const column = lines[last]!.trimEnd().length + 1
  return { ...before, line: last + 1, column, message: `${before.message} before the next section` }
}

/** Blanks as little as heals; false when there was nothing left to blank, so that the search ends. */
function cut(lines: string[], start: number, { line, column, repeated }: Failure, to: Unreadable): boolean {
  const own = line - 1
  if (repeated && own !== start) {
    // The first of two keys on one line goes with the second.
    if (lines[own]!.slice(0, column - 1).trim() !== '') to.add(lines, start, sectionEnd(lines, start))
    return blank(lines, own, own + 1)
  }
  const end = sectionEnd(lines, start)
  // A second header with nothing below it takes nothing away.
  const isBare = repeated && lines.slice(start + 1, end).every((each) => /^\s*(?:#.*)?$/.test(each))
  if (!isBare) to.add(lines, start, end)
  if (own !== start && isHeader(lines[start]!) && blank(lines, start + 1, end)) return true
  if (!isBare) to.loseHeader(lines[start]!)
  return blank(lines, start, end)
}

function blank(lines: string[], from: number, to: number): boolean {
  let changed = false
  for (let index = from; index < to; index += 1) {
    changed ||= lines[index] !== ''
    lines[index] = ''
  }
  return changed
}
