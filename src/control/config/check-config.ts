/**
 * One text, checked completely: syntax, shape, meaning, files. Reports every problem it can find in one
 * run, and compiles only when there is no error. Deterministic: files are read through functions it is
 * given. Never throws, whatever the text.
 */
import type { Snapshot } from '../../domain/routes.ts'
import { compile } from './compile.ts'
import type { Duplicate } from './duplicate.ts'
import { valueAt } from './explain-issue.ts'
import { checkFiles, type FileAccess } from './files.ts'
import { refuseNotYet } from './not-yet.ts'
import { type Places, placesOf } from './positions.ts'
import { byPlace, type Draft, type Path, type Problem, pathText, type Report } from './problem.ts'
import { checkAnswers } from './rules/answers.ts'
import { checkCallers, checkCaptureSubject, checkServerRates } from './rules/callers.ts'
import { checkConsequences } from './rules/consequences.ts'
import { checkEndpoints } from './rules/endpoints.ts'
import { checkHealth } from './rules/health.ts'
import { checkHedging } from './rules/hedging.ts'
import { checkLimits } from './rules/limits.ts'
import { checkRoute } from './rules/route.ts'
import { modelScope } from './rules/scope.ts'
import { checkServer } from './rules/server.ts'
import { checkTimeouts } from './rules/timeouts.ts'
import { checkVersions } from './rules/versions.ts'
import { type Salvaged, salvage } from './salvage.ts'
import type { Checked } from './schema.ts'
import { settle } from './settle.ts'
import { checkServerTls, checkTlsFiles } from './tls-files.ts'
import { parseToml, type TomlDocument } from './toml.ts'
import type { Unreadable } from './unreadable.ts'

export interface CheckContext extends FileAccess {
  /** As messages name the configuration. */
  readonly file: string
  /** Absolute directory where relative paths start. */
  readonly directory: string
  readonly cores: number
  readonly generation: number
  /** Unix milliseconds: certificates have their time. */
  readonly now: number
}

export type CheckResult =
  | { readonly ok: true; readonly snapshot: Snapshot; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export function checkConfig(text: string, context: CheckContext): CheckResult {
  const document = parseToml(text)
  const drafts: Draft[] = []
  const salvaged = salvage(document.value, (draft) => drafts.push(draft))
  refuseNotYet(
    document.value,
    (path) => salvaged.cuts.isSound(path),
    (draft) => drafts.push(draft),
  )
  const { checked } = salvaged
  if (checked === null) return refused(document, drafts, context.file)
  applyRules(document, salvaged, checked, (draft) => drafts.push(draft))
  const to = { report: (draft: Draft) => void drafts.push(draft), original: salvaged.original }
  const replies = checkFiles(checked, context, to)
  const pems = checkTlsFiles(checked, context, to)
  checkServerTls(checked, context, to, context.now)
  const failed = document.problems.length > 0 || drafts.some((draft) => draft.severity === 'error')
  if (failed) return refused(document, drafts, context.file)
  const snapshot = compile(settle(checked), { ...context, replies, pems })
  return { ok: true, snapshot, warnings: placed(document, drafts, context.file) }
}

function applyRules(document: TomlDocument, salvaged: Salvaged, checked: Checked, report: Report): void {
  const isComplete = (path: Path): boolean => document.unreadable.isComplete(path)
  if (isComplete(['server'])) {
    checkServer(checked, report)
    checkServerRates(checked, (path) => salvaged.cuts.isSound(path), report)
  }
  if (isComplete(['audit'])) checkCaptureSubject(checked, (path) => salvaged.cuts.isSound(path), report)
  for (const [name, model] of Object.entries(checked.models)) {
    if (!isComplete(['models', name])) continue
    const written = valueAt(document.value, ['models', name, 'versions'])
    const scope = modelScope({
      name,
      model,
      versionNames: typeof written === 'object' && written !== null ? Object.keys(written) : [],
      isSound: (path) => salvaged.cuts.isSound(path),
      allSound: salvaged.cuts.isEmpty,
      isWritten: (path) => valueAt(document.value, path) !== undefined,
      original: salvaged.original,
      report,
    })
    checkVersions(scope)
    checkEndpoints(scope, checked.upstream.deny_private)
    checkHealth(scope)
    checkLimits(scope)
    checkRoute(scope)
    checkTimeouts(scope)
    checkHedging(scope)
    checkConsequences(scope)
    checkAnswers(scope)
    checkCallers(scope, checked.server.limits.rate)
  }
  if (
    Object.keys(checked.models).length === 0 &&
    salvaged.cuts.isSound(['models']) &&
    isComplete(['models'])
  ) {
    const expected = 'at least one table [models.NAME]'
    report({
      severity: 'warning',
      at: ['models'],
      on: 'key',
      message: 'no models are configured: every request is answered 404',
      expected,
    })
  }
}

function refused(document: TomlDocument, drafts: readonly Draft[], file: string): CheckResult {
  return { ok: false, problems: placed(document, drafts, file) }
}

function placed(document: TomlDocument, drafts: readonly Draft[], file: string): Problem[] {
  const relevant = drafts.filter((draft) => isCertain(draft, document.unreadable))
  if (relevant.length === 0 && document.problems.length === 0) return []
  const places = placesOf(document.text)
  const problems: Problem[] = document.problems.map((found) => {
    const { line, column, message, duplicate } = found
    const plain = { severity: 'error', file, line, column, length: 1, path: '', message } as const
    if (duplicate === null) return { ...plain, expected: 'TOML 1.0 (https://toml.io)' }
    return {
      ...plain,
      ...repeated(line, duplicate, document, places),
      expected: 'each key and each table once',
    }
  })
  for (const { severity, at, on, message, expected, suggestion } of relevant) {
    const more = suggestion === undefined ? {} : { suggestion }
    const place = places.nearest(at, on)
    problems.push({ severity, file, ...place, path: pathText(at), message, expected, ...more })
  }
  return problems.sort(byPlace)
}

/** What seems to be missing or misplaced next to lines that could not be read may only be unreadable. */
function isCertain(draft: Draft, unreadable: Unreadable): boolean {
  if (draft.absence === true && !unreadable.isComplete(draft.at)) return false
  return unreadable.hasHeader(draft.at)
}

function repeated(
  line: number,
  duplicate: Duplicate,
  document: TomlDocument,
  places: Places,
): Pick<Problem, 'path' | 'message' | 'length'> {
  const section = positioned(duplicate.section, line, document, places)
  const path = [...section, ...duplicate.inside]
  const first = duplicate.first ?? places.get(path)?.key
  const what = duplicate.inside.length === 0 ? 'table' : 'key'
  const where = first === undefined ? '' : ` at ${first.line}:${first.column}`
  return {
    path: pathText(path),
    message: `this ${what} is already defined${where}`,
    length: duplicate.length,
  }
}

/** A header's path with the position of the entry that `line` is in, wherever it names a list. */
function positioned(section: Path, line: number, document: TomlDocument, places: Places): Path {
  const path: (string | number)[] = []
  for (const step of section) {
    path.push(step)
    const list = valueAt(document.value, path)
    if (!Array.isArray(list)) continue
    const above = list.findLastIndex((_, index) => (places.get([...path, index])?.key.line ?? 0) <= line)
    path.push(Math.max(0, above))
  }
  return path
}
