/**
 * `modelgate check`: says everything that is wrong with a configuration, the way a good compiler does,
 * and nothing else happens: no port is opened, no model is loaded, no record is written.
 *
 * Exit codes: 0 valid, 1 invalid, 2 wrong usage, 3 the file could not be read.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type LoadResult, loadConfig } from '../control/config/load.ts'
import type { Problem } from '../control/config/problem.ts'
import type { Snapshot } from '../domain/routes.ts'
import { askedOf } from './asked.ts'

export interface CheckOutput {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** ANSI colours; only when stdout is a terminal. */
  readonly color?: boolean
}

const DEFAULT_FILE = 'gateway.toml'

const USAGE = `Usage: modelgate check [FILE] [--config FILE] [--json]

Checks a configuration (default: ${DEFAULT_FILE} in this directory) and shows every
problem with its place, what was expected and what was probably meant.

  --config FILE   the file to check; the same as FILE
  --json          one JSON document instead of text
  --help          this text

Exit code: 0 valid, 1 invalid, 2 wrong usage, 3 the file could not be read.
`

type Request = { readonly file: string; readonly json: boolean; readonly help: boolean }

export async function check(args: readonly string[], io: CheckOutput): Promise<number> {
  const request = askedOf(() => parseRequest(args), { command: 'modelgate check', usage: USAGE, io })
  if (typeof request === 'number') return request
  const result = loadConfig(request.file, { generation: 1, cores: availableParallelism() })
  if (request.json) io.stdout(`${JSON.stringify(asData(request.file, result), null, 2)}\n`)
  else if (!result.ok && result.text === null)
    io.stderr(`modelgate check: ${request.file}: ${result.problems[0]?.message}\n`)
  else io.stdout(asText(request.file, result, io.color === true ? COLORS : PLAIN))
  if (result.ok) return 0
  return result.text === null ? 3 : 1
}

function parseRequest(args: readonly string[]): Request | string {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const files = [...new Set(values.config === undefined ? positionals : [...positionals, values.config])]
  if (files.length > 1) return `one file at a time, not ${files.length}: ${files.join(', ')}`
  if (files[0] === '') return 'the file name is empty'
  return { file: files[0] ?? DEFAULT_FILE, json: values.json === true, help: values.help === true }
}

function asData(file: string, result: LoadResult): unknown {
  const problems = result.ok ? result.warnings : result.problems
  const counts = { errors: count(problems, 'error'), warnings: count(problems, 'warning') }
  if (!result.ok) return { file, valid: false, ...counts, problems }
  const models = [...result.snapshot.models.values()].map((model) => ({
    name: model.name,
    protocol: model.protocol,
    versions: [...model.versions.keys()],
  }))
  return { file, valid: true, ...counts, hash: result.snapshot.hash, models, problems }
}

interface Paint {
  readonly error: (text: string) => string
  readonly warning: (text: string) => string
  readonly good: (text: string) => string
  readonly bold: (text: string) => string
  readonly faint: (text: string) => string
}

const plain = (text: string): string => text
const ansi = (code: string) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
const PLAIN: Paint = { error: plain, warning: plain, good: plain, bold: plain, faint: plain }
const COLORS: Paint = {
  error: ansi('1;31'),
  warning: ansi('1;33'),
  good: ansi('1;32'),
  bold: ansi('1'),
  faint: ansi('2'),
}

function asText(file: string, result: LoadResult, paint: Paint): string {
  const problems = result.ok ? result.warnings : result.problems
  const lines = (result.text ?? '').replace(/^\uFEFF/, '').split('\n')
  const blocks = problems.map((problem) => `${block(problem, lines, paint)}\n\n`).join('')
  return `${blocks}${result.ok ? summary(file, result.snapshot, problems.length, paint) : verdict(file, problems, paint)}\n`
}

function block(problem: Problem, lines: readonly string[], paint: Paint): string {
  const { file, line, column, path, message, severity } = problem
  const where = path === '' ? '' : `${path}: `
  const head = `${paint.bold(`${file}:${line}:${column}:`)} ${paint[severity](`${severity}:`)} ${where}${printable(message)}`
  const parts = [head, ...excerpt(problem, lines[line - 1] ?? '', paint)]
  parts.push(`  ${paint.faint('expected')} ${printable(problem.expected)}`)
  if (problem.suggestion !== undefined)
    parts.push(`  ${paint.faint('did you mean')} ${printable(problem.suggestion)}${paint.faint('?')}`)
  return parts.join('\n')
}

const EXCERPT_CHARS_MAX = 160

/** The source line and a marker below it; tabs stay tabs in both, so they line up. */
function excerpt({ line, column, length, severity }: Problem, source: string, paint: Paint): string[] {
  if (source.trim() === '' || column > EXCERPT_CHARS_MAX) return []
  const shown = printable(source.replace(/\r$/, '').slice(0, EXCERPT_CHARS_MAX))
  const gutter = `${String(line).padStart(5)} | `
  const lead = shown.slice(0, column - 1).replace(/[^\t]/g, ' ')
  const marker = '^'.repeat(Math.max(1, Math.min(length, shown.length - column + 1)))
  return [`${paint.faint(gutter)}${shown}`, `${paint.faint('      | ')}${lead}${paint[severity](marker)}`]
}

/** A configuration may be somebody else's: its control characters do not reach the terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, '\uFFFD')
}

function verdict(file: string, problems: readonly Problem[], paint: Paint): string {
  const counts = [counted(count(problems, 'error'), 'error'), counted(count(problems, 'warning'), 'warning')]
  return `${paint.error('invalid')} ${file}: ${counts.join(', ')}`
}

function summary(file: string, snapshot: Snapshot, warnings: number, paint: Paint): string {
  const rows = [...snapshot.models.values()].map((model) => {
    const versions = [...model.versions.values()].map((version) => `${version.name} (${kindOf(version)})`)
    return `  ${model.name}  ${model.protocol}  ${versions.join(', ')}`
  })
  const counts = `${counted(snapshot.models.size, 'model')}, ${counted(snapshot.versions.length, 'version')}`
  const tail = `${counted(warnings, 'warning')}, configuration ${snapshot.hash.slice(0, 12)}`
  return [`${paint.good('valid')} ${file}: ${counts}, ${tail}`, ...rows].join('\n')
}

function kindOf(version: Snapshot['versions'][number]): string {
  return version.kind === 'local' ? version.runtime : counted(version.endpoints.length, 'endpoint')
}

function count(problems: readonly Problem[], severity: Problem['severity']): number {
  return problems.filter((problem) => problem.severity === severity).length
}

function counted(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`
}
