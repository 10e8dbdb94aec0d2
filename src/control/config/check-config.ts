/**
 * One text, checked completely: syntax, shape, meaning, files. Reports every problem it can find in one
 * run, and compiles only when there is no error. Deterministic: files are read through functions it is
 * given. Never throws, whatever the text.
 */
import type { Snapshot } from '../../domain/routes.ts'
import { compile } from './compile.ts'
import { valueAt } from './explain-issue.ts'
import { checkFiles, type FileAccess } from './files.ts'
import { refuseNotYet } from './not-yet.ts'
import { locator } from './positions.ts'
import { byPlace, type Draft, type Problem, pathText, type Report } from './problem.ts'
import { checkAnswers } from './rules/answers.ts'
import { checkConsequences } from './rules/consequences.ts'
import { checkRoute } from './rules/route.ts'
import { modelScope } from './rules/scope.ts'
import { checkServer } from './rules/server.ts'
import { checkTimeouts } from './rules/timeouts.ts'
import { checkVersions } from './rules/versions.ts'
import { type Salvaged, salvage } from './salvage.ts'
import type { Checked } from './schema.ts'
import { settle } from './settle.ts'
import { parseToml, type TomlDocument } from './toml.ts'

export interface CheckContext extends FileAccess {
  /** As messages name the configuration. */
  readonly file: string
  /** Absolute directory where relative paths start. */
  readonly directory: string
  readonly cores: number
  readonly generation: number
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
  // Where lines could not be read, what seems to be missing may only be unreadable.
  const relevant = document.complete ? drafts : drafts.filter((draft) => draft.absence !== true)
  if (!document.complete || checked === null) return refused(document, relevant, context.file)
  applyRules(document, salvaged, checked, (draft) => drafts.push(draft))
  const replies = checkFiles(checked, context, {
    report: (draft) => drafts.push(draft),
    original: salvaged.original,
  })
  const failed = document.problems.length > 0 || drafts.some((draft) => draft.severity === 'error')
  if (failed) return refused(document, drafts, context.file)
  const snapshot = compile(settle(checked), { ...context, replies })
  return { ok: true, snapshot, warnings: placed(document, drafts, context.file) }
}

function applyRules(document: TomlDocument, salvaged: Salvaged, checked: Checked, report: Report): void {
  checkServer(checked, report)
  for (const [name, model] of Object.entries(checked.models)) {
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
    checkRoute(scope)
    checkTimeouts(scope)
    checkConsequences(scope)
    checkAnswers(scope)
  }
  if (Object.keys(checked.models).length === 0 && salvaged.cuts.isSound(['models'])) {
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
  const problems: Problem[] = document.problems.map(({ line, column, message, duplicate }) => {
    const expected = duplicate ? 'each key and each table once' : 'TOML 1.0 (https://toml.io)'
    return { severity: 'error', file, line, column, length: 1, path: '', message, expected }
  })
  if (drafts.length > 0) {
    const place = locator(document.text)
    for (const { severity, at, on, message, expected, suggestion } of drafts) {
      const more = suggestion === undefined ? {} : { suggestion }
      problems.push({ severity, file, ...place(at, on), path: pathText(at), message, expected, ...more })
    }
  }
  return problems.sort(byPlace)
}
