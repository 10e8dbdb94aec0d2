/**
 * A checker over files that are not there, and the corpus of mistakes in test/corpus/config.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type CheckContext, type CheckResult, checkConfig } from '../../src/control/config/check-config.ts'
import type { Problem } from '../../src/control/config/problem.ts'

const files = new Map<string, string>([
  ['/etc/gate/sorry.json', '{"sorry":true}'],
  ['/etc/gate/broken.json', '{"sorry":'],
  ['/etc/gate/sorry.bin', 'bytes'],
  ['/etc/gate/m.onnx', ''],
])

export const context: CheckContext = {
  file: 'gateway.toml',
  directory: '/etc/gate',
  cores: 4,
  generation: 7,
  now: Date.parse('2026-07-01T12:00:00Z'),
  readFile: (path, bytesMax) => {
    const text = files.get(path)
    if (text === undefined) return { ok: false, reason: 'no such file' }
    return text.length > bytesMax
      ? { ok: false, reason: 'too large' }
      : { ok: true, bytes: Buffer.from(text) }
  },
  fileExists: (path) => files.has(path),
}

export const checked = (text: string): CheckResult => checkConfig(text, context)

export function problemsOf(text: string): readonly Problem[] {
  const result = checked(text)
  return result.ok ? result.warnings : result.problems
}

export interface Mistake {
  readonly name: string
  readonly text: string
  /** `LINE:COLUMN PATH :: MESSAGE [:: SUGGESTION]` of every error, in order. */
  readonly errors: readonly string[]
}

const CORPUS = resolve('test/corpus/config')

export function mistakes(): Mistake[] {
  return readdirSync(CORPUS)
    .filter((file) => file.endsWith('.toml'))
    .flatMap((file) => {
      const documents = readFileSync(join(CORPUS, file), 'utf8').split(/^# ---\n/m)
      return documents.map((text, index) => ({ name: `${file} #${index + 1}`, text, errors: marks(text) }))
    })
}

function marks(text: string): string[] {
  const found: string[] = []
  let line = 0
  for (const [index, content] of text.split('\n').entries()) {
    const mark = /^#! (\d+) (.*)$/.exec(content)
    if (mark === null) line = index + 1
    else found.push(`${line}:${mark[1]} ${mark[2]}`)
  }
  return found
}

export function asMark({ line, column, path, message, suggestion }: Problem): string {
  return `${line}:${column} ${path} :: ${message}${suggestion === undefined ? '' : ` :: ${suggestion}`}`
}
