/**
 * Files a configuration names. Reply files are read now, because they must be at hand when everything
 * else fails; model files only have to exist, and even then only a warning says so: a gateway that
 * starts and reports one broken version is better than one that does not start.
 */
import { extname, resolve } from 'node:path'
import type { ReplyFile } from './canonical.ts'
import type { Path, Report } from './problem.ts'
import { CONSEQUENCES } from './rules/consequences.ts'
import type { Checked } from './schema.ts'
import { sizeText } from './units.ts'

export const REPLY_BYTES_MAX = 1024 * 1024

export type FileContents =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** In words, such as `no such file`. */
  | { readonly ok: false; readonly reason: string }

export interface FileAccess {
  readonly directory: string
  /** Reads at most `bytesMax` bytes; a longer file is a failure. */
  readonly readFile: (path: string, bytesMax: number) => FileContents
  readonly fileExists: (path: string) => boolean
}

export interface FileReport {
  readonly report: Report
  readonly original: (path: Path) => Path
}

const CONTENT_TYPES: ReadonlyMap<string, string> = new Map([
  ['.json', 'application/json'],
  ['.txt', 'text/plain; charset=utf-8'],
])

/** By path as written; what could not be read is reported and left out. */
export function checkFiles(checked: Checked, access: FileAccess, to: FileReport): Map<string, ReplyFile> {
  const replies = new Map<string, ReplyFile>()
  for (const [name, model] of Object.entries(checked.models)) {
    for (const key of CONSEQUENCES) {
      for (const [index, step] of model.on_failure[key].entries()) {
        if (step.do !== 'reply') continue
        readReply(step.file, ['models', name, 'on_failure', key, index], { access, to, replies })
      }
    }
    for (const [versionName, version] of Object.entries(model.versions)) {
      if (version.file === undefined || access.fileExists(resolve(access.directory, version.file))) continue
      to.report({
        severity: 'warning',
        at: ['models', name, 'versions', versionName, 'file'],
        on: 'value',
        message: `there is no file ${version.file}; the version will answer every request with an error`,
        expected: 'a model file, relative to the configuration',
      })
    }
  }
  return replies
}

interface Reading {
  readonly access: FileAccess
  readonly to: FileReport
  readonly replies: Map<string, ReplyFile>
}

function readReply(file: string, at: Path, { access, to, replies }: Reading): void {
  if (replies.has(file)) return
  const refuse = (message: string, expected: string): void => {
    to.report({ severity: 'error', at: to.original(at), on: 'value', message, expected })
  }
  const contents = access.readFile(resolve(access.directory, file), REPLY_BYTES_MAX)
  if (!contents.ok) {
    refuse(
      `cannot read ${file}: ${contents.reason}`,
      `a file of at most ${sizeText(REPLY_BYTES_MAX)}, relative to the configuration`,
    )
    return
  }
  const contentType = CONTENT_TYPES.get(extname(file).toLowerCase()) ?? 'application/octet-stream'
  if (contentType === 'application/json' && !isJson(contents.bytes))
    refuse(`${file} is not valid JSON`, 'JSON, or another file name extension')
  replies.set(file, { contentType, body: contents.bytes })
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return true
  } catch {
    return false
  }
}
