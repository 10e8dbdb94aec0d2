/**
 * What a rule is given: one model as checked so far, and how to speak of places in it. Rules are about
 * meaning between keys; each looks at values the schema already accepted and reports what it finds.
 */
import type { Draft, Path, Report } from '../problem.ts'
import type { CheckedModel } from '../schema-model.ts'

export interface ModelScope {
  readonly name: string
  readonly model: CheckedModel
  /** Every version name that is written, also of versions that are themselves wrong. */
  readonly versionNames: readonly string[]
  /** The value at this place of the model is the written one (or its default), and nothing in it was cut. */
  isSound(...path: Path): boolean
  isWritten(...path: Path): boolean
  error(path: Path, message: string, more: Detail): void
  warning(path: Path, message: string, more: Detail): void
}

export interface Detail {
  readonly expected: string
  readonly suggestion?: string | undefined
  readonly on?: 'key' | 'value'
}

export interface ScopeParts {
  readonly name: string
  readonly model: CheckedModel
  readonly versionNames: readonly string[]
  readonly isSound: (path: Path) => boolean
  /** Nothing was cut anywhere. */
  readonly allSound: boolean
  readonly isWritten: (path: Path) => boolean
  readonly original: (path: Path) => Path
  readonly report: Report
}

export function modelScope(parts: ScopeParts): ModelScope {
  const full = (path: Path): Path => parts.original(['models', parts.name, ...path])
  const say = (severity: Draft['severity'], path: Path, message: string, more: Detail): void => {
    const { expected, suggestion, on = 'value' } = more
    parts.report({ severity, at: full(path), on, message, expected, suggestion })
  }
  return {
    name: parts.name,
    model: parts.model,
    versionNames: parts.versionNames,
    // Nearly every configuration has no cuts; then no path needs to be built to know it.
    isSound: (...path) => parts.allSound || parts.isSound(full(path)),
    isWritten: (...path) => parts.isWritten(full(path)),
    error: (path, message, more) => say('error', path, message, more),
    warning: (path, message, more) => say('warning', path, message, more),
  }
}
