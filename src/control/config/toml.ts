/**
 * Text to plain values, with every syntax error. Parsing stops at the first error, so the section it is
 * in is blanked (line numbers stay) and the rest is parsed again: one error per section, no cascades.
 * A duplicate blanks only its own line, and its section if that does not heal it.
 *
 * Only door to smol-toml. Deterministic; never throws, whatever the text.
 */
import { parse, TomlError } from 'smol-toml'

export interface SyntaxProblem {
  /** Both from 1. */
  readonly line: number
  readonly column: number
  readonly message: string
  readonly duplicate: boolean
}

export interface TomlDocument {
  readonly value: Readonly<Record<string, unknown>>
  /** What was parsed in the end: the text with unreadable lines blanked. */
  readonly text: string
  readonly problems: readonly SyntaxProblem[]
  /** Nothing but repeated lines was left out, so `value` is all that is written. */
  readonly complete: boolean
}

/** More syntax errors than this are not looked for. */
export const SYNTAX_PROBLEMS_MAX = 50
const NESTING_MAX = 64
const HEADER = /^\s*\[{1,2}[^[\]{},=]+\]{1,2}\s*(?:#.*)?$/

export function parseToml(text: string): TomlDocument {
  const problems: SyntaxProblem[] = []
  const lines = text.replace(/^\uFEFF/, '').split('\n')
  // Sections in which something was already reported: what else breaks there is blanked without a word.
  const reported = new Set<number>()
  let complete = true
  while (problems.length < SYNTAX_PROBLEMS_MAX) {
    const remaining = lines.join('\n')
    const outcome = attempt(remaining)
    if ('value' in outcome) return { value: outcome.value, text: remaining, problems, complete }
    const found = outcome.problem
    const start = sectionStart(lines, found.line - 1)
    if (!reported.has(start) || found.duplicate) problems.push(found)
    const ownLineOnly = found.duplicate && start !== found.line - 1
    reported.add(start)
    complete &&= ownLineOnly
    if (
      !blank(lines, ownLineOnly ? found.line - 1 : start, ownLineOnly ? found.line : sectionEnd(lines, start))
    )
      break
  }
  return { value: {}, text: '', problems, complete: false }
}

function attempt(text: string): { value: Record<string, unknown> } | { problem: SyntaxProblem } {
  try {
    return { value: parse(text, { maxDepth: NESTING_MAX }) }
  } catch (error) {
    if (error instanceof TomlError) return { problem: described(error) }
    // A parser that gives up in its own way (stack, memory) still yields a problem, at the top.
    return { problem: { line: 1, column: 1, message: 'this is not valid TOML', duplicate: false } }
  }
}

function described(error: TomlError): SyntaxProblem {
  const reason = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '')
  const duplicate = reason.includes('redefine')
  const message = duplicate ? 'this key or table is already defined' : `invalid TOML: ${reason}`
  return { line: error.line, column: Math.max(1, error.column), message, duplicate }
}

function sectionStart(lines: readonly string[], line: number): number {
  for (let index = Math.min(line, lines.length - 1); index > 0; index -= 1) {
    if (HEADER.test(lines[index]!)) return index
  }
  return 0
}

function sectionEnd(lines: readonly string[], start: number): number {
  for (let index = start + 1; index < lines.length; index += 1) {
    if (HEADER.test(lines[index]!)) return index
  }
  return lines.length
}

/** False when there was nothing left to blank, so that the search ends. */
function blank(lines: string[], from: number, to: number): boolean {
  let changed = false
  for (let index = from; index < to; index += 1) {
    changed ||= lines[index] !== ''
    lines[index] = ''
  }
  return changed
}
